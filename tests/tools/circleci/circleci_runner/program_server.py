"""Owns how jobs start the programs that we play for them: ssh, circleci, and those of tests. A program is a few lines of bash that ask a server, which has our
modules loaded already and forks for each call.

An interpreter with its imports takes fifty milliseconds to start, a fork two, and a pipeline starts dozens. What runs is the same: the call's arguments,
environment, folder, umask and descriptors are those of the bash that asked, its exit code becomes that one's, and it ends when that one is killed. It refuses who
does not know the server's token. Run as the server it imports, besides what it needs itself, the modules that it is asked for; each has a `main()`.
"""

from __future__ import annotations

import atexit
import dataclasses
import functools
import importlib.util
import json
import os
import pathlib
import secrets
import selectors
import shlex
import signal
import socket
import subprocess
import sys
import threading
from typing import Any, NoReturn

# Without -p the shell would read BASH_ENV, as no program does that is not a shell script. The call's descriptors are 4, 5 and 6: bash itself turns 1 to the
# connection while it writes there.
CLIENT = """#!/bin/bash -p
exec 4<&0 5>&1 6>&2 3<> /dev/tcp/127.0.0.1/%s || exit 70
printf '%%s %%s %%s\\n' %s "$$" %s >&3
read -r -u 3 code || exit 70
exit "$code"
"""


@dataclasses.dataclass(frozen=True)
class Server:
    """Where the server is asked, and what shows that one may."""

    port: int
    token: str

    def script(self, module: str, *arguments: str) -> str:
        """A program that calls `main()` of a module's file, with these arguments before its own."""
        return CLIENT % (self.port, self.token, shlex.quote(json.dumps([module, *arguments])))


_STARTING = threading.Lock()


def server() -> Server:
    """The server of this process, which ends with it."""
    with _STARTING:
        return _started()


@functools.cache
def _started() -> Server:
    token = secrets.token_hex(16)
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", "-B", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={}, cwd="/", start_new_session=True
    )
    assert child.stdin is not None and child.stdout is not None
    # Not as an argument, which every user of the machine could read.
    child.stdin.write(f"{token}\n".encode())
    child.stdin.flush()
    atexit.register(child.wait)
    atexit.register(child.stdin.close)
    return Server(int(child.stdout.readline()), token)


@functools.cache
def loaded(file: str) -> Any:
    """A module by its file."""
    specification = importlib.util.spec_from_file_location(pathlib.Path(file).stem, file)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def become(caller: int) -> list[str]:
    """Makes this process look like the bash that asked; the arguments of that one."""
    for number, flags in enumerate((os.O_RDONLY, os.O_WRONLY | os.O_APPEND, os.O_WRONLY | os.O_APPEND)):
        opened = os.open(f"/proc/{caller}/fd/{number + 4}", flags)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(f"/proc/{caller}/cwd")
    status = pathlib.Path(f"/proc/{caller}/status").read_text()
    os.umask(int(next(line.split()[1] for line in status.splitlines() if line.startswith("Umask:")), 8))
    os.environ.clear()
    for pair in pathlib.Path(f"/proc/{caller}/environ").read_bytes().split(b"\0"):
        name, _, value = pair.partition(b"=")
        if name:
            os.environb[name] = value
    words = pathlib.Path(f"/proc/{caller}/cmdline").read_bytes().split(b"\0")[:-1]
    # bash, its -p, the script; then what the script was given.
    return [os.fsdecode(word) for word in words[3:]]


def answer(caller: int, module: Any, arguments: list[str]) -> NoReturn:
    """The call itself, in a process of its own."""
    code = 1
    try:
        os.setpgid(0, 0)
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        sys.argv = [module.__file__, *arguments, *become(caller)]
        try:
            code = module.main() or 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1 if end.code else 0
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001: what an interpreter of its own would print
        # Who was killed before the call began needs no words.
        if os.path.exists(f"/proc/{caller}"):
            sys.excepthook(*sys.exc_info())
        code = 1
    finally:
        sys.stderr.flush()
        os._exit(code)


class Calls:
    """The server's calls: which process answers which connection."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.selector = selectors.DefaultSelector()
        self.answering: dict[int, socket.socket] = {}
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.selector.register(self.listener, selectors.EVENT_READ, self.accept)
        self.selector.register(sys.stdin.buffer, selectors.EVENT_READ, self.stop)
        woken, wakes = socket.socketpair()
        woken.setblocking(False)
        wakes.setblocking(False)
        self.woken, self.wakes = woken, wakes
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakes.fileno())
        self.selector.register(woken, selectors.EVENT_READ, self.reap)

    def forever(self) -> NoReturn:
        """Answers until the process that started this one is gone."""
        while True:
            for key, _ in self.selector.select():
                # One that another of these events has closed has nothing more to say.
                if key.fileobj.fileno() != -1:
                    key.data(key.fileobj)

    def accept(self, _: Any) -> None:
        connection, _ = self.listener.accept()
        self.selector.register(connection, selectors.EVENT_READ, self.begin)

    def begin(self, connection: socket.socket) -> None:
        """Reads who asks for what, and forks."""
        with connection.makefile("rb") as lines:
            token, _, wish = lines.readline().partition(b" ")
        if not secrets.compare_digest(token, self.token.encode()):
            self.forget(connection)
            return
        caller, _, call = wish.partition(b" ")
        module, *arguments = json.loads(call)
        module = loaded(module)
        child = os.fork()
        if child == 0:
            answer(int(caller), module, arguments)
        self.answering[child] = connection
        self.selector.modify(connection, selectors.EVENT_READ, self.abandon)

    def abandon(self, connection: socket.socket) -> None:
        """Who asked is gone before it has an answer: it was killed, and so is what it started."""
        child = next((child for child, other in self.answering.items() if other is connection), None)
        self.forget(connection)
        if child is not None:
            kill(child)

    def reap(self, _: Any) -> None:
        """Hands on the exit codes of calls that have ended."""
        self.woken.recv(4096)
        while self.answering:
            child, status = os.waitpid(-1, os.WNOHANG)
            if child == 0:
                return
            connection = self.answering.pop(child)
            if connection.fileno() == -1:
                continue
            code = os.waitstatus_to_exitcode(status)
            try:
                connection.sendall(b"%d\n" % (code if code >= 0 else 128 - code))
            except OSError:
                pass  # Killed in the meantime.
            self.forget(connection)

    def forget(self, connection: socket.socket) -> None:
        self.selector.unregister(connection)
        connection.close()

    def stop(self, _: Any) -> NoReturn:
        for child in self.answering:
            kill(child)
        os._exit(0)


def kill(child: int) -> None:
    """Ends a call and what it has started; before its first line it has no group of its own yet."""
    for end in (os.killpg, os.kill):
        try:
            end(child, signal.SIGKILL)
        except ProcessLookupError:
            continue


def main() -> NoReturn:
    """The server."""
    calls = Calls(sys.stdin.buffer.readline().decode().strip())
    print(calls.listener.getsockname()[1], flush=True)
    calls.forever()


if __name__ == "__main__":
    main()
