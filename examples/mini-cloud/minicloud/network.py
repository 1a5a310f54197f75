"""Owns how an instance is reached: its address 127.77.x.y, and the door that leads from port 22 there to the sshd inside.

Every instance lives in a network namespace of its own, where only its own loopback exists. A door opens when the guest's
sshd listens (never before), and closes when it stops. One asyncio loop in one thread serves all doors. Refuses to carry any
other port, and to connect anything but 127.0.0.1:22 of the instance itself.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import ctypes
import os
import socket
import threading

CLONE_NEWNET = 0x40000000
SSH_PORT = 22
BLOCK = 250  # addresses in one block 127.77.N.1 .. 127.77.N.250
POLL = 0.03  # seconds between two looks at whether the guest's sshd listens
LISTEN = "0A"  # the state's name in /proc/net/tcp

_libc = ctypes.CDLL(None, use_errno=True)


class AddressPool:
    """Hands out addresses. Blocks are claimed by an abstract Unix socket's name, which the kernel frees when we die."""

    def __init__(self) -> None:
        self._claims: list[socket.socket] = []
        self._free: list[str] = []
        self._lock = threading.Lock()

    def take(self) -> str:
        """An address that no instance of this machine's mini clouds uses."""
        with self._lock:
            if not self._free:
                self._claim_block()
            return self._free.pop(0)

    def give_back(self, address: str) -> None:
        """Returns an address; it is used again only after all the others, so that a late client meets nobody else."""
        with self._lock:
            self._free.append(address)

    def _claim_block(self) -> None:
        for block in range(256):
            claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                claim.bind(f"\0assay-mini-cloud-127.77.{block}")
            except OSError:
                claim.close()
                continue
            self._claims.append(claim)
            self._free += [f"127.77.{block}.{host}" for host in range(1, BLOCK + 1)]
            return
        raise RuntimeError("all 127.77.x.y addresses are in use by mini clouds")

    def close(self) -> None:
        """Frees every claimed block."""
        for claim in self._claims:
            claim.close()


class NamespaceSockets:
    """Makes sockets that belong to another network namespace, in a thread of its own (setns is per thread)."""

    def __init__(self) -> None:
        self._worker = concurrent.futures.ThreadPoolExecutor(1, "namespace")

    async def make(self, namespace: int) -> socket.socket:
        """A non-blocking TCP socket inside the namespace that the file descriptor names."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._make, namespace)

    @staticmethod
    def _make(namespace: int) -> socket.socket:
        if _libc.setns(namespace, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.setblocking(False)
        return made


def sshd_listens(pid: int) -> bool:
    """Whether something listens on port 22 in the network namespace of `pid`; looked up, so that sshd logs nothing."""
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/net/{table}") as lines:
            for line in lines:
                fields = line.split()
                if fields[3] == LISTEN and fields[1].endswith(f":{SSH_PORT:04X}"):
                    return True
    return False


class Network:
    """The loop that serves all doors of one mini cloud."""

    def __init__(self) -> None:
        self.addresses = AddressPool()
        self.sockets = NamespaceSockets()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="network", daemon=True)
        self._thread.start()

    def open_door(self, address: str, leader: int) -> Door:
        """Starts to watch for the sshd of the namespace that process `leader` lives in; the door opens when it listens."""
        door = Door(self, address, os.open(f"/proc/{leader}/ns/net", os.O_RDONLY), leader)
        asyncio.run_coroutine_threadsafe(door.begin(), self.loop).result()
        return door

    def close(self) -> None:
        """Ends the loop; doors must be closed before."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.addresses.close()


class Door:
    """Port 22 of one running instance."""

    def __init__(self, network: Network, address: str, namespace: int, leader: int) -> None:
        self._network, self._address, self._namespace, self._leader = network, address, namespace, leader
        self._tasks: set[asyncio.Task] = set()
        self._listener: socket.socket | None = None
        self.is_open = threading.Event()

    async def begin(self) -> None:
        """Runs in the loop: starts watching."""
        self._spawn(self._watch())

    def close(self) -> None:
        """Closes the port and every connection through it; returns when that is done."""
        asyncio.run_coroutine_threadsafe(self._close(), self._network.loop).result(10)

    async def _close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._listener:
            self._listener.close()
        os.close(self._namespace)
        self.is_open.clear()

    def _spawn(self, work) -> None:
        task = self._network.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watch(self) -> None:
        while not sshd_listens(self._leader):
            await asyncio.sleep(POLL)
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind((self._address, SSH_PORT))
        listener.listen(128)
        self._listener = listener
        self.is_open.set()
        while True:
            outer, _ = await self._network.loop.sock_accept(listener)
            self._spawn(self._carry(outer))

    async def _carry(self, outer: socket.socket) -> None:
        loop = self._network.loop
        with outer:
            try:
                inner = await self._network.sockets.make(self._namespace)
            except OSError:
                return
            with inner:
                try:
                    await loop.sock_connect(inner, ("127.0.0.1", SSH_PORT))
                except OSError:
                    return
                for end in (outer, inner):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await asyncio.gather(pump(loop, outer, inner), pump(loop, inner, outer))


async def pump(loop: asyncio.AbstractEventLoop, source: socket.socket, sink: socket.socket) -> None:
    """Copies bytes one way until the source ends, then says so to the sink; a broken end breaks the other."""
    try:
        while data := await loop.sock_recv(source, 65536):
            await loop.sock_sendall(sink, data)
    except OSError:
        with contextlib.suppress(OSError):
            source.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
