"""Owns which EC2 instance is which machine, and which image is which layers: the joint between moto's records and what runs.

Knows the life cycle (pending, running, stopping, stopped, shutting-down, terminated) and moves instances along it when their
machines do. Every change of moto's records, here and in the API, happens under `lock`; nothing slow happens under it.
Refuses to launch when the cloud is going down.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import pathlib
import shutil
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from . import seed
from .accounts import Account
from .booted import Booted
from .fidelity import groups, lifetimes, no_ed25519
from .fidelity.circumstances import Circumstances
from .fidelity.images import CopyOutcomes, LingeringImages
from .fidelity.visibility import LateTags
from .light import Light
from .machine import Machine
from .network import Admission, Network

REGIONS = ("us-east-1", "us-west-2", "eu-west-1", "eu-central-1", "ap-southeast-2")
DEBIAN_OWNER = "136693071363"  # the account that publishes Debian's images: wiki.debian.org/Cloud/AmazonEC2Image
UNREACHABLE_TAG = "minicloud:unreachable"
KINDS: dict[str, type[Machine]] = {"booted": Booted, "light": Light}


@dataclasses.dataclass(frozen=True)
class Layers:
    """What an image is made of: the kind of machine, and its folders (relative to the state folder), topmost first."""

    kind: str
    folders: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class BaseImage:
    """One of the images that a new cloud has in every region."""

    kind: str
    name: str
    folders: tuple[str, ...]

    def id_in(self, region: str) -> str:
        """The image's id: another one in each region, the same in every run."""
        return "ami-0" + hashlib.sha256(f"{region} {self.name}".encode()).hexdigest()[:16]


BASE_IMAGES = (
    BaseImage("booted", "debian-12-amd64-20261101-2000", ("base",)),
    BaseImage("light", "minicloud-light-12-amd64-20261101-2000", ("light", "base")),
)


