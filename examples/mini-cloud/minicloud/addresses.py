"""Owns the addresses of instances: 127.77.x.y on loopback, or 198.18.x.y behind a link of our own where loopback will not do.

Loopback is the plain way. But a machine whose own sshd listens on all addresses answers on 127.77.x.y:22 itself; there the
addresses live in a network namespace behind a veth pair (198.18.0.0/15 is set aside for such use by RFC 2544), which the kernel
removes with us. Refuses to take anything from the machine that is not given back when this process dies, however it dies.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading

BLOCK = 250  # addresses in one block
BLOCKS = 256
SSH_PORT = 22
LISTEN = "0A"  # the state's name in /proc/net/tcp
WILDCARDS = {"00000000", "0" * 32}


def listening(pid: int | str, wildcard_only: bool = False) -> bool:
    """Whether something listens on port 22 in the network namespace of a process; looked up, so that no sshd logs it."""
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/net/{table}") as lines:
            for line in lines:
                fields = line.split()
                address, _, port = fields[1].partition(":")
                if fields[3] == LISTEN and port == f"{SSH_PORT:04X}" and (not wildcard_only or address in WILDCARDS):
                    return True
    return False


def claim_block() -> tuple[int, socket.socket]:
    """A number that no other mini cloud of this machine has; claimed by the name of an abstract Unix socket."""
    for block in range(BLOCKS):
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            claim.bind(f"\0assay-mini-cloud-block-{block}")
        except OSError:
            claim.close()
            continue
        return block, claim
    raise RuntimeError("all addresses are in use by mini clouds")


class AddressPool:
    """Hands out addresses, block by block, on loopback."""

    prefix = "127.77"
    client = "127.0.0.1"  # the address that this machine's clients have, seen from an instance
    namespace: int | None = None  # where the addresses live: a file descriptor, or None for our own

    def __init__(self) -> None:
        self._claims: list[socket.socket] = []
        self._free: list[str] = []
        self._lock = threading.Lock()

    def take(self) -> str:
        """An address that no instance of this machine's mini clouds uses."""
        with self._lock:
            if not self._free:
                block, claim = claim_block()
                self._claims.append(claim)
                self.prepare(block)
                self._free += [f"{self.prefix}.{block}.{host}" for host in range(1, BLOCK + 1)]
            return self._free.pop(0)

    def give_back(self, address: str) -> None:
        """Returns an address; it is used again only after all the others, so that a late client meets nobody else."""
        with self._lock:
            self._free.append(address)

    def prepare(self, block: int) -> None:
        """Makes a block's addresses usable; on loopback they always are."""

    def close(self) -> None:
        """Frees every claimed block."""
        for claim in self._claims:
            claim.close()


class RoutedPool(AddressPool):
    """Addresses behind a veth pair, in a namespace that lives as long as this process."""

    prefix = "198.18"

    def __init__(self) -> None:
        super().__init__()
        # The namespace is made by a helper process and kept by our file descriptor on it.
        self._helper = subprocess.Popen(["unshare", "--net", "sh", "-c", "ip link set lo up; echo; exec cat"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
        self._helper.stdout.readline()
        self.namespace = os.open(f"/proc/{self._helper.pid}/ns/net", os.O_RDONLY)
        self._linked = False

    def prepare(self, block: int) -> None:
        inside = ["nsenter", f"--net=/proc/{self._helper.pid}/ns/net", "ip"]
        steps = []
        if not self._linked:
            host, link = f"198.19.{block}.1", f"minicloud{block}"
            self.client = host
            self._gateway = f"198.19.{block}.2"
            steps += [
                ["ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", str(self._helper.pid)],
                ["ip", "address", "add", f"{host}/30", "dev", link],
                ["ip", "link", "set", link, "up"],
                [*inside, "address", "add", f"{self._gateway}/30", "dev", "eth0"],
                [*inside, "link", "set", "eth0", "up"],
                [*inside, "route", "add", "default", "via", host],
            ]
            self._linked = True
        network = f"{self.prefix}.{block}.0/24"
        steps += [[*inside, "route", "add", "local", network, "dev", "lo"], ["ip", "route", "add", network, "via", self._gateway]]
        for step in steps:
            subprocess.run(step, check=True)

    def close(self) -> None:
        """Frees the blocks; the link and its routes go with the namespace."""
        super().close()
        self._helper.kill()
        self._helper.wait()
        os.close(self.namespace)


def make_pool(kind: str = "auto") -> AddressPool:
    """The pool for this machine: `loopback`, `routed`, or what fits for `auto`."""
    if kind == "auto":
        kind = "routed" if listening("self", wildcard_only=True) else "loopback"
    return RoutedPool() if kind == "routed" else AddressPool()
