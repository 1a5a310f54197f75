"""Owns the *booted* kind: a Debian tree with its own systemd, cloud-init and sshd, in a container made by systemd-nspawn.

Refuses to share anything with the machine but the kernel: own processes, own network (loopback only), own file tree.
"""

from __future__ import annotations

import functools
import os
import pathlib
import signal

from . import seed
from .machine import Machine

# systemd's signals to pid 1, counted from SIGRTMIN: see systemd(1).
START_POWEROFF = signal.SIGRTMIN + 4
START_REBOOT = signal.SIGRTMIN + 5


@functools.cache
def under_systemd() -> bool:
    """Whether this machine's own pid 1 is systemd; then nspawn makes a scope unit, else it keeps the control group it is in."""
    return pathlib.Path("/run/systemd/system").is_dir() and pathlib.Path("/proc/1/comm").read_text().strip() == "systemd"


class Booted(Machine):
    """An instance with a real init."""

    kind = "booted"

    def prepare(self) -> None:
        seed.write(self.upper, self.launch)

    def command(self) -> list[str]:
        unit = [] if under_systemd() else ["--keep-unit"]
        return [
            "systemd-nspawn", "--quiet", "--boot", "--register=no", *unit, "--private-network", "--console=read-only",
            "--resolv-conf=off", "--timezone=off", "--link-journal=no", f"--machine={self.id}", "-D", str(self.root),
            "--", "--show-status=1", "--log-target=journal",
        ]  # fmt: skip

    def shut_down(self, leader: int) -> None:
        os.kill(leader, START_POWEROFF)

    def restart(self, leader: int) -> None:
        os.kill(leader, START_REBOOT)
