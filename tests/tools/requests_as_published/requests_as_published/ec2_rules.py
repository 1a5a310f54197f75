"""Owns what EC2 publishes in words only: in the documentation of botocore's data/ec2/2016-11-15/service-2.json, from which it
is read where it has a fixed form (filters' names, page sizes with ids), and written down here where it has none. Each rule
says which member's documentation it is from.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

from botocore.model import OperationModel

TAGS, TAG_KEY, TAG_VALUE = 50, 128, 256  # "Tag restrictions" in the EC2 user guide
FILTER_VALUES = 200  # "Filtering" in the EC2 API reference
USER_DATA = (16384 + 2) // 3 * 4  # 16 KB before base64: UserData of RunInstances
CLIENT_TOKEN = 64
# member -> (least, most, pattern): the documentation of CreateSecurityGroup, CreateImage, ImportKeyPair
NAMES = {
    ("CreateSecurityGroup", "GroupName"): (1, 255, r"(?!sg-)[\w .:/()#,@\[\]+=&;{}!$*-]+"),
    ("CreateSecurityGroup", "Description"): (1, 255, r"[\w .:/()#,@\[\]+=&;{}!$*-]+"),
    ("CreateImage", "Name"): (3, 128, r"[A-Za-z0-9()\[\] ./'@_-]+"),
    ("CopyImage", "Name"): (3, 128, r"[A-Za-z0-9()\[\] ./'@_-]+"),
    ("RegisterImage", "Name"): (3, 128, r"[A-Za-z0-9()\[\] ./'@_-]+"),
    ("CreateKeyPair", "KeyName"): (1, 255, r"[\x20-\x7e]+"),
    ("ImportKeyPair", "KeyName"): (1, 255, r"[\x20-\x7e]+"),
}
# TagSpecifications: what each call says that it can tag.
TAGGED = {
    "RunInstances": {"instance", "volume", "network-interface", "spot-instances-request", "elastic-gpu"}, "CreateImage": {"image", "snapshot"},
    "CopyImage": {"image", "snapshot"}, "RegisterImage": {"image"}, "ImportKeyPair": {"key-pair"}, "CreateKeyPair": {"key-pair"},
    "CreateSecurityGroup": {"security-group"}, "CreateVolume": {"volume"}, "CreateSnapshot": {"snapshot"}, "CreateLaunchTemplate": {"launch-template"},
}  # fmt: skip
# NetworkInterfaces of RunInstances: with them, these are given in them.
IN_THE_INTERFACE = ("SubnetId", "SecurityGroupIds", "SecurityGroups", "PrivateIpAddress", "Ipv6Addresses", "Ipv6AddressCount")
_FILTER = re.compile(r"<li>\s*<p>\s*(?:<code>|<b>)([^<]+)(?:</code>|</b>)")


def findings(operation: OperationModel, given: dict[str, Any], flat: dict[str, str]) -> Iterator[str]:
    """What of an EC2 request is not as documented."""
    yield from of_filters(operation, given)
    yield from of_pages(operation, given)
    yield from of_tags(operation.name, given)
    yield from of_names(operation.name, given)
    if operation.name == "RunInstances":
        yield from of_launch(given)
    token = given.get("ClientToken", "")
    if len(token) > CLIENT_TOKEN or not token.isascii():
        yield f"ClientToken has {len(token)} characters; documented are at most {CLIENT_TOKEN} of ASCII"
    for name, text in flat.items():
        if name.endswith("UserData") and (size := re.match(r"\((\d+) characters", text)) and int(size[1]) > USER_DATA:
            yield f"{name} has {size[1]} characters in base64; documented are {USER_DATA}"


@functools.cache
def documented_filters(operation: OperationModel) -> frozenset[str]:
    """The names of a listing's filters; empty where its documentation lists none."""
    member = operation.input_shape.members.get("Filters") if operation.input_shape else None
    return frozenset(name.strip() for name in _FILTER.findall(member.documentation)) if member is not None else frozenset()


