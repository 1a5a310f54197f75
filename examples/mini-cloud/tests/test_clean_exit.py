"""Whatever way a cloud ends, nothing of it stays: no process, mount, port, control group, link."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys

import pytest
from conftest import LAUNCHER, Desk, Server, wait_for


def leftovers(server: Server) -> list[str]:
    """Everything of this cloud that can still be seen on the machine."""
    found = []
    state = str(server.state)
    for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"{state}/" in line or line.rstrip().endswith(state) or f"{state} " in line:
            found.append(f"process {line}")
    found += [line for line in pathlib.Path("/proc/self/mounts").read_text().splitlines() if state in line]
    for folder in pathlib.Path("/sys/fs/cgroup").rglob("mini-cloud-i-*"):
        if folder.name.removeprefix("mini-cloud-") in server.mine:
            found.append(f"group {folder}")
    ports = subprocess.run(["ss", "-Hltn", "sport", "=", ":22"], capture_output=True, text=True).stdout
    found += [line for line in ports.splitlines() for address in server.mine.values() if f"{address}:22" in line]
    return found


@pytest.fixture
def busy(tmp_path, key):
    """A cloud of its own with a booted and a light instance running."""
    servers = []

    def make(*flags: str) -> Server:
        server = Server(tmp_path / f"state{len(servers)}", *flags)
        servers.append(server)
        desk = Desk(server, key)
        for light in (False, True):
            desk.launch(light=light).wait_port()
        server.mine = {entry["id"]: entry["address"] for entry in server.control("GET", "instances")}
        server.pids = [entry["pid"] for entry in server.control("GET", "instances")]
        return server

    yield make
    for server in servers:
        subprocess.run([sys.executable, str(LAUNCHER), "down", "--state", str(server.state)], check=True)


def gone(pids: list[int]) -> bool:
    """Whether none of these processes runs (one that only waits to be collected does not)."""
    states = []
    for pid in pids:
        try:
            states.append(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0])
        except OSError:
            continue
    return all(state in "ZX" for state in states)


def test_a_busy_cloud_is_seen(busy):
    server = busy()
    assert [line for line in leftovers(server) if "process" in line], "this test could not fail"
    assert server.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_end(busy, number):
    server = busy()
    server.process.send_signal(number)
    assert server.process.wait(60) == 0
    assert leftovers(server) == [] and gone(server.pids)
    assert not list(server.state.glob("instances/*")) and (server.state / "calls.jsonl").exists()


def test_killed_then_down(busy):
    server = busy()
    server.process.kill()
    server.process.wait()
    wait_for("the guests' death", lambda: gone(server.pids))
    down = subprocess.run([sys.executable, str(LAUNCHER), "down", "--state", str(server.state)])
    assert down.returncode == 0
    assert leftovers(server) == []


def test_parent_is_gone(busy):
    parent = subprocess.Popen(["sleep", "600"])
    server = busy("--parent-pid", str(parent.pid))
    parent.kill()
    parent.wait()
    assert server.process.wait(60) == 0
    assert leftovers(server) == [] and gone(server.pids)


def test_addresses_behind_a_link_of_their_own(busy):
    server = busy("--addresses", "routed")
    assert all(address.startswith("198.18.") for address in server.mine.values())
    assert server.stop() == 0
    assert leftovers(server) == []
    link = f"minicloud{server.mine.popitem()[1].split('.')[2]}@"

    def links() -> str:
        return subprocess.run(["ip", "-brief", "link"], capture_output=True, text=True).stdout

    wait_for("the link's removal, which the kernel does a moment later", lambda: link not in links())


def test_run_gives_the_environment_and_the_status(tmp_path):
    script = 'test -n "$AWS_ACCESS_KEY_ID" && test "$AWS_REGION" = us-east-1 && echo "$AWS_ENDPOINT_URL" && exit 7'
    command = [sys.executable, str(LAUNCHER), "run", "--state", str(tmp_path / "s"), "--", "sh", "-c", script]
    result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "AWS_PROFILE": "mine"})
    assert result.returncode == 7, result.stderr
    assert result.stdout.startswith("http://127.0.0.1:")
    assert not list((tmp_path / "s").glob("server.json"))