class Cloud:
    """The machines and layers of one running mini cloud."""

    def __init__(self, state: pathlib.Path, accounts: list[Account], network: Network) -> None:
        self.state, self.accounts, self.network = state, accounts, network
        self.lock = threading.RLock()
        self.machines: dict[str, Machine] = {}
        self.instances: dict[str, Any] = {}  # moto's records, by the same ids
        self.layers: dict[str, Layers] = {}
        self.unreachable: set[str] = set()  # ids of images and instances
        self.no_ed25519: set[str] = set()  # ids of images
        self.circumstances = Circumstances()
        self.late_tags, self.lingering = LateTags(self.circumstances), LingeringImages(self.circumstances)
        self.copy_outcomes = CopyOutcomes(self.circumstances)
        self._made_private: list[Any] = []  # subnets that would give public addresses but for the circumstances
        self.metadata: Any = None  # the MetadataService of booted instances, where there is one
        self.closing = False
        for image in BASE_IMAGES:
            for region in REGIONS:
                self.layers[image.id_in(region)] = Layers(image.kind, image.folders)

    # Instances.

    def launch(self, instance: Any, public_key: str, image_tags: dict[str, str]) -> None:
        """Makes the machine of a new instance and starts it. Called under the lock, with the image's layers known."""
        if self.closing:
            raise RuntimeError("the mini cloud is going down")
        layers = self.layers[instance.image_id]
        user_data = base64.b64decode(str(instance.user_data)) if instance.user_data else None
        if public_key and instance.key_name:
            # EC2's metadata has the key pair's name as the key's comment; Packer's leftovers are known by it.
            public_key = " ".join([*public_key.split()[:2], instance.key_name])
        launch = seed.Launch(instance.id, "", public_key, user_data)
        machine = KINDS[layers.kind](self.state, self.network, launch, list(layers.folders))
        machine.reachable = not (instance.image_id in self.unreachable or image_tags.get(UNREACHABLE_TAG) == "true")
        machine.ed25519 = not (instance.image_id in self.no_ed25519 or image_tags.get(no_ed25519.TAG) == "true")
        machine.admission = lambda: self.admission(instance, machine)
        machine.started = lambda: self._running(instance)
        machine.ended = lambda: self._guest_ended(instance, machine)
        if machine.kind == "booted" and self.metadata:
            machine.attach = lambda leader: self.metadata.attach(instance.id, leader)
        self.machines[instance.id] = machine
        self.instances[instance.id] = instance
        set_state(instance, "pending")
        machine.start()

    def _running(self, instance: Any) -> None:
        """The machine runs: so does the instance, when it has been pending long enough."""
        since = instance.minicloud_since
        lifetimes.rest(since, lifetimes.PENDING)
        with self.lock:
            if instance.minicloud_since == since or instance.state == "running":
                self._move(instance, "running", instance.minicloud_start)

    def start(self, instance: Any) -> None:
        """Starts a stopped instance again, with the files it had, at another address."""
        set_state(instance, "pending")
        self.machines[instance.id].move()
        self.machines[instance.id].start()

    def stop(self, instance: Any) -> None:
        """Stops an instance in the background."""
        machine = self.machines[instance.id]
        set_state(instance, "stopping")
        since = instance.minicloud_since

        def work() -> None:
            machine.stop()
            lifetimes.rest(since, lifetimes.STOPPING)
            self._move(instance, "stopped", instance.minicloud_stop)

        self.later(work)

    def terminate(self, instance: Any, reason: str = "") -> None:
        """Terminates an instance in the background; its record and its console stay."""
        machine = self.machines[instance.id]
        set_state(instance, "shutting-down")
        since = instance.minicloud_since

        def work() -> None:
            machine.release()
            lifetimes.rest(since, lifetimes.SHUTTING_DOWN)
            self._move(instance, "terminated", instance.minicloud_terminate, reason)

        self.later(work)

    def _guest_ended(self, instance: Any, machine: Machine) -> None:
        """The guest powered itself off: what follows is what InstanceInitiatedShutdownBehavior says."""
        reason = "Server.InternalError" if machine.broken else "Client.InstanceInitiatedShutdown"
        if machine.broken or instance.instance_initiated_shutdown_behavior == "terminate":
            with self.lock:
                self.terminate(instance, reason)
        else:
            self._move(instance, "stopped", instance.minicloud_stop, reason)

    def _move(self, instance: Any, state: str, act: Callable[[], Any], reason: str = "") -> None:
        """Runs moto's own part of a transition and sets the state, under the lock; terminated is final."""
        with self.lock:
            current = instance.state
            if current == "terminated" or (state == "running" and current not in ("pending", "running")):
                return
            if current != state:
                act()
            set_state(instance, state)
            if reason:
                instance.state_reason.code = reason
                instance.state_reason.message = f"{reason}: {REASONS[reason]}"

    # Who gets in.

    def admission(self, instance: Any, machine: Machine) -> Admission:
        """An instance's addresses, and the clients of this machine that its groups and its subnet let through to each."""
        from .fidelity.dependencies import groups_of

        with self.lock:
            ranges = groups.admitted(instance.ec2_backend, groups_of(instance))
            found = {machine.address: ranges}
            if instance.public_ip:
                private = self.circumstances.private_subnets
                outside = [] if "*" in private or instance.subnet_id in private else ranges
                found[machine.public_address] = groups.as_seen(outside, self.circumstances.nat_address)
            return found

    def renew_admission(self) -> None:
        """Rules or circumstances have changed: every instance lets in who may come in by now."""
        for machine in list(self.machines.values()):
            machine.renew_admission()

    def follow_circumstances(self) -> None:
        """Makes true what circumstances say of subnets and clients."""
        from moto.ec2.models import ec2_backends

        private = self.circumstances.private_subnets
        with self.lock:
            for subnet in self._made_private:
                subnet.map_public_ip_on_launch = True
            backends = [ec2_backends[account.id][region] for account in self.accounts for region in REGIONS]
            subnets = [subnet for backend in backends for zone in backend.subnets.values() for subnet in zone.values()]
            self._made_private = [s for s in subnets if s.map_public_ip_on_launch and ("*" in private or s.id in private)]
            for subnet in self._made_private:
                subnet.map_public_ip_on_launch = False
        self.renew_admission()

    # Images.

    def capture(self, instance: Any, image: Any, reboot: bool) -> None:
        """Keeps an instance's own layer as the image's, in the background; the image is pending until it is whole."""
        machine = self.machines[instance.id]
        image.state, since = "pending", time.monotonic()

        def work() -> None:
            pause = reboot and machine.running()
            if pause:
                machine.stop()
            folder = f"images/{image.id}"
            try:
                copy_layer(machine.upper, self.state / folder)
                state = "available"
            except (OSError, subprocess.CalledProcessError) as error:
                print(f"mini-cloud: could not keep the layer of {image.id}: {error}", file=sys.stderr)
                state = "failed"
            lifetimes.rest(since, lifetimes.IMAGE_PENDING)
            with self.lock:
                if pause and not self.closing and instance.state == "running":
                    machine.start()
                if state == "available":
                    kind = self.layers[instance.image_id].kind
                    self.layers[image.id] = Layers(kind, (folder, *machine.layers))
                image.state = state

        self.later(work)

    def copy(self, source_id: str, copy_id: str) -> None:
        """An image copied to another region is the same layers under another id."""
        self.layers[copy_id] = self.layers[source_id]
        if source_id in self.unreachable:
            self.unreachable.add(copy_id)

    # The whole.

    def later(self, work: Callable[[], None]) -> threading.Thread:
        """Runs something slow outside the lock; what it raises is printed, never lost."""

        def guarded() -> None:
            try:
                work()
            except Exception:
                traceback.print_exc()

        thread = threading.Thread(target=guarded, daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        """Ends every machine, all at once, and the network; returns when nothing runs."""
        with self.lock:
            self.closing = True
            machines = list(self.machines.values())
        stops = [threading.Thread(target=m.stop, args=(False,)) for m in machines]
        for thread in stops:
            thread.start()
        for thread in stops:
            thread.join()
        if self.metadata:
            self.metadata.close()
        self.network.close()


REASONS = {
    "Client.InstanceInitiatedShutdown": "Instance initiated shutdown",
    "Server.InternalError": "Internal error on launch",
    "Server.SpotInstanceTermination": "Spot Instance termination",
}
CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}


def set_state(instance: Any, name: str) -> None:
    """Sets an instance's state by name."""
    instance._state.name, instance._state.code = name, CODES[name]
    instance.minicloud_since = time.monotonic()


def copy_layer(upper: pathlib.Path, layer: pathlib.Path) -> None:
    """Copies an instance's own layer, with its whiteouts and attributes; the seed of its first boot is not part of an image."""
    aside = layer.with_name(layer.name + ".new")
    aside.parent.mkdir(exist_ok=True)
    subprocess.run(["cp", "-a", "--reflink=auto", str(upper), str(aside)], check=True)
    shutil.rmtree(aside / seed.SEED, ignore_errors=True)
    aside.rename(layer)
