"""What the SSH benches stand on: a real OpenSSH server of their own on loopback, a proxy that adds delay, suites of any size, and the timing
of whole processes. It owns everything that it starts and ends it; nothing here knows what is compared."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

# Ended from outside, a bench ends what it started too.
signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOOLS = pathlib.Path(os.environ.get("ASSAY_TOOLS") or pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "assay/tools")


@dataclass
class Server:
    """A running sshd."""

    folder: pathlib.Path
    ports: list[int]
    user: str
    key: pathlib.Path

    def ssh(self, port: int, *more: str) -> list[str]:
        """The options of one fresh OpenSSH connection with the key, as a person would give them."""
        return ["-F", "none", "-i", str(self.key), "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", *more, str(port)]

    def command(self, port: int, command: str) -> list[str]:
        """`ssh host command`."""
        return ["ssh", *self.ssh(port, "-p"), f"{self.user}@127.0.0.1", command]


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nothing listens on at this moment."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def sshd_program() -> str:
    """Where OpenSSH's server is."""
    for path in ("/usr/sbin/sshd", "/usr/bin/sshd", "/usr/local/sbin/sshd"):
        if os.path.exists(path):
            return path
    raise SystemExit("this bench needs OpenSSH's server: apt-get install openssh-server")


@contextlib.contextmanager
def server(ports: int = 1) -> Iterator[Server]:
    """An sshd on as many ports of loopback (OpenSSH listens on at most sixteen addresses for each process)."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        for key in ("host_key", "client"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
        (folder / "authorized_keys").write_bytes((folder / "client.pub").read_bytes())
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        numbers = free_ports(ports)
        for first in range(0, ports, 16):
            stack.enter_context(listening(folder, numbers[first : first + 16]))
        yield Server(folder, numbers, getpass.getuser(), folder / "client")


@contextlib.contextmanager
def listening(folder: pathlib.Path, ports: list[int]) -> Iterator[None]:
    """One sshd process."""
    config = folder / f"sshd_{ports[0]}"
    lines = [f"Port {port}" for port in ports] + [
        "ListenAddress 127.0.0.1", f"HostKey {folder}/host_key", f"AuthorizedKeysFile {folder}/authorized_keys", "PidFile none", "UsePAM no", "StrictModes no",
        "PermitRootLogin yes", "PasswordAuthentication no", "KbdInteractiveAuthentication no", "MaxStartups 2000", "LoginGraceTime 600", "LogLevel ERROR", "Subsystem sftp internal-sftp",
        # Else bash runs the user's own start-up files for every session, the peers' ones too.
        f"SetEnv HOME={folder}",
    ]  # fmt: skip
    config.write_text("\n".join(lines) + "\n")
    with open(folder / f"log_{ports[0]}", "wb") as log:
        child = subprocess.Popen([sshd_program(), "-D", "-e", "-f", str(config)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)
    try:
        end = time.monotonic() + 20
        for port in ports:
            while True:
                if child.poll() is not None or time.monotonic() > end:
                    raise SystemExit(f"sshd does not start: {(folder / f'log_{ports[0]}').read_text()}")
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.02)
        yield
    finally:
        child.terminate()
        child.wait()


class Delay:
    """A TCP proxy before a port that holds every byte for half of a round trip in each direction. Bytes do not wait for each other: many may be
    under way at once, as on a wire."""

    def __init__(self, port: int, round_trip: float) -> None:
        self.target, self.half = port, round_trip / 2
        self.port = free_ports(1)[0]
        self.loop = asyncio.new_event_loop()
        started = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self.thread.start()
        started.wait()

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self.loop)
        serving = self.loop.run_until_complete(asyncio.start_server(self._connection, "127.0.0.1", self.port))
        started.set()
        self.loop.run_forever()
        serving.close()
        left = asyncio.all_tasks(self.loop)
        for task in left:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self.loop.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        for one in (writer, far_writer):
            one.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(self._carry(reader, far_writer), self._carry(far_reader, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while True:
                due, data = await queue.get()
                await asyncio.sleep(max(0.0, due - self.loop.time()))
                with contextlib.suppress(OSError):
                    if not data:
                        writer.close()
                        return
                    writer.write(data)
                    await writer.drain()

        delivering = asyncio.ensure_future(deliver())
        data = b"x"
        while data:
            try:
                data = await reader.read(1 << 16)
            except OSError:
                data = b""
            queue.put_nowait((self.loop.time() + self.half, data))
        await delivering

    def close(self) -> None:
        """Ends it."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)


def packages() -> list[str]:
    """Names of installed packages; none where there is no dpkg."""
    try:
        return subprocess.run(["dpkg-query", "-W", "-f", "${Package}\\n"], capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        return []


def suites(folder: pathlib.Path, count: int) -> tuple[pathlib.Path, pathlib.Path]:
    """A suite of so many different checks that pass, as assay's HCL and as goss's YAML: of ten, three files, three commands, a user, a process, a
    package and a port (a fourth and fifth file where there is no dpkg)."""
    installed = packages()
    hcl, goss = ['suite "bench" {'], {"file": [], "command": [], "user": [], "process": [], "package": [], "port": []}
    for n in range(count):
        kind = n % 10
        if kind in (3, 4, 5):
            hcl.append(f'command "echo {n}" {{\n  exit-status = 0\n  stdout = ["{n}"]\n}}')
            goss["command"].append(f"  echo {n}:\n    exit-status: 0\n    stdout: ['{n}']")
        elif kind == 6:
            hcl.append(f'user "nosuch{n}" {{ exists = false }}')
            goss["user"].append(f"  nosuch{n}:\n    exists: false")
        elif kind == 7:
            hcl.append(f'process "nosuch{n}" {{ running = false }}')
            goss["process"].append(f"  nosuch{n}:\n    running: false")
        elif kind == 8 and n // 10 < len(installed):
            hcl.append(f'package "{installed[n // 10]}" {{ installed = true }}')
            goss["package"].append(f"  {installed[n // 10]}:\n    installed: true")
        elif kind == 9:
            hcl.append(f'port "tcp:{2 + n // 10}" {{ listening = false }}')
            goss["port"].append(f"  tcp:{2 + n // 10}:\n    listening: false")
        else:
            path = folder / f"file-{n}"
            path.write_text(f"line {n}\n")
            path.chmod(0o644)
            hcl.append(f'file "{path}" {{\n  exists = true\n  mode = "0644"\n}}')
            goss["file"].append(f"  {path}:\n    exists: true\n    mode: '0644'")
    own, theirs = folder / f"bench-{count}.hcl", folder / f"goss-{count}.yaml"
    own.write_text("\n".join(hcl) + "\n}\n")
    theirs.write_text("\n".join(f"{kind}:\n" + "\n".join(some) for kind, some in goss.items() if some) + "\n")
    return own, theirs


def seconds(run: Callable[[], None]) -> float:
    """How long one run takes."""
    began = time.monotonic()
    run()
    return time.monotonic() - began


def must(command: list[str], **more: object) -> None:
    """Runs a command that must succeed."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, **more)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)[:300]} ended with status {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")


def row(name: str, times: list[float], peer: list[float]) -> str:
    """One line: median, spread, and how many times as long as the peer in the same rounds."""
    ratios = [own / other for own, other in zip(times, peer)]
    return f"{name:44} median {statistics.median(times):7.3f} s  min {min(times):7.3f}  max {max(times):7.3f}   {statistics.median(ratios):5.2f} x"


def machine() -> str:
    """What the figures were taken on."""
    return f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} before"
