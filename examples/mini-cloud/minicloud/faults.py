"""Owns faults on demand: a list of scripts, each of which makes matching API calls fail, hang, or lose their answer.

Likeness to EC2 is not here but in fidelity/. Refuses scripts that it does not understand, so that a typing error is not a green test.
"""

from __future__ import annotations

import dataclasses
import threading
from typing import Any


class BadScript(ValueError):
    """A fault script with an unknown field or value."""


@dataclasses.dataclass
class Fault:
    """One script. Matches calls by action, and by region and account where given; skips `after` of them, then hits `times`."""

    action: str
    kind: str = "error"
    region: str | None = None
    account: str | None = None
    after: int = 0
    times: int = 1
    code: str = "InternalError"
    status: int = 0
    message: str = ""
    seconds: float = 0.0

    KINDS = ("error", "drop-answer", "delay")

    @classmethod
    def parse(cls, entry: Any) -> Fault:
        """Makes a fault from JSON; every unknown field or wrong value is an error that names it."""
        if not isinstance(entry, dict) or "action" not in entry:
            raise BadScript(f"a fault is an object with at least an action, not {entry!r}")
        known = {f.name: f.type for f in dataclasses.fields(cls)}
        if unknown := sorted(set(entry) - set(known)):
            raise BadScript(f"unknown field {', '.join(unknown)}; known are {', '.join(known)}")
        fault = cls(**entry)
        if fault.kind not in cls.KINDS:
            raise BadScript(f"unknown kind {fault.kind!r}; known are {', '.join(cls.KINDS)}")
        if not fault.status:
            fault.status = 503 if fault.code in ("RequestLimitExceeded", "Unavailable", "InternalError") else 400
            fault.status = 403 if fault.code in ("UnauthorizedOperation", "AccessDenied") else fault.status
            fault.status = 500 if fault.code in ("InsufficientInstanceCapacity", "InternalError") else fault.status
        return fault

    def matches(self, call: Call) -> bool:
        """Whether this script speaks of such a call at all."""
        return self.action in (call.action, "*") and self.region in (None, call.region) and self.account in (None, call.account)


@dataclasses.dataclass(frozen=True)
class Call:
    """An API call as the gateway sees it before it is done."""

    service: str
    action: str
    region: str
    account: str
    parameters: dict[str, str]
    access_key: str | None = None
    role: str | None = None  # the one whose session the key belongs to


class FaultList:
    """The scripts that are in force; each call is hit by at most one, the first that still has hits."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, entries: Any) -> int:
        """Adds scripts, all or none; returns how many are in force."""
        if not isinstance(entries, list):
            raise BadScript("expected a JSON list of faults")
        parsed = [Fault.parse(entry) for entry in entries]
        with self._lock:
            self._faults += parsed
            return len(self._faults)

    def clear(self) -> None:
        """Forgets all scripts."""
        with self._lock:
            self._faults.clear()

    def listed(self) -> list[dict[str, Any]]:
        """The scripts with what is left of them."""
        with self._lock:
            return [dataclasses.asdict(fault) for fault in self._faults]

    def hit(self, call: Call) -> Fault | None:
        """The fault that this call meets, counted off; None for a call that goes through."""
        with self._lock:
            for fault in self._faults:
                if not fault.matches(call):
                    continue
                if fault.after > 0:
                    fault.after -= 1
                elif fault.times > 0:
                    fault.times -= 1
                    return fault
        return None
