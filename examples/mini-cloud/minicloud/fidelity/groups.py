"""Owns who gets to an instance's port 22: the rules of its security groups, put on the listening socket as a packet filter.

A connection that no rule admits gets no answer at all, as in a VPC, and not a refusal. Sources: "Security group rules",
docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html (allow rules only; by address range, protocol and port);
"Default security groups" (a new default group admits its own members alone). Refuses nothing of IPv6, which the mini cloud
does not have, and does not follow rules that name groups or prefix lists: no instance reaches another here.
"""

from __future__ import annotations

import ctypes
import ipaddress
import socket
import struct
from typing import Any

SSH_PORT = 22
SO_ATTACH_FILTER = 26
NETWORK_HEADER = -0x100000 & 0xFFFFFFFF  # SKF_NET_OFF: offsets counted from the IP header, see linux/filter.h
SOURCE_ADDRESS = 12
LOAD, AND, STORE, AGAIN, EQUAL, RETURN = 0x20, 0x54, 0x02, 0x60, 0x15, 0x06
EVERYTHING = 0xFFFFFFFF


def admitted(backend: Any, groups: set[str], port: int = SSH_PORT) -> list[ipaddress.IPv4Network]:
    """The address ranges that the groups' rules admit to a TCP port."""
    found = []
    for name in sorted(groups):
        group = backend.get_security_group_from_id(name)
        for rule in group.ingress_rules if group else []:
            anything = str(rule.ip_protocol) == "-1"
            tcp = str(rule.ip_protocol) in ("tcp", "6") and int(rule.from_port) <= port <= int(rule.to_port)
            if (anything or tcp) and (rule.ip_range or {}).get("CidrIp"):
                found.append(ipaddress.IPv4Network(rule.ip_range["CidrIp"], strict=False))
    return found


def as_seen(ranges: list[ipaddress.IPv4Network], nat_address: str) -> list[ipaddress.IPv4Network]:
    """The ranges of real client addresses that get through where all clients arrive under one address: all of them, or none."""
    if not nat_address:
        return ranges
    inside = any(ipaddress.IPv4Address(nat_address) in one for one in ranges)
    return [ipaddress.IPv4Network("0.0.0.0/0")] if inside else []


def program(ranges: list[ipaddress.IPv4Network]) -> bytes:
    """A classic packet filter (see linux/filter.h) that lets packets from these ranges through and drops all others."""
    one = lambda code, k, when_true=0, when_false=0: struct.pack("HBBI", code, when_true, when_false, k)  # noqa: E731
    steps = [one(LOAD, (NETWORK_HEADER + SOURCE_ADDRESS) & EVERYTHING), one(STORE, 0)]
    for allowed in ranges:
        steps += [
            one(AGAIN, 0),
            one(AND, int(allowed.netmask)),
            one(EQUAL, int(allowed.network_address), 0, 1),
            one(RETURN, EVERYTHING),
        ]
    return b"".join([*steps, one(RETURN, 0)])


def guard(listener: socket.socket, ranges: list[ipaddress.IPv4Network]) -> None:
    """Lets a listening socket hear from these ranges only; connections that are there stay."""
    code = program(ranges)
    buffer = ctypes.create_string_buffer(code, len(code))
    listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(code) // 8, ctypes.addressof(buffer)))
