"""Owns the *booted* kind: a Debian tree with its own systemd, cloud-init and sshd, in a container made by systemd-nspawn.

Refuses to share anything with the machine but the kernel: own processes, own network (loopback only), own file tree.
"""

from __future__ import annotations

import os
import signal

from . import seed
from .machine import Machine

# systemd's signals to pid 1, counted from SIGRTMIN: see systemd(1).
START_POWEROFF = signal.SIGRTMIN + 4
START_REBOOT = signal.SIGRTMIN + 5


class Booted(Machine):
    """An instance with a real init."""

    kind = "booted"
    depth = 2  # unshare, nspawn, the guest's init
    own_groups = True

    def prepare(self) -> None:
        seed.write(self.upper, self.launch)

    def command(self) -> list[str]:
        # The outer process namespace makes the kernel kill the whole guest when its first process is killed; nspawn alone would
        # leave it running. In there, pids mean nothing to the machine's systemd: so nspawn must not talk to it (--keep-unit),
        # and its control groups are made by us.
        return [
            "unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--",
            "systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", "--private-network", "--console=read-only",
            "--resolv-conf=off", "--timezone=off", "--link-journal=no", f"--machine={self.id}", "-D", str(self.root),
            "--", "--show-status=1", "--log-target=journal",
        ]  # fmt: skip

    def shut_down(self, leader: int) -> None:
        os.kill(leader, START_POWEROFF)

    def restart(self, leader: int) -> None:
        os.kill(leader, START_REBOOT)
