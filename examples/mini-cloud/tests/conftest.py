"""Owns the cloud that the tests talk to, one for all of them, and what a test needs to use it: clients, launches, ssh.

Refuses to run without root, and says the cure. Every test makes what it needs itself and terminates it.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

HERE = pathlib.Path(__file__).resolve().parent
LAUNCHER = HERE.parent / "mini-cloud"
sys.path.insert(0, str(HERE.parent))  # some tests look at the package itself
PATIENCE = 120  # seconds until a wait gives up; far more than anything takes on an idle machine


def pytest_configure(config: pytest.Config) -> None:
    """No root, no tests: a red run, not a skipped one."""
    if os.geteuid() != 0:
        pytest.exit("the mini cloud's tests boot machines and need root: sudo ./mini-cloud python -m pytest tests", returncode=1)


def wait_for(what: str, probe, patience: float = PATIENCE):
    """The first true value that `probe` returns; fails with `what` when there is none in time."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if value := probe():
            return value
        time.sleep(0.2)
    raise AssertionError(f"not in {patience} s: {what}")


def known(call):
    """What a call about something new answers as soon as EC2 knows it."""

    def attempt():
        try:
            return (call(),)
        except ClientError as error:
            if not error.response["Error"]["Code"].endswith(".NotFound"):
                raise
            return None

    return wait_for("what was just made is known", attempt, 10)[0]


class Server:
    """A running `mini-cloud up`."""

    def __init__(self, state: pathlib.Path, *flags: str) -> None:
        self.state, ready = state, state / "ready.json"
        state.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, str(LAUNCHER), "up", "--state", str(state), "--ready-file", str(ready), *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_for("the server's ready file", lambda: ready.exists() or self.process.poll() is not None)
        assert self.process.poll() is None, f"mini-cloud up ended with {self.process.returncode}"
        self.ready = json.loads(ready.read_text())
        for account in self.ready["accounts"]:
            for region in self.ready["regions"]:
                self.control("POST", "admit", {"region": region, "account": account})

    def stop(self) -> int:
        """Ends it as a person would; returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def client(self, service: str = "ec2", region: str = "us-east-1", account: str = "main", attempts: int = 1, **keys: str):
        """A boto3 client that does not retry unless told to, so that every error is seen."""
        who = self.ready["accounts"][account]
        given = {"aws_access_key_id": who["access_key"], "aws_secret_access_key": who["secret_key"], **keys}
        config = Config(retries={"total_max_attempts": attempts, "mode": "standard"})
        return boto3.client(service, region_name=region, endpoint_url=self.ready["endpoint"], config=config, **given)

    def control(self, method: str, verb: str, body: object = None):
        """A request to the cloud itself."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.ready['endpoint']}/_minicloud/{verb}", data, method=method)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def client_address(self) -> str:
        """The address under which this machine's clients arrive at public addresses."""
        with urllib.request.urlopen(f"{self.ready['endpoint']}/_minicloud/checkip") as answer:
            return answer.read().decode().strip()

    def calls(self, action: str) -> list[dict]:
        """The call log's lines about one action."""
        lines = pathlib.Path(self.ready["call_log"]).read_text().splitlines()
        return [entry for entry in map(json.loads, lines) if entry["action"] == action]


