"""Owns how an instance is reached: the door that leads from port 22 of its address to the sshd inside.

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

from .addresses import SSH_PORT, AddressPool, listening

CLONE_NEWNET = 0x40000000
POLL = 0.03  # seconds between two looks at whether the guest's sshd listens

_libc = ctypes.CDLL(None, use_errno=True)


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


class Network:
    """The loop that serves all doors of one mini cloud."""

    def __init__(self, addresses: AddressPool) -> None:
        self.addresses = addresses
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
        while not listening(self._leader):
            await asyncio.sleep(POLL)
        listener = await self._listening_socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self._address, SSH_PORT))
        listener.listen(128)
        self._listener = listener
        self.is_open.set()
        while True:
            outer, _ = await self._network.loop.sock_accept(listener)
            self._spawn(self._carry(outer))

    async def _listening_socket(self) -> socket.socket:
        """A socket where the addresses live, which may be another namespace than ours."""
        if self._network.addresses.namespace is not None:
            return await self._network.sockets.make(self._network.addresses.namespace)
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.setblocking(False)
        return made

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
