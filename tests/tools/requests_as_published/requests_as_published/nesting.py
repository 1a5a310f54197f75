"""Owns turning a request's flat parameters back into the members that its service's model has.

The names are those of botocore's serialize.py: EC2 writes `Filter.1.Value.2`, the other query services `Tags.member.1.Key`,
and the mini cloud writes down JSON in the same dotted way. Refuses names that no member has; they are told, not dropped.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from botocore.model import OperationModel, Shape

Flat = dict[str, str]


def nested(operation: OperationModel, flat: Flat) -> tuple[dict[str, Any], list[str]]:
    """The members as a nested value, and the names that fit none."""
    if operation.input_shape is None:
        return {}, sorted(flat)
    unknown: list[str] = []
    protocol = operation.service_model.protocol
    return structure(operation.input_shape, flat, protocol, "", unknown), sorted(unknown)


def value(shape: Shape, flat: Flat, protocol: str, path: str, unknown: list[str]) -> Any:
    """The value of a shape; `flat` holds what is below it, the empty name what it is itself."""
    if shape.type_name == "structure":
        return structure(shape, flat, protocol, path, unknown)
    if shape.type_name == "list":
        return items(shape, flat, protocol, path, unknown)
    if shape.type_name == "map":
        return {name: text for name, text in flat.items()}
    unknown += [f"{path}.{name}" for name in flat if name]
    return flat.get("", "")


def structure(shape: Shape, flat: Flat, protocol: str, path: str, unknown: list[str]) -> dict[str, Any]:
    """A structure's members, by the model's names."""
    names = {serialized(member, name, protocol): name for name, member in shape.members.items()}
    below: dict[str, Flat] = defaultdict(dict)
    for name, text in flat.items():
        if not name and not text:
            continue  # an empty list or structure, as JSON has it
        fitting = max((known for known in names if name == known or name.startswith(known + ".")), key=len, default=None)
        if fitting is None:
            unknown.append(f"{path}.{name}" if path else name)
        else:
            below[names[fitting]][name[len(fitting) :].removeprefix(".")] = text
    return {
        name: value(shape.members[name], inner, protocol, f"{path}.{name}" if path else name, unknown)
        for name, inner in below.items()
    }


def items(shape: Shape, flat: Flat, protocol: str, path: str, unknown: list[str]) -> list[Any]:
    """A list's elements, in their order."""
    member = (
        ""
        if protocol in ("ec2", "json") or shape.serialization.get("flattened")
        else (shape.member.serialization.get("name", "member") + ".")
    )
    found: dict[int, Flat] = defaultdict(dict)
    for name, text in flat.items():
        match = re.fullmatch(rf"{re.escape(member)}(\d+)(?:\.(.*))?", name)
        if match is None:
            unknown.append(f"{path}.{name}")
        else:
            found[int(match[1])][match[2] or ""] = text
    return [value(shape.member, found[number], protocol, f"{path}.{number}", unknown) for number in sorted(found)]


def serialized(member: Shape, name: str, protocol: str) -> str:
    """What a member is called in a request, as botocore's serializers name it."""
    given = member.serialization
    if protocol == "ec2":
        if "queryName" in given:
            return given["queryName"]
        text = given.get("name", name)
        return text[0].upper() + text[1:]
    if protocol == "query":
        flattened = member.type_name == "list" and given.get("flattened")
        return member.member.serialization.get("name", given.get("name", name)) if flattened else given.get("name", name)
    return given.get("name", name)
