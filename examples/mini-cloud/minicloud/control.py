"""Owns the requests under /_minicloud/: what tests and people ask of the cloud itself, in JSON, without a key.

  GET    /_minicloud/instances     the machines: id, state, region, account, image, kind, running, pid, address, reachable, open
  GET    /_minicloud/inventory     everything in the cloud with state and tags, see inventory
  GET    /_minicloud/faults        the fault scripts in force; POST a list adds, DELETE clears
  POST   /_minicloud/copy          {"image": id, "region": …, "name": …, "account": "main"}: a copy owned by that account;
                                   optional: "tags" (on image and snapshot), "created_at", "architecture"
  POST   /_minicloud/launched      {"image": id, "region": …, "at": RFC 3339, "account": "main"}: when it was last launched
  POST   /_minicloud/publish       {"version": "1.2"}: apt inside instances of the stock images offers this version of minicloud-motd from now on
  POST   /_minicloud/protect       {"image": id, "region": …, "account": "main"}: deregistration protection on
  POST   /_minicloud/unreachable   {"image": id} or {"instance": id}, "unreachable": false takes it back
  GET    /_minicloud/circumstances what of EC2's nature is switched on; POST an object changes it, DELETE makes it as in a new cloud
  POST   /_minicloud/end-sessions  {} or {"access_key": …}: sessions of AssumeRole, or that key, end now
  POST   /_minicloud/interrupt     {"instance": id, "seconds": 120}: a spot instance gets notice and is ended
  POST   /_minicloud/no-ed25519    {"image": id}: its next instances have an sshd without ed25519
  POST   /_minicloud/admit         {"region": …, "cidr": "0.0.0.0/0", "account": "main"}: the default group lets these clients to port 22
  GET    /_minicloud/checkip       the address under which this machine's clients arrive at public addresses, as plain text

Refuses anything else with 404 or 400 and the reason.
"""

from __future__ import annotations

import datetime
import json
from typing import Any

from .aptnews import publish
from .cloud import Cloud
from .faults import BadScript
from .fidelity import spot
from .inventory import inventory

PREFIX = "/_minicloud/"


def answer(gateway: Any, method: str, path: str, body: bytes) -> tuple[int, str]:
    """(HTTP status, JSON text) for one request."""
    verb = path.removeprefix(PREFIX)
    if (method, verb) == ("GET", "checkip"):
        return 200, (gateway.cloud.circumstances.nat_address or gateway.cloud.network.addresses.client) + "\n"
    try:
        status, value = of_fidelity(gateway, method, verb, body) or route(gateway, method, verb, body)
    except (BadScript, ValueError, TypeError, KeyError) as error:
        status, value = 400, {"error": str(error)}
    return status, json.dumps(value) + "\n"


def of_fidelity(gateway: Any, method: str, verb: str, body: bytes) -> tuple[int, Any] | None:
    """Does what a request asks of likeness to EC2; None for other requests."""
    cloud = gateway.cloud
    match method, verb:
        case "GET", "circumstances":
            return 200, cloud.circumstances.shown()
        case "POST", "circumstances":
            cloud.circumstances.change(json.loads(body))
        case "DELETE", "circumstances":
            cloud.circumstances.reset()
            gateway.fidelity.sessions.forget()
        case "POST", "end-sessions":
            return 200, {"ended": gateway.fidelity.sessions.end(json.loads(body or b"{}").get("access_key"))}
        case "POST", "interrupt":
            return 200, spot.interrupt(cloud, json.loads(body))
        case "POST", "admit":
            return 200, admit(cloud, json.loads(body))
        case "POST", "no-ed25519":
            cloud.no_ed25519.add(json.loads(body)["image"])
            return 200, {"no_ed25519": sorted(cloud.no_ed25519)}
        case _:
            return None
    cloud.follow_circumstances()
    return 200, cloud.circumstances.shown()