class Guest:
    """One instance under test."""

    def __init__(self, desk: Desk, instance_id: str, region: str) -> None:
        self.desk, self.id, self.ec2 = desk, instance_id, desk.server.client(region=region, attempts=9)

    def describe(self) -> dict:
        """The instance as DescribeInstances shows it."""
        return known(lambda: self.ec2.describe_instances(InstanceIds=[self.id]))["Reservations"][0]["Instances"][0]

    def state(self) -> str:
        """Its state's name."""
        return self.describe()["State"]["Name"]

    def wait_state(self, name: str) -> dict:
        """Waits for a state; returns the description."""
        wait_for(f"{self.id} {name}", lambda: self.state() == name)
        return self.describe()

    def address(self) -> str:
        """Its public address, once it has one."""
        return wait_for(f"{self.id} has an address", lambda: self.describe().get("PublicIpAddress"))

    def wait_port(self) -> None:
        """Waits until something answers on port 22."""
        wait_for(f"port 22 of {self.id}", lambda: port_open(self.address()))

    def ssh(self, command: str, options: tuple[str, ...] = ("-o", "StrictHostKeyChecking=no"), user: str = "debian"):
        """Runs a command in the guest; tries again while sshd or the key is not there yet."""
        self.wait_port()
        base = [
            "ssh",
            "-i",
            str(self.desk.key),
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "LogLevel=ERROR",
            "-o",
            "BatchMode=yes",
        ]
        full = [*base, *options, f"{user}@{self.address()}", command]
        results: list[subprocess.CompletedProcess] = []

        def attempt() -> bool:
            results.append(subprocess.run(full, capture_output=True, text=True, timeout=PATIENCE))
            return results[-1].returncode != 255

        wait_for(f"ssh to {self.id}", attempt)
        return results[-1]

    def booted(self) -> str:
        """Waits for the end of cloud-init; returns the guest's host name."""
        result = self.ssh("cloud-init status --wait >/dev/null; hostname")
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()


def unthrottled(call):
    """What a call answers when EC2 has time for it; other errors are not waited for."""

    def attempt():
        try:
            return (call(),)
        except ClientError as error:
            if error.response["Error"]["Code"] != "RequestLimitExceeded":
                raise
            return None

    return wait_for("room for a request", attempt)[0]


def port_open(address: str) -> bool:
    """Whether something answers there on port 22."""
    with contextlib.suppress(OSError), socket.create_connection((address, 22), 2):
        return True
    return False


class Desk:
    """What one test does with the cloud: launches that are terminated at its end."""

    def __init__(self, server: Server, key: pathlib.Path) -> None:
        self.server, self.key, self.guests = server, key, []
        self.ec2 = server.client()

    def launch(self, image: str | None = None, region: str = "us-east-1", light: bool = False, **more) -> Guest:
        """RunInstances with the tests' key."""
        ec2 = self.server.client(region=region)
        images = self.server.ready["light_images" if light else "images"]
        if not ec2.describe_key_pairs(Filters=[{"Name": "key-name", "Values": ["tests"]}])["KeyPairs"]:
            ec2.import_key_pair(KeyName="tests", PublicKeyMaterial=self.key.with_suffix(".pub").read_bytes())
        wish = {"MinCount": 1, "MaxCount": 1, "InstanceType": "t3.small", "KeyName": "tests", **more}
        reservation = unthrottled(lambda: ec2.run_instances(ImageId=image or images[region], **wish))
        guest = Guest(self, reservation["Instances"][0]["InstanceId"], region)
        self.guests.append(guest)
        return guest

    def image_of(self, guest: Guest, **more) -> str:
        """CreateImage, waited for; returns its id."""
        name = f"test-{uuid.uuid4()}"
        image = guest.ec2.create_image(InstanceId=guest.id, Name=name, **more)["ImageId"]
        self.wait_image(guest.ec2, image)
        return image

    def wait_image(self, ec2, image: str) -> dict:
        """Waits until an image is available."""
        describe = lambda: known(lambda: ec2.describe_images(ImageIds=[image]))["Images"][0]  # noqa: E731
        wait_for(f"{image} available", lambda: describe()["State"] == "available")
        return describe()

    def end(self) -> None:
        """Terminates every launch."""
        for guest in self.guests:
            known(lambda guest=guest: guest.ec2.terminate_instances(InstanceIds=[guest.id]))
        for guest in self.guests:
            guest.wait_state("terminated")


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The one cloud of a test run."""
    running = Server(tmp_path_factory.mktemp("cloud"))
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="session")
def key(tmp_path_factory):
    """A private key file, its public half beside it."""
    path = tmp_path_factory.mktemp("key") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


@pytest.fixture
def desk(server, key):
    """A desk whose launches end with the test."""
    mine = Desk(server, key)
    yield mine
    server.control("DELETE", "faults")
    server.control("DELETE", "circumstances")
    mine.end()
