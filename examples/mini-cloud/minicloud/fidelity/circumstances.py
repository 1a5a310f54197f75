"""Owns what differs from account to account and from day to day in EC2, and is therefore switched on by whoever tests: one
plain value.

`POST /_minicloud/circumstances` changes the fields that it names, `GET` shows all, `DELETE` makes everything as in a new
cloud. Refuses fields that it does not know, and values of another type.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import typing
from typing import Any


class UnknownCircumstance(ValueError):
    """A field or value that is none."""


@dataclasses.dataclass
class Circumstances:
    """The switches. What a new cloud has is what every EC2 has, in small sizes."""

    # Organizations and Control Tower: regions in which a service control policy denies all but the global services.
    denied_regions: list[str] = dataclasses.field(default_factory=list)
    # Subnets (or "*" for all) without a route from outside: no instance is reached by a public address, and none
    # gets one unasked.
    private_subnets: list[str] = dataclasses.field(default_factory=list)
    # The address under which clients of this machine arrive at public addresses, as behind a NAT; empty: their own.
    nat_address: str = ""
    # A huge account: listings without MaxResults, filter and ids are refused.
    pages_demanded: bool = False
    # The first page of a listing may be empty and still have a next one.
    empty_first_page: bool = False
    # Sessions of AssumeRole last so long, whatever was asked; 0: what was asked.
    session_seconds: float = 0.0
    # So many of the next CopyImage calls make images that fail later.
    failing_copies: int = 0
    # How long what was just made is unknown to other calls, and tags that were just changed show what they were.
    lag_seconds: float = 0.5
    # Whether that is so of images too, which the documentation says. It must be rare: the amazon plugin of Packer
    # fails when it happens.
    lagging_images: bool = False
    tag_lag_seconds: float = 0.3
    # An account whose requests others use up: {action: [capacity of its bucket, tokens a second]}.
    request_limits: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    # How long a deregistered image is still listed: the first half of it as it was, then as deregistered. EC2 always does so for a moment.
    linger_seconds: float = 0.0
    # How long a copy of an image is pending.
    copy_seconds: float = 1.0

    def change(self, wish: Any) -> None:
        """Takes the fields that a request names, all or none."""
        types = typing.get_type_hints(type(self))
        if not isinstance(wish, dict):
            raise UnknownCircumstance(f"expected a JSON object with some of {', '.join(types)}")
        for name, value in wish.items():
            if name not in types:
                raise UnknownCircumstance(f"unknown field {name}; known are {', '.join(types)}")
            wanted = typing.get_origin(types[name]) or types[name]
            fits = isinstance(value, wanted) or (wanted is float and type(value) is int)
            if not fits or (wanted is int and type(value) is bool):
                raise UnknownCircumstance(f"{name} is a {wanted.__name__}, not {value!r}")
        if wish.get("nat_address"):
            ipaddress.IPv4Address(wish["nat_address"])
        for name, value in wish.items():
            setattr(self, name, value)

    def reset(self) -> None:
        """Everything as in a new cloud."""
        self.change(dataclasses.asdict(Circumstances()))

    def shown(self) -> dict[str, Any]:
        """The fields, as JSON has them."""
        return dataclasses.asdict(self)
