"""Owns how an instance is reached: the door that leads from port 22 of its addresses to the sshd inside.

Every instance lives in a network namespace of its own, where only its own loopback exists. A door opens when the guest's
sshd listens (never before), and closes when it stops. One asyncio loop in one thread serves all doors. Refuses to carry any
other port, and to connect anything but 127.0.0.1:22 of the instance itself.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import ctypes
import ipaddress
import os
import socket
import threading

from .addresses import SSH_PORT, AddressPool, listening
from .fidelity.groups import guard

CLONE_NEWNET = 0x40000000
POLL = 0.03  # seconds between two looks at whether the guest's sshd listens

_libc = ctypes.CDLL(None, use_errno=True)

# Addresses of an instance, and for each the clients whose packets arrive there.
Admission = dict[str, list[ipaddress.IPv4Network]]


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

    def open_door(self, admission: Admission, leader: int) -> Door:
        """Starts to watch for the sshd of the namespace that process `leader` lives in; the door opens when it listens."""
        door = Door(self, admission, os.open(f"/proc/{leader}/ns/net", os.O_RDONLY), leader)
        asyncio.run_coroutine_threadsafe(door.begin(), self.loop).result()
        return door

    def close(self) -> None:
        """Ends the loop; doors must be closed before."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.addresses.close()


class Door:
    """Port 22 of one running instance."""

    def __init__(self, network: Network, admission: Admission, namespace: int, leader: int) -> None:
        self._network, self._admission, self._namespace, self._leader = network, admission, namespace, leader
        self._tasks: set[asyncio.Task] = set()
        self._listeners: dict[str, socket.socket] = {}
        self.is_open = threading.Event()

    async def begin(self) -> None:
        """Runs in the loop: starts watching."""
        self._spawn(self._watch())

    def admit(self, admission: Admission) -> None:
        """Lets these clients in from now on; whoever is connected stays so. Addresses stay those of the beginning."""
        self._network.loop.call_soon_threadsafe(self._admit, admission)

    def _admit(self, admission: Admission) -> None:
        self._admission = {address: admission.get(address, []) for address in self._admission}
        for address, listener in self._listeners.items():
            guard(listener, self._admission[address])

    def close(self) -> None:
        """Closes the port and every connection through it; returns when that is done."""
        asyncio.run_coroutine_threadsafe(self._close(), self._network.loop).result(10)

    async def _close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listener in self._listeners.values():
            listener.close()
        self._listeners.clear()
        os.close(self._namespace)
        self.is_open.clear()

    def _spawn(self, work) -> None:
        task = self._network.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watch(self) -> None:
        while not listening(self._leader):
            await asyncio.sleep(POLL)
        for address in list(self._admission):
            listener = await self._listening_socket()
            guard(listener, self._admission[address])
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, SSH_PORT))
            listener.listen(128)
            self._listeners[address] = listener
            self._spawn(self._accept(listener))
        self.is_open.set()

    async def _accept(self, listener: socket.socket) -> None:
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
