"""Owns a project's SSH keys: the deploy key that CircleCI makes, which may only read, and additional ones, which `add_ssh_keys` alone brings into a job."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import pathlib
import shutil
import subprocess
import threading

HOST = "github.com"
PATH = "acme/images"


@dataclasses.dataclass(frozen=True)
class Key:
    """A private key without a passphrase, and whether the git host lets it write."""

    file: pathlib.Path
    write: bool = True

    def blob(self) -> bytes:
        """The public key as SSH sends it."""
        return base64.b64decode(self.public.split(" ")[1])

    @property
    def public(self) -> str:
        """Its public half, as known_hosts and authorized_keys write it."""
        return " ".join(self.file.with_name(self.file.name + ".pub").read_text().split()[:2])

    @property
    def fingerprint(self) -> str:
        """As CircleCI's page shows it."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob()).digest()).decode().rstrip("=")

    @property
    def md5(self) -> str:
        """Without colons: the end of the file's name in a job."""
        return hashlib.md5(self.blob(), usedforsecurity=False).hexdigest()

    def is_called(self, fingerprint: str) -> bool:
        """Whether a configuration means this key."""
        return fingerprint in (self.fingerprint, ":".join(self.md5[at : at + 2] for at in range(0, 32, 2)))


_MAKING = threading.Lock()


def make(file: pathlib.Path, write: bool) -> Key:
    """A new key, or the one that is there."""
    with _MAKING:
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(file)], check=True)
    return Key(file, write)


def lay_down(key: Key, home: pathlib.Path, name: str) -> None:
    """Puts a key into a job's home."""
    folder = home / ".ssh"
    folder.mkdir(mode=0o700, exist_ok=True)
    shutil.copy2(key.file, folder / name)
    (folder / name).chmod(0o600)
