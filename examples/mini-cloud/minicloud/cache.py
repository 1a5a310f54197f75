"""Owns where things that are made once are kept, and the stamp that says whether they are up to date.

A part (the virtual environment, the trees) lives in a folder named after a digest of everything that shaped it; it is built
aside and renamed, so a folder that has its final name is whole. Refuses to guess a home: HOME or XDG_CACHE_HOME, or --cache.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pathlib
import pwd
import shutil
import time

WEEK = 7 * 86400
HERE = pathlib.Path(__file__).resolve().parent.parent


def default_cache() -> pathlib.Path:
    """The cache folder of the person who typed the command, also when sudo runs it."""
    user = os.environ.get("SUDO_USER")
    if os.geteuid() == 0 and user and user != "root":
        return pathlib.Path(pwd.getpwnam(user).pw_dir) / ".cache/assay/mini-cloud"
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return pathlib.Path(base) / "assay/mini-cloud"


def digest(*parts: str | bytes) -> str:
    """A short name for a list of texts: any change in one of them gives another name."""
    h = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        h.update(len(data).to_bytes(8, "big") + data)
    return h.hexdigest()[:12]


class Cache:
    """The folders of one cache. `root` is absolute; nothing is created by looking."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root.resolve()

    @property
    def requirements(self) -> pathlib.Path:
        """The pinned list that the virtual environment is made from."""
        return HERE / "requirements.txt"

    @property
    def venv(self) -> pathlib.Path:
        """The virtual environment that holds moto."""
        return self.root / f"venv-{digest(self.requirements.read_bytes())}"

    @property
    def python(self) -> pathlib.Path:
        """The virtual environment's interpreter."""
        return self.venv / "bin/python"

    @property
    def tree(self) -> pathlib.Path:
        """The folder with the Debian trees: base/ (booted) and light/ (what light adds on top)."""
        from . import aptrepo, tree

        sources = [pathlib.Path(m.__file__).read_bytes() for m in (aptrepo, tree)]
        return self.root / f"tree-{digest(*sources)}"

    @contextlib.contextmanager
    def locked(self):
        """Held while something is built, so that two setups at once do the work once."""
        self.root.mkdir(parents=True, exist_ok=True)
        with open(self.root / ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def ready(self) -> bool:
        """True when everything that setup makes is there."""
        return self.python.exists() and (self.tree / "base").is_dir()

    def mark_used(self) -> None:
        """Notes that the current parts are still in use."""
        for part in (self.venv, self.tree):
            with contextlib.suppress(OSError):
                os.utime(part)

    def drop_old(self) -> None:
        """Removes, under the lock, interrupted builds, and parts of other versions that nobody used for a week.

        Not at once: two checkouts of different versions may take turns. A tree in use by a running cloud stays anyway.
        """
        self.mark_used()
        for path in self.root.glob("*"):
            unused = time.time() - path.stat().st_mtime
            if not path.name.startswith("building-") and not (path.name.startswith(("venv-", "tree-")) and unused > WEEK):
                continue
            with lock_shared(path, exclusive=True) as free:
                if free:
                    shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def lock_shared(folder: pathlib.Path, exclusive: bool = False):
    """A lock on a folder: running clouds hold it shared, removal wants it alone. Yields whether it was granted."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(fd)
