"""Owns eventual consistency: what was just made is unknown to other calls for a moment, and tags that were just changed still
show what they were.

Source: "Eventual consistency in the Amazon EC2 API", docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html, which
names InvalidInstanceID.NotFound and InvalidGroup.NotFound; the waiters ImageExists, InstanceExists, SecurityGroupExists of
botocore (data/ec2/2016-11-15/waiters-2.json), which retry the errors used here. Real delays have no upper bound; these are
short and constant.
"""

from __future__ import annotations

import re
import threading
import time

from ..answers import Answer, error_answer
from ..faults import Call
from . import listing
from .circumstances import Circumstances

# What makes something -> the element of its answer that names it.
MAKES = {
    "RunInstances": "instanceId", "CreateImage": "imageId", "CopyImage": "imageId", "RegisterImage": "imageId",
    "CreateSecurityGroup": "groupId", "CreateVolume": "volumeId", "CreateSnapshot": "snapshotId",
}  # fmt: skip
NOT_FOUND = {
    "i": ("InvalidInstanceID.NotFound", "The instance ID '{}' does not exist"),
    "ami": ("InvalidAMIID.NotFound", "The image id '[{}]' does not exist"),
    "sg": ("InvalidGroup.NotFound", "The security group '{}' does not exist"),
    "vol": ("InvalidVolume.NotFound", "The volume '{}' does not exist."),
    "snap": ("InvalidSnapshot.NotFound", "The snapshot '{}' does not exist."),
}
# Elements that are the id of the thing that a listing is about.
LISTED = {
    "DescribeInstances": "instanceId", "DescribeInstanceStatus": "instanceId", "DescribeImages": "imageId", "DescribeSecurityGroups": "groupId",
    "DescribeVolumes": "volumeId", "DescribeSnapshots": "snapshotId",
}  # fmt: skip


class NewAreUnknown:
    """For a moment after it was made, a resource is in no listing, and a call that names it is told that it does not exist."""

    def __init__(self, circumstances: Circumstances) -> None:
        self._circumstances = circumstances
        self._made: dict[tuple[str, str, str], float] = {}  # account, region, id -> when
        self._lock = threading.Lock()

    def before(self, call: Call) -> Answer | None:
        """The error of a call that names something new; a filter is no naming."""
        new = self._new(call)
        for name, value in call.parameters.items():
            if value in new and not name.startswith("Filter."):
                code, text = NOT_FOUND[value.partition("-")[0]]
                return error_answer("ec2", 400, code, text.format(value))
        return None

    def after(self, call: Call, answer: Answer) -> Answer:
        """Notes what was made; takes what is new out of listings."""
        if call.service != "ec2" or answer.status != 200:
            return answer
        if call.action in MAKES:
            found = re.findall(rf"<{MAKES[call.action]}>([^<]+)</".encode(), answer.body)
            with self._lock:
                for name in found:
                    self._made.setdefault((call.account, call.region, name.decode()), time.monotonic())
        elif call.action in LISTED:
            new = [name for name in self._new(call) if name.encode() in answer.body]
            if new:
                return Answer(answer.status, without(answer.body, LISTED[call.action], set(new)), answer.headers)
        return answer

    def _new(self, call: Call) -> set[str]:
        """What is still unknown in this call's account and region."""
        if call.service != "ec2":
            return set()
        since, here = time.monotonic() - self._circumstances.lag_seconds, (call.account, call.region)
        with self._lock:
            new = {name for (account, region, name), at in self._made.items() if (account, region) == here and at > since}
        return new if self._circumstances.lagging_images else {name for name in new if not name.startswith("ami-")}


def without(body: bytes, element: str, names: set[str]) -> bytes:
    """An EC2 listing without the items whose `element` is one of the names, and without reservations that are left empty."""
    root, tag = listing.parse(body)
    stays = lambda item: item.findtext(tag(element)) not in names  # noqa: E731
    for parent in list(root.iter()):
        for item in [child for child in parent if child.tag == tag("item")]:
            instances = item.find(tag("instancesSet"))
            if not stays(item) or (instances is not None and not any(map(stays, instances))):
                parent.remove(item)
    return listing.text(root)


class LateTags:
    """What CreateTags and DeleteTags changed is seen a moment later. Called from moto's own reading of tags, under the cloud's lock."""

    def __init__(self, circumstances: Circumstances) -> None:
        self._circumstances = circumstances
        self._before: dict[str, tuple[float, dict[str, str]]] = {}  # resource -> when it was changed, what it had

    def changing(self, resource: str, tags: dict[str, str]) -> None:
        """A call is about to change these tags of a resource."""
        at, _ = self._before.get(resource, (0.0, {}))
        if time.monotonic() - at > self._circumstances.tag_lag_seconds:
            self._before[resource] = (time.monotonic(), dict(tags))

    def seen(self, resource: str, tags: dict[str, str]) -> dict[str, str]:
        """The tags that a listing shows now."""
        at, before = self._before.get(resource, (0.0, {}))
        return before if time.monotonic() - at < self._circumstances.tag_lag_seconds else tags
