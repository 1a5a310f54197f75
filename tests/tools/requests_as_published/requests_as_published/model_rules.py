"""Owns what a model says of any value: required members, listed values, patterns, lengths, ranges, types.

Refuses to judge values that the log does not hold (secrets, user data).
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from typing import Any

from botocore.model import Shape

_LEFT_OUT = re.compile(r"\(secret\)|\(\d+ characters, sha256 [0-9a-f]+\)")


def findings(shape: Shape, given: Any, path: str = "") -> Iterator[str]:
    """What of a value is not as its shape says."""
    if shape.type_name == "structure":
        for name in shape.required_members:
            if name not in given:
                yield f"{joined(path, name)} is required"
        for name, inner in given.items():
            yield from findings(shape.members[name], inner, joined(path, name))
    elif shape.type_name == "list":
        yield from outside(shape, len(given), f"{path} has {len(given)} elements")
        for number, inner in enumerate(given, 1):
            yield from findings(shape.member, inner, f"{path}.{number}")
    elif isinstance(given, str) and not _LEFT_OUT.fullmatch(given):
        yield from scalar(shape, given, path)


def scalar(shape: Shape, text: str, path: str) -> Iterator[str]:
    """What of a single value is not as its shape says."""
    kind, metadata = shape.type_name, shape.metadata
    if kind == "string":
        if "enum" in metadata and text not in metadata["enum"]:
            near = ", ".join(metadata["enum"][:6])
            yield f"{path} is {text!r}, which is none of the published values ({near}{' …' if len(metadata['enum']) > 6 else ''})"
        if "pattern" in metadata and not matches(metadata["pattern"], text):
            yield f"{path} is {text!r}, which does not match {metadata['pattern']}"
        yield from outside(shape, len(text), f"{path} has {len(text)} characters")
    elif kind in ("integer", "long", "float", "double"):
        try:
            number = float(text) if kind in ("float", "double") else int(text)
        except ValueError:
            yield f"{path} is {text!r}, which is no {kind}"
            return
        yield from outside(shape, number, f"{path} is {text}")
    elif kind == "boolean" and text not in ("true", "false"):
        yield f"{path} is {text!r}, which is no boolean"
    elif kind == "timestamp" and not is_time(text):
        yield f"{path} is {text!r}, which is no time"


def matches(pattern: str, text: str) -> bool:
    """Whether a text fits a published pattern; one that Python does not understand fits everything."""
    try:
        return re.search(pattern if pattern.startswith("^") else f"^(?:{pattern})$", text) is not None
    except re.error:
        return True


def outside(shape: Shape, size: float, what: str) -> Iterator[str]:
    """Whether a size is outside of the shape's limits."""
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if (least is not None and size < least) or (most is not None and size > most):
        yield f"{what}; published are {least if least is not None else 'any'} to {most if most is not None else 'any'}"


def is_time(text: str) -> bool:
    """A time as the query protocols (ISO 8601) or JSON (seconds) have it."""
    try:
        float(text)
        return True
    except ValueError:
        pass
    try:
        datetime.datetime.fromisoformat(text)
        return True
    except ValueError:
        return False


def joined(path: str, name: str) -> str:
    """A member's path."""
    return f"{path}.{name}" if path else name