def of_filters(operation: OperationModel, given: dict[str, Any]) -> Iterator[str]:
    """Filters that the listing does not have, without values, or with too many."""
    known = documented_filters(operation)
    values = 0
    for one in given.get("Filters", []):
        name = one.get("Name", "")
        if known and name not in known and not (name.startswith("tag:") and any(k.startswith("tag") for k in known)):
            yield f"the filter {name!r} is none of {operation.name}'s"
        if not one.get("Values"):
            yield f"the filter {name!r} has no value"
        values += len(one.get("Values", []))
    if values > FILTER_VALUES:
        yield f"the filters have {values} values; EC2 takes {FILTER_VALUES}"


@functools.cache
def excluded_by_pages(operation: OperationModel) -> frozenset[str]:
    """The lists of ids that MaxResults does not go with, as its documentation says."""
    shape = operation.input_shape
    member = shape.members.get("MaxResults") if shape else None
    text = re.sub(r"<[^>]+>", "", member.documentation) if member is not None else ""
    if not re.search(r"cannot specify this parameter and [^.]*\bIDs?\b", text):
        return frozenset()
    return frozenset(name for name, inner in shape.members.items() if inner.type_name == "list" and name.endswith("Ids"))


def of_pages(operation: OperationModel, given: dict[str, Any]) -> Iterator[str]:
    """A page size together with ids."""
    for name in sorted(excluded_by_pages(operation) & set(given)):
        if "MaxResults" in given:
            yield f"MaxResults goes not with {name}"


def of_tags(action: str, given: dict[str, Any]) -> Iterator[str]:
    """Tags that no resource may have, and kinds that the call cannot tag."""
    lists = [("Tags", given.get("Tags", []))] if action == "CreateTags" else []
    for number, one in enumerate(given.get("TagSpecifications", []), 1):
        lists.append((f"TagSpecifications.{number}", one.get("Tags", [])))
        kind = one.get("ResourceType", "")
        if action in TAGGED and kind not in TAGGED[action]:
            yield f"TagSpecifications.{number} tags a {kind}, which {action} does not make"
    for path, tags in lists:
        keys = [tag.get("Key", "") for tag in tags]
        if len(keys) > TAGS:
            yield f"{path} has {len(keys)} tags; a resource has at most {TAGS}"
        for key in sorted({key for key in keys if keys.count(key) > 1}):
            yield f"{path} has the tag {key!r} more than once"
        for tag in tags:
            key, text = tag.get("Key", ""), tag.get("Value", "")
            if not 1 <= len(key) <= TAG_KEY or len(text) > TAG_VALUE:
                yield f"{path} has a tag {key[:40]!r} of {len(key)} and {len(text)} characters; {TAG_KEY} and {TAG_VALUE} are the most"
            if key.lower().startswith("aws:"):
                yield f"{path} has the tag {key!r}, whose beginning is AWS's own"


def of_names(action: str, given: dict[str, Any]) -> Iterator[str]:
    """Names whose form is given in words."""
    for (where, member), (least, most, pattern) in NAMES.items():
        text = given.get(member)
        if where == action and text is not None and not (least <= len(text) <= most and re.fullmatch(pattern, text, re.ASCII)):
            yield f"{member} is {text!r}; documented are {least} to {most} characters of {pattern}"


def of_launch(given: dict[str, Any]) -> Iterator[str]:
    """Members of RunInstances that exclude or need each other."""
    cards = given.get("NetworkInterfaces", [])
    for name in IN_THE_INTERFACE:
        if cards and name in given:
            yield f"with NetworkInterfaces, {name} is given in the interface"
    for number, card in enumerate(cards, 1):
        if "DeviceIndex" not in card:
            yield f"NetworkInterfaces.{number}.DeviceIndex is needed to launch"
        if card.get("AssociatePublicIpAddress") == "true" and (
            "NetworkInterfaceId" in card or card.get("DeviceIndex") != "0" or len(cards) > 1
        ):
            yield f"NetworkInterfaces.{number}.AssociatePublicIpAddress is for a single new interface with the index 0"
    for name in ("MinCount", "MaxCount"):
        if name not in given:
            yield f"{name} is needed"
    if "ImageId" not in given and "LaunchTemplate" not in given:
        yield "ImageId is needed where there is no launch template"
    market = given.get("InstanceMarketOptions", {}).get("MarketType")
    if market == "spot" and given.get("InstanceInitiatedShutdownBehavior") == "stop":
        yield "a spot instance's InstanceInitiatedShutdownBehavior is given as its InstanceInterruptionBehavior"
