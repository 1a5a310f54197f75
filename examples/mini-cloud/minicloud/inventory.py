"""Owns the answer to "what is in this cloud now": instances, images, snapshots, key pairs, security groups, volumes and Parameter Store
parameters of the accounts, in every region, with state and tags. For tests and people; refuses to change anything.
"""

from __future__ import annotations

from typing import Any

from .cloud import REGIONS, Cloud


def inventory(cloud: Cloud) -> dict[str, list[dict[str, Any]]]:
    """Lists of plain records by kind; each record says its account and region."""
    from moto.ec2.models import ec2_backends

    found: dict[str, list[dict[str, Any]]] = {
        kind: [] for kind in ("instances", "images", "snapshots", "key_pairs", "security_groups", "volumes", "parameters")
    }
    with cloud.lock:
        for account in cloud.accounts:
            for region in REGIONS:
                backend = ec2_backends[account.id][region]
                kinds = of_backend(backend, account.id) | {"parameters": parameters(account.id, region)}
                for kind, records in kinds.items():
                    found[kind] += [{"account": account.name, "region": region, **record} for record in records]
    return found


def of_backend(backend: Any, account: str) -> dict[str, list[dict[str, Any]]]:
    """What one account has in one region."""
    return {
        "instances": [
            {
                "id": i.id, "state": i._state.name, "image": i.image_id, "type": i.instance_type, "key_name": i.key_name,
                "client_token": getattr(i, "client_token", None), "tags": tags_of(i),
            }
            for i in backend.all_instances()
        ],
        "images": [
            {
                "id": a.id, "name": a.name, "state": a.state, "tags": tags_of(a),
                "protected": bool(backend_protection(a)), "deprecation_time": a.deprecation_time,
                "launch_permissions": list(a.launch_permissions),
                "snapshots": [a.ebs_snapshot.id] if getattr(a, "ebs_snapshot", None) else [],
            }
            for a in backend.amis.values()
            if a.owner_id == account
        ],
        "snapshots": [{"id": s.id, "tags": tags_of(s)} for s in backend.snapshots.values() if s.owner_id == account],
        "key_pairs": [{"id": k.id, "name": k.key_name, "tags": tags_of(k)} for k in backend.key_pairs.values()],
        "security_groups": [
            {"id": g.id, "name": g.name, "tags": tags_of(g), "ingress": len(g.ingress_rules)}
            for groups in backend.groups.values()
            for g in groups.values()
        ],
        "volumes": [{"id": v.id, "name": "", "state": v.status, "tags": tags_of(v)} for v in backend.volumes.values()],
    }  # fmt: skip


def parameters(account: str, region: str) -> list[dict[str, str]]:
    """The Parameter Store's own parameters of one account in one region, without those that AWS publishes."""
    from moto.ssm.models import ssm_backends

    store = ssm_backends[account][region]._parameters
    return [{"name": name, "value": store[name][-1].value} for name in list(store) if store[name] and not name.startswith("/aws/")]


def backend_protection(ami: Any) -> str | None:
    """EC2's word for the image's deregistration protection; None where it is off."""
    word = getattr(ami, "deregistration_protection", None)
    return None if word in (None, "disabled", False) else str(word)


def tags_of(resource: Any) -> dict[str, str]:
    """A resource's tags as a plain mapping."""
    return dict(resource.ec2_backend.tags.get(resource.id, {}))
