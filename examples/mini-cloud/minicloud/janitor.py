"""Owns leaving nothing behind: what runs is written down with its start time, and `down` ends exactly that and no more.

A process is ended only when both its pid and its start time are the recorded ones, so a number that the system gave to
somebody else meanwhile is never touched. Refuses to look for processes by name.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

from . import cgroup

RECORD = "process.json"
SERVER = "server.json"
TERM_PATIENCE = 60  # seconds a server gets to end itself


def start_time(pid: int) -> int | None:
    """When a process started, in the kernel's clock ticks since boot; None when it is gone or only waits to be collected."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return None if fields[0] in "ZX" else int(fields[19])


def record(folder: pathlib.Path, pid: int, name: str = RECORD, **more: object) -> None:
    """Writes down that `pid` is ours; the file is whole or not there."""
    aside = folder / (name + ".new")
    aside.write_text(json.dumps({"pid": pid, "start_time": start_time(pid), **more}))
    aside.rename(folder / name)


def recorded(path: pathlib.Path) -> int | None:
    """The pid in a record, if that very process still runs."""
    try:
        entry = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return entry["pid"] if entry["start_time"] is not None and start_time(entry["pid"]) == entry["start_time"] else None


def end(path: pathlib.Path, sig: int, patience: float) -> bool:
    """Sends the signal to the recorded process and waits; True when it is gone."""
    pid = recorded(path)
    if pid is None:
        return True
    began, deadline = start_time(pid), time.monotonic() + patience
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, sig)
    while time.monotonic() < deadline:  # the process itself, not its record: a server removes that just before it ends
        if start_time(pid) != began:
            return True
        time.sleep(0.02)
    return False


def mounts_under(folder: pathlib.Path) -> list[str]:
    """Mount points inside a folder in this mount namespace, innermost first."""
    prefix = str(folder.resolve()) + "/"
    points = [line.split()[4].replace("\\040", " ") for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
    return sorted((p for p in points if p.startswith(prefix)), key=len, reverse=True)


def down(state: pathlib.Path) -> list[str]:
    """Ends a server and whatever it left, by the records in its state folder; returns what could not be ended."""
    left = []
    if not end(state / SERVER, signal.SIGTERM, TERM_PATIENCE) and not end(state / SERVER, signal.SIGKILL, 10):
        left.append(f"the server, process {recorded(state / SERVER)}")
    for path in (state / "instances").glob(f"*/{RECORD}"):
        if not end(path, signal.SIGKILL, 10):
            left.append(f"an instance, process {recorded(path)}")
        with contextlib.suppress(OSError, ValueError):
            cgroup.remove(json.loads(path.read_text()).get("groups", []))
    for point in mounts_under(state):
        if subprocess.run(["umount", "-l", point]).returncode:
            left.append(f"the mount {point}")
    if not left:
        clear(state)
    return left


def clear(state: pathlib.Path) -> None:
    """Removes what only a running cloud needs; the call log and the consoles stay to be read."""
    for name in ("instances", "images"):
        shutil.rmtree(state / name, ignore_errors=True)
    for name in ("base", "light", SERVER):
        (state / name).unlink(missing_ok=True)
