"""Owns what EC2 refuses to delete because something uses it, and the limits of tags.

Sources: DeleteSecurityGroup in botocore's data/ec2/2016-11-15/service-2.json (DependencyViolation: an instance, an interface,
another group's rule); InvalidGroup.InUse in docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html, said to
callers that name the group; "Tag restrictions", docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions
(50 tags, 128 and 256 characters, `aws:`).
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from ..answers import Answer, error_answer
from ..cloud import REGIONS, Cloud
from ..faults import Call

TAGS, KEY_LENGTH, VALUE_LENGTH = 50, 128, 256
_TAG = re.compile(r"(TagSpecification\.\d+|Tag)\.(?:Tag\.)?(\d+)\.(Key|Value)")


class GroupsInUse:
    """A security group stays as long as an instance that is not terminated, an interface, or another group's rule has it."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def before(self, call: Call) -> Answer | None:
        """The refusal of DeleteSecurityGroup."""
        if call.action != "DeleteSecurityGroup" or call.parameters.get("DryRun") == "true" or call.region not in REGIONS:
            return None
        from moto.ec2.models import ec2_backends

        with self._cloud.lock:
            backend = ec2_backends[call.account][call.region]
            named = call.parameters.get("GroupId") or call.parameters.get("GroupName", "")
            group = backend.get_security_group_by_name_or_id(named)
            if group is None or not group_in_use(backend, group):
                return None
        if "GroupId" in call.parameters:
            return error_answer("ec2", 400, "DependencyViolation", f"resource {group.id} has a dependent object")
        return error_answer("ec2", 400, "InvalidGroup.InUse", f"There are active instances using security group '{group.name}'")


def group_in_use(backend: Any, group: Any) -> bool:
    """Whether something holds the group."""
    alive = [instance for instance in backend.all_instances() if instance.state != "terminated"]
    if any(group.id in groups_of(instance) for instance in alive):
        return True
    mine = {nic.id for instance in alive for nic in instance.nics.values()}
    for nic in backend.enis.values():
        ended = nic.instance is not None and nic.id not in mine
        if not ended and group.id in {held.id for held in nic.group_set}:
            return True
    others = [other for groups in backend.groups.values() for other in groups.values() if other.id != group.id]
    rules = [rule for other in others for rule in (*other.ingress_rules, *other.egress_rules)]
    return any((rule.source_group or {}).get("GroupId") == group.id for rule in rules)


def groups_of(instance: Any) -> set[str]:
    """The ids of an instance's groups: its own and those of its interfaces."""
    held = [*instance.security_groups, *(group for nic in instance.nics.values() for group in nic.group_set)]
    return {group if isinstance(group, str) else group.id for group in held}


class TagLimits:
    """Tags that no resource may have; asked before anything is made."""

    def before(self, call: Call) -> Answer | None:
        """The refusal of a call that wants such tags."""
        if call.service != "ec2" or call.action == "DeleteTags":
            return None
        count: Counter[str] = Counter()
        for name, value in call.parameters.items():
            match = _TAG.fullmatch(name)
            if match is None:
                continue
            limit = KEY_LENGTH if match[3] == "Key" else VALUE_LENGTH
            if len(value) > limit:
                text = f"Tag {match[3].lower()} exceeds the maximum length of {limit} characters"
                return error_answer("ec2", 400, "InvalidParameterValue", text)
            if match[3] == "Key" and value.lower().startswith("aws:"):
                text = "Tag keys starting with 'aws:' are reserved for internal use"
                return error_answer("ec2", 400, "InvalidParameterValue", text)
            count[match[1]] += match[3] == "Key"
        if any(number > TAGS for number in count.values()):
            return error_answer("ec2", 400, "TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
        return None
