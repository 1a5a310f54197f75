"""Owns the order in which EC2's behaviours act on one call: who asks, how often, whether it may, whether the request is
right, and then the call.

Refuses to act on anything by itself; each behaviour is in its own module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..answers import Answer
from ..cloud import Cloud
from ..faults import Call
from .credentials import SessionEnds
from .dependencies import GroupsInUse, TagLimits
from .idempotence import RepeatedAnswers
from .pages import Pages
from .refusals import DecodeMessages, DeniedRegions
from .throttling import RequestThrottling
from .visibility import NewAreUnknown

# Calls after which other addresses may be let in.
ADMISSION_CHANGES = (
    "AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress", "ModifySecurityGroupRules", "ModifyInstanceAttribute",
    "ModifyNetworkInterfaceAttribute",
)  # fmt: skip


class AsEc2:
    """The fidelity that a mini cloud has unless told otherwise."""

    def __init__(self, cloud: Cloud) -> None:
        circumstances = cloud.circumstances
        self.cloud, self.sessions, self.pages = cloud, SessionEnds(circumstances), Pages(circumstances)
        self._rules: list[Any] = [
            self.sessions, RequestThrottling(circumstances), DeniedRegions(circumstances), DecodeMessages(), self.pages,
            RepeatedAnswers(), NewAreUnknown(circumstances), GroupsInUse(cloud), TagLimits(),
        ]  # fmt: skip

    def around(self, call: Call, do: Callable[[dict[str, str] | None], Answer]) -> Answer:
        """The first refusal, or what the call answers, as the behaviours let it be seen. `do` takes other parameters, or None."""
        for rule in self._rules:
            if answer := rule.before(call):
                return answer
        answer = do(self.pages.moto_parameters(call))
        for rule in reversed(self._rules):
            if after := getattr(rule, "after", None):
                answer = after(call, answer)
        if call.action in ADMISSION_CHANGES:
            self.cloud.renew_admission()
        return answer
