"""Owns the log of API calls: one JSON object a line, written before the answer is sent, so a test that got it can read it.

Fields: n, time, account, region, service, action, parameters (flat, as sent), resources (see named), status, error, fault,
duration_ms. Refuses to write secrets: user data appears as its length and digest, tokens and passwords not at all.
"""

from __future__ import annotations

import datetime
import hashlib
import itertools
import json
import pathlib
import re
import threading

_SECRET = re.compile(r"password|secret|assertion|identitytoken|sessiontoken|^x-amz-|tokencode", re.I)
_OPAQUE = re.compile(r"userdata", re.I)


def without_secrets(parameters: dict[str, str]) -> dict[str, str]:
    """The parameters as they may be written down."""
    clean = {}
    for key, value in parameters.items():
        if key in ("Action", "Version"):
            continue
        if _SECRET.search(key):
            value = "(secret)"
        elif _OPAQUE.search(key):
            value = f"({len(value)} characters, sha256 {hashlib.sha256(value.encode()).hexdigest()[:16]})"
        clean[key] = value
    return clean


class CallLog:
    """An open log."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self._file = open(path, "a", buffering=1)  # noqa: SIM115  (open as long as the cloud is)
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)

    def number(self) -> int:
        """The next call's number, given on arrival."""
        return next(self._numbers)

    def write(self, n: int, **fields: object) -> None:
        """Adds one line."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        with self._lock:
            self._file.write(json.dumps({"n": n, "time": now, **fields}) + "\n")