def route(gateway: Any, method: str, verb: str, body: bytes) -> tuple[int, Any]:
    """Does what a request asks."""
    cloud, faults = gateway.cloud, gateway.faults
    match method, verb:
        case "GET", "instances":
            return 200, [describe(cloud, machine) for machine in list(cloud.machines.values())]
        case "GET", "inventory":
            return 200, inventory(cloud)
        case "GET", "faults":
            return 200, faults.listed()
        case "POST", "faults":
            return 200, {"in_force": faults.add(json.loads(body))}
        case "DELETE", "faults":
            faults.clear()
            return 200, {"in_force": 0}
        case "POST", "copy":
            return 200, copy(cloud, json.loads(body))
        case "POST", "launched":
            return 200, launched(cloud, json.loads(body))
        case "POST", "publish":
            return 200, publish(cloud, json.loads(body)["version"])
        case "POST", "protect":
            return 200, protect(cloud, json.loads(body))
        case "POST", "unreachable":
            return 200, unreachable(cloud, json.loads(body))
    return 404, {"error": f"the mini cloud has no {method} {PREFIX}{verb}"}


def describe(cloud: Cloud, machine: Any) -> dict[str, Any]:
    """One machine, as it is now."""
    door, instance = machine.door, cloud.instances[machine.id]
    return {
        "id": machine.id, "state": instance.state, "region": instance.region_name, "account": instance.owner_id,
        "image": instance.image_id, "kind": machine.kind, "running": machine.running(), "pid": machine.leader(),
        "address": machine.address, "public_address": instance.public_ip, "reachable": machine.reachable, "open": bool(door and door.is_open.is_set()),
    }  # fmt: skip


def unreachable(cloud: Cloud, wish: Any) -> dict[str, Any]:
    """Marks an image (its next instances) or an instance (from its next start) as one whose port 22 never opens."""
    ids = [wish[key] for key in ("image", "instance") if key in wish] if isinstance(wish, dict) else []
    if not ids:
        raise ValueError('expected {"image": "ami-..."} or {"instance": "i-..."}')
    for key in ids:
        if wish.get("unreachable", True):
            cloud.unreachable.add(key)
        else:
            cloud.unreachable.discard(key)
        if key in cloud.machines:
            cloud.machines[key].reachable = key not in cloud.unreachable
    return {"unreachable": sorted(cloud.unreachable)}


def copy(cloud: Cloud, wish: dict[str, Any]) -> dict[str, Any]:
    """CopyImage within a region, without a client: how a test gets an image of its own in no time."""
    from .api.images import make

    with cloud.lock:
        backend = backend_of(cloud, wish)
        source = backend.describe_images(ami_ids=[wish["image"]])[0]
        image = make(backend, source, wish["name"], source.description, snapshot=f"Copied for DestinationAmi {{ami}} from SourceAmi {source.id}.")
        image.architecture = wish.get("architecture", image.architecture)
        if "created_at" in wish:
            image.creation_date = datetime.datetime.fromisoformat(wish["created_at"]).replace(tzinfo=None)
        if wish.get("tags"):
            image.add_tags(wish["tags"])
            image.ebs_snapshot.add_tags(wish["tags"])
        cloud.copy(source.id, image.id)
    return {"image": image.id, "snapshot": image.ebs_snapshot.id}


def launched(cloud: Cloud, wish: dict[str, Any]) -> dict[str, Any]:
    """Says when an image was last launched, by whomever."""
    with cloud.lock:
        backend_of(cloud, wish).amis[wish["image"]].last_launched_time = wish["at"]
    return {"image": wish["image"]}


def protect(cloud: Cloud, wish: dict[str, Any]) -> dict[str, Any]:
    """EnableImageDeregistrationProtection without a client."""
    with cloud.lock:
        backend_of(cloud, wish).amis[wish["image"]].deregistration_protection = "enabled-without-cooldown"
    return {"image": wish["image"]}


def admit(cloud: Cloud, wish: dict[str, Any]) -> dict[str, Any]:
    """AuthorizeSecurityGroupIngress of the default group without a client: new accounts' default groups let nobody in."""
    with cloud.lock:
        backend, cidr = backend_of(cloud, wish), wish.get("cidr", "0.0.0.0/0")
        group = backend.get_default_security_group()
        backend.authorize_security_group_ingress(group.id, "tcp", "22", "22", [{"CidrIp": cidr}])
    cloud.renew_admission()
    return {"group": group.id, "cidr": cidr}


def backend_of(cloud: Cloud, wish: dict[str, Any]) -> Any:
    """moto's records of the account and region that a wish names."""
    from moto.ec2.models import ec2_backends

    accounts = {account.name: account.id for account in cloud.accounts}
    return ec2_backends[accounts[wish.get("account", "main")]][wish["region"]]
