"""Owns what the log says of the resources that a call names, as they are when it arrives: kind, owner, VPC, tags. From this a test can tell what
IAM would have seen. Refuses to change anything, and to fail: what does not exist is said to be nobody's.
"""

from __future__ import annotations

import re
from typing import Any

from .cloud import REGIONS, Cloud
from .faults import Call

_ID = re.compile(r"(ami|snap|i|vol|sg|eni|subnet|vpc|lt)-[0-9a-f]{8,17}")
KINDS = {
    "ami": "image", "snap": "snapshot", "i": "instance", "vol": "volume", "sg": "security-group", "eni": "network-interface",
    "subnet": "subnet", "vpc": "vpc", "lt": "launch-template",
}  # fmt: skip


def resources(cloud: Cloud, call: Call) -> dict[str, dict[str, Any]]:
    """By id, or a key pair's name: `kind`, `exists`, `owner` and `vpc` where there is one, `tags`. The default VPC is there for calls that may mean it."""
    from moto.ec2.models import ec2_backends

    if call.service != "ec2" or not call.account or call.region not in REGIONS:
        return {}
    found: dict[str, dict[str, Any]] = {}
    with cloud.lock:
        here = ec2_backends[call.account][call.region]
        for name, value in call.parameters.items():
            if match := _ID.fullmatch(value):
                others = [ec2_backends[call.account][region] for region in REGIONS if region != call.region]
                found[value] = first(value, match[1], [here, *others])
            elif name == "KeyName" and value:
                found[value] = key_pair(here, value)
        if call.action in ("RunInstances", "CreateSecurityGroup"):
            vpc = here.get_default_vpc()
            found["default-vpc"] = {"kind": "vpc", "id": vpc.id if vpc else None}
    return found


def first(name: str, prefix: str, backends: list[Any]) -> dict[str, Any]:
    """The resource in the first region that has it."""
    for backend in backends:
        if resource := look_up(backend, prefix, name):
            owner, vpc = getattr(resource, "owner_id", None), getattr(resource, "vpc_id", None)
            return {"kind": KINDS[prefix], "exists": True, "owner": owner, "vpc": vpc, "tags": dict(backend.tags.get(name, {}))}
    return {"kind": KINDS[prefix], "exists": False, "owner": None, "vpc": None, "tags": {}}


def look_up(backend: Any, prefix: str, name: str) -> Any:
    """A resource of moto's by its id; None where there is none."""
    match prefix:
        case "ami":
            return backend.amis.get(name)
        case "snap":
            return backend.snapshots.get(name)
        case "i":
            return next((i for i in backend.all_instances() if i.id == name), None)
        case "vol":
            return backend.volumes.get(name)
        case "sg":
            return next((group[name] for group in backend.groups.values() if name in group), None)
        case "eni":
            return backend.enis.get(name)
        case "subnet":
            return next((zone[name] for zone in backend.subnets.values() if name in zone), None)
        case "vpc":
            return backend.vpcs.get(name)
    return None


def key_pair(backend: Any, name: str) -> dict[str, Any]:
    """A key pair by its name."""
    pair = backend.key_pairs.get(name)
    tags = dict(backend.tags.get(pair.id, {})) if pair else {}
    return {"kind": "key-pair", "exists": pair is not None, "owner": backend.account_id, "vpc": None, "tags": tags}
