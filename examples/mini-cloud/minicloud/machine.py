"""Owns one instance as a thing that runs: its layers, its processes, its life from start to release.

A machine knows nothing of EC2: it starts, stops, reboots, and tells its owner by `ended` when the guest itself went down.
Kinds (booted, light) say only how the process is started and asked to stop. Every process dies with this program (the kernel
sends SIGKILL), and every mount lives in this program's own mount namespace, so that even a SIGKILL leaves none behind.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable

from . import cgroup, janitor, network, seed
from .fidelity import no_ed25519

STOP_PATIENCE = 25  # seconds a guest gets to shut down before it is killed, as EC2 does after some minutes
REBOOT_STATUS = 133  # systemd-nspawn's exit status when the guest asked for a reboot
CONSOLE_LIMIT = 65536  # bytes GetConsoleOutput returns at most

_starting = threading.Semaphore(8)  # machines that are prepared and mounted at the same time; more would only hinder each other

# The kernel's "die with your parent" is bound to the parent's *thread*, so all processes are started by one that never ends.
_spawner = concurrent.futures.ThreadPoolExecutor(1, "spawner")


class Machine:
    """One instance. `layers` are the image's folders, topmost first, relative to the state folder where they can be."""

    kind = ""
    depth = 1  # how many generations below the started process the guest's pid 1 is
    own_groups = False  # whether the guest needs control groups of its own

    def __init__(self, state: pathlib.Path, net: network.Network, launch: seed.Launch, layers: list[str]) -> None:
        self.id, self.launch, self.layers, self.net = launch.instance_id, launch, layers, net
        self.address, self.public_address = net.addresses.take(), net.addresses.take()
        launch.hostname = launch.hostname or "ip-" + self.address.replace(".", "-")
        self.state = state
        self.folder = state / "instances" / self.id
        self.upper, self.work, self.root = (self.folder / name for name in ("upper", "work", "root"))
        self.console_file = state / "consoles" / f"{self.id}.log"
        self.reachable = True
        self.ed25519 = True  # whether the first boot's sshd has such keys
        self.spot_end = ""  # when EC2 will end this spot instance, as its metadata say it
        self.admission: Callable[[], network.Admission] = dict
        self.attach: Callable[[int], None] = lambda _leader: None  # gives the guest its link to the metadata service
        self.started: Callable[[], None] = lambda: None
        self.ended: Callable[[], None] = lambda: None
        self.process: subprocess.Popen | None = None
        self.door: network.Door | None = None
        self._wanted = False
        self._lock = threading.Lock()
        self._minder: threading.Thread | None = None
        for folder in (self.upper, self.work, self.root, self.console_file.parent):
            folder.mkdir(parents=True, exist_ok=True)
        self._prepared = False
        self.broken = False  # could not be started; the console says why

    # What kinds differ in.

    def prepare(self) -> None:
        """Writes the first boot's files into the instance's own layer."""
        raise NotImplementedError

    def command(self) -> list[str]:
        """The program that is the instance while it runs."""
        raise NotImplementedError

    def shut_down(self, leader: int) -> None:
        """Asks the guest to power itself off."""
        raise NotImplementedError

    def restart(self, leader: int) -> None:
        """Asks the guest to reboot."""
        raise NotImplementedError

    def wants_again(self, status: int) -> bool:
        """Whether a guest that ended with this exit status is to be run again."""
        return status == REBOOT_STATUS

    def host_key_block(self) -> bytes:
        """What the console says beyond its own output; nothing for kinds whose guest says it itself."""
        return b""

    # The life that all kinds have.

    def start(self) -> None:
        """Mounts the layers and starts the guest; returns at once. `started` is called when its processes run."""
        with self._lock:
            self._wanted = True
            self._minder = threading.Thread(target=self._mind, name=self.id, daemon=True)
            self._minder.start()

    def move(self) -> None:
        """Takes another public address, as a stopped instance does in EC2 when it is started again (unless it has an Elastic IP)."""
        old, self.public_address = self.public_address, self.net.addresses.take()
        self.net.addresses.give_back(old)

    def stop(self, graceful: bool = True) -> None:
        """Ends the guest (by asking first, when graceful) and unmounts; returns when nothing of it runs."""
        with self._lock:
            self._wanted = False
            minder = self._minder
        if minder is None or minder is threading.current_thread():
            return
        deadline = time.monotonic() + (STOP_PATIENCE if graceful else 0)
        while minder.is_alive() and time.monotonic() < deadline:
            # Asked again and again: a guest that has only just started does not hear it yet.
            if leader := self.leader():
                with contextlib.suppress(ProcessLookupError):
                    self.shut_down(leader)
            minder.join(1)
        while minder.is_alive():
            self._kill()
            minder.join(0.2)

    def reboot(self) -> None:
        """Asks the guest to reboot; it comes back by itself."""
        if leader := self.leader():
            self.restart(leader)

    def release(self) -> None:
        """Removes the instance's files and gives its addresses back; the console's text stays."""
        self.stop(graceful=False)
        shutil.rmtree(self.folder, ignore_errors=True)
        for address in (self.address, self.public_address):
            self.net.addresses.give_back(address)

    def renew_admission(self) -> None:
        """Lets in who may come in by now."""
        if door := self.door:
            door.admit(self.admission())

    def running(self) -> bool:
        """Whether the guest's process is there."""
        return self.process is not None and self.process.poll() is None

    def leader(self) -> int | None:
        """The pid (outside) of the guest's pid 1, or None while there is none."""
        process = self.process
        if process is None or process.poll() is not None:
            return None
        pid = process.pid
        for _ in range(self.depth):
            try:
                children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            except OSError:
                return None
            if not children:
                return None
            pid = int(children[0])
        return pid

    def console(self) -> bytes:
        """The console's last 64 KiB."""
        text = self.console_file.read_bytes() if self.console_file.exists() else b""
        return (text + self.host_key_block())[-CONSOLE_LIMIT:]

    def mount_options(self) -> str:
        """The overlay's options, with paths relative to the state folder: the kernel takes only one page of them."""
        relative = lambda path: os.path.relpath(path, self.state)  # noqa: E731
        return f"lowerdir={':'.join(self.layers)},upperdir={relative(self.upper)},workdir={relative(self.work)}"

    def _mind(self) -> None:
        """The minder's thread: mount, run, run again after a reboot, unmount, tell."""
        mounted = False
        try:
            with _starting:
                if not self._prepared:
                    self.prepare()
                    if not self.ed25519:
                        no_ed25519.write(self.upper)
                    self._prepared = True
                subprocess.run(
                    ["mount", "-t", "overlay", "overlay", "-o", self.mount_options(), self.root], cwd=self.state, check=True
                )
                mounted = True
            while self._wanted:
                if not self.wants_again(self._run_once()):
                    break
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            self.broken = True
            with open(self.console_file, "a") as console:
                console.write(f"mini-cloud: this instance could not be started: {error}\n")
        finally:
            if mounted:
                subprocess.run(["umount", "-l", self.root], check=False, stderr=subprocess.DEVNULL)
        if self._wanted:
            self._wanted = False
            self.ended()

    def _run_once(self) -> int:
        groups = cgroup.make(self.id) if self.own_groups else []
        with open(self.console_file, "ab") as console:
            # The shell enters the groups ($@ up to --), then becomes the command; $0 is only a name.
            enter = 'while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs"; shift; done; shift; exec "$@"'
            command = ["setpriv", "--pdeathsig", "KILL", "--", "sh", "-c", enter, "guest", *groups, "--", *self.command()]
            self.process = _spawner.submit(
                subprocess.Popen, command, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT, cwd=self.state
            ).result()
        janitor.record(self.folder, self.process.pid, groups=groups)
        leader = self._wait_for_leader()
        if leader:
            self.attach(leader)
            self.started()
            if self.reachable:
                self.door = self.net.open_door(self.admission(), leader)
                self.renew_admission()  # rules may have changed while the door was made
        status = self.process.wait()
        if self.door:
            self.door.close()
            self.door = None
        cgroup.remove(groups)
        return status

    def _wait_for_leader(self) -> int | None:
        """The guest's pid 1, once it lives in a network namespace of its own."""
        own = os.readlink("/proc/self/ns/net")
        while self.running():
            leader = self.leader()
            with contextlib.suppress(OSError):
                if leader and os.readlink(f"/proc/{leader}/ns/net") != own:
                    return leader
            time.sleep(0.01)
        return None

    def _kill(self) -> None:
        for pid in (self.leader(), self.process.pid if self.running() else None):
            if pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
