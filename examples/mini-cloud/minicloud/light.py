"""Owns the *light* kind: sshd alone in its own namespaces, on the same layers; hundreds run on a small machine.

It takes the launch key, and host keys from `ssh_keys` of user data, as cloud-init would. Refuses the rest of cloud-init: no
systemd runs in it, so suites that look at services need the booted kind.
"""

from __future__ import annotations

import os
import pathlib
import signal

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from . import seed
from .machine import Machine

# Runs as root in fresh mount, pid, network, host name and IPC namespaces; $1 is the mounted tree, $2 the host name.
INIT = r"""
set -e
root=$1
hostname "$2" 2>/dev/null || echo "$2" > /proc/sys/kernel/hostname
ip link set lo up
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755,size=1m tmpfs "$root/dev"
for node in null zero full random urandom tty; do
    : > "$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=755,size=8m tmpfs "$root/run"
mkdir -m 755 "$root/run/sshd"
# Each boot has an id of its own, as with a kernel of its own; the machine's is made at the first boot, as systemd does it.
cat "$root/proc/sys/kernel/random/uuid" > "$root/run/boot-id"
mount --bind "$root/run/boot-id" "$root/proc/sys/kernel/random/boot_id"
[ -s "$root/etc/machine-id" ] || tr -d - < "$root/proc/sys/kernel/random/uuid" > "$root/etc/machine-id"
if ! chroot "$root" /usr/sbin/sshd -t -o UsePAM=no; then
    # A machine whose sshd cannot start runs all the same.
    trap 'exit 0' TERM
    while :; do sleep 1 & wait $!; done
fi
exec chroot "$root" /usr/sbin/sshd -D -e -o UsePAM=no -o MaxStartups=100
"""


class Light(Machine):
    """An instance that is one sshd."""

    kind = "light"
    _rebooting = False

    def prepare(self) -> None:
        configs = seed.cloud_configs(self.launch.user_data)
        self._write_host_keys(seed.host_keys(configs))
        keys = [key for key in (self.launch.public_key, *seed.authorized_keys(configs)) if key]
        home = self.upper / "home/debian"
        folder = home / ".ssh"
        folder.mkdir(parents=True)
        (folder / "authorized_keys").write_text("".join(f"{key}\n" for key in keys))
        (folder / "authorized_keys").chmod(0o600)
        folder.chmod(0o700)
        for path in (home, folder, folder / "authorized_keys"):
            os.chown(path, 1000, 1000)
        (self.upper / "etc/hostname").write_text(self.launch.hostname + "\n")
        (self.upper / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {self.launch.hostname}\n")

    def command(self) -> list[str]:
        return [
            "unshare", "--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "--kill-child", "--",
            "/bin/sh", "-c", INIT, "light", str(self.root), self.launch.hostname,
        ]  # fmt: skip

    def shut_down(self, leader: int) -> None:
        os.kill(leader, signal.SIGTERM)

    def restart(self, leader: int) -> None:
        self._rebooting = True
        os.kill(leader, signal.SIGTERM)

    def wants_again(self, status: int) -> bool:
        again, self._rebooting = self._rebooting, False
        return again

    def host_key_block(self) -> bytes:
        keys = sorted((self.upper / "etc/ssh").glob("ssh_host_*_key.pub"))
        text = "".join(path.read_text() for path in keys)
        return f"-----BEGIN SSH HOST KEY KEYS-----\n{text}-----END SSH HOST KEY KEYS-----\n".encode()

    def _write_host_keys(self, given: dict[str, str]) -> None:
        folder: pathlib.Path = self.upper / "etc/ssh"
        folder.mkdir(parents=True)
        for name, text in given.items():
            kind, _, half = name.partition("_")
            path = folder / f"ssh_host_{kind}_key{'.pub' if half == 'public' else ''}"
            path.write_text(text if text.endswith("\n") else text + "\n")
            path.chmod(0o644 if half == "public" else 0o600)
        if not list(folder.glob("ssh_host_*_key")):
            key = Ed25519PrivateKey.generate() if self.ed25519 else ec.generate_private_key(ec.SECP256R1())
            path = folder / ("ssh_host_ed25519_key" if self.ed25519 else "ssh_host_ecdsa_key")
            path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
            path.chmod(0o600)
            path.with_suffix(".pub").write_bytes(key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b"\n")
