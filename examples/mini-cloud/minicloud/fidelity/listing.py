"""Owns reading and writing EC2's XML listings, whatever the namespace they come in.

Refuses other protocols.
"""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree


def parse(body: bytes) -> tuple[ElementTree.Element, Callable[[str], str]]:
    """The root of an answer, and what makes an element's name one of its namespace."""
    root = ElementTree.fromstring(body)
    prefix = root.tag.rpartition("}")[0] + "}" if root.tag.startswith("{") else ""
    return root, lambda name: prefix + name


def text(root: ElementTree.Element) -> bytes:
    """The answer as EC2 writes it: one namespace, without prefixes, which some clients do not understand."""
    ElementTree.register_namespace("", root.tag[1:].rpartition("}")[0])
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root)
