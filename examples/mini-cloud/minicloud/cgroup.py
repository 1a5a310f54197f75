"""Owns the control groups of booted instances: one folder each, so that no two systemds believe the same group is theirs.

Works where this process already is: in the scope that systemd delegated to us (see cli), or at the top where no systemd rules.
Refuses to touch any group that it did not make itself.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pathlib
import time

PREFIX = "mini-cloud-"


@functools.cache
def hierarchies() -> tuple[pathlib.Path, ...]:
    """The folders of the groups this process is in, in the hierarchies that systemd uses: the unified and the named one."""
    own = {}
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "name=systemd"):
            own[controllers] = path
    found = []
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        root, point = left.split()[3:5]
        name = "" if kind == "cgroup2" else "name=systemd" if "name=systemd" in options.split(",") else None
        if kind.startswith("cgroup") and name in own:
            inside = os.path.relpath(own[name], root)
            found.append(pathlib.Path(point, inside) if inside != "." else pathlib.Path(point))
    return tuple(found)


def make(instance_id: str) -> list[str]:
    """Makes an instance's groups; returns their folders."""
    made = []
    for hierarchy in hierarchies():
        folder = hierarchy / f"{PREFIX}{instance_id}"
        folder.mkdir(exist_ok=True)
        made.append(str(folder))
    return made


def remove(folders: list[str], patience: float = 2.0) -> None:
    """Removes groups made by `make`, with what the guest made in them; waits a little for its last processes to be gone."""
    deadline = time.monotonic() + patience
    for folder in map(pathlib.Path, folders):
        if not folder.name.startswith(PREFIX):
            continue
        while folder.is_dir():
            for path in sorted((p for p in folder.rglob("*") if p.is_dir()), key=lambda p: -len(p.parts)):
                with contextlib.suppress(OSError):
                    path.rmdir()
            with contextlib.suppress(OSError):
                folder.rmdir()
            if not folder.is_dir() or time.monotonic() > deadline:
                break
            time.sleep(0.02)
