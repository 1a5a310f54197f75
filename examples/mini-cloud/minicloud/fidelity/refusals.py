"""Owns refusals as IAM makes EC2 say them: with an encoded authorization message of some two kilobytes, which STS decodes;
and denied regions.

Sources: "Troubleshooting API request errors", docs.aws.amazon.com/AWSEC2/latest/APIReference/query-api-troubleshooting.html
(the code and the encoded message); DecodeAuthorizationMessage in the STS API reference; the policy GRREGIONDENY of "Deny
access to AWS based on the requested AWS Region",
docs.aws.amazon.com/controltower/latest/controlreference/primary-region-deny-policy.html (what it exempts).
"""

from __future__ import annotations

import base64
import json
from xml.sax.saxutils import escape

from ..answers import JSON_SERVICES, Answer, error_answer
from ..faults import Call
from .circumstances import Circumstances

ENCODED_LENGTH = 2000  # characters that the encoded message has at least
# What GRREGIONDENY leaves alone, of what the mini cloud has.
GLOBAL_SERVICES = ("sts", "iam", "kms")
GLOBAL_ACTIONS = ("DescribeRegions", "DescribeTransitGateways", "DescribeVpnGateways")


def encoded_message(call: Call, explicit: bool) -> str:
    """What an authorized person may have decoded: the decision and the context of the request."""
    items = [{"key": name, "values": {"items": [{"value": value[:80]}]}} for name, value in sorted(call.parameters.items())[:12]]
    text = {
        "allowed": False, "explicitDeny": explicit, "matchedStatements": {"items": []}, "failures": {"items": []},
        "context": {
            "principal": {"id": call.access_key or "", "arn": principal(call)}, "action": f"{call.service}:{call.action}",
            "resource": f"arn:aws:{call.service}:{call.region}:{call.account}:*", "conditions": {"items": items},
        },
    }  # fmt: skip
    plain = json.dumps(text).encode()
    plain += b" " * max(0, ENCODED_LENGTH * 3 // 4 + 3 - len(plain))
    return base64.urlsafe_b64encode(bytes(byte ^ 0x5A for byte in plain)).decode().rstrip("=")


def decoded_message(encoded: str) -> str | None:
    """The text of an encoded message; None for what is none."""
    try:
        plain = bytes(byte ^ 0x5A for byte in base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
        return json.dumps(json.loads(plain))
    except ValueError:
        return None


def principal(call: Call) -> str:
    """Who is refused."""
    if not call.role:
        return f"arn:aws:iam::{call.account}:user/builder"
    return call.role.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + "/session"


def refusal(call: Call, policy: str = "") -> Answer:
    """Refuses a call as its service does. `policy` names the kind of policy with an explicit deny; without, nothing allowed it."""
    because = (
        f"with an explicit deny in a {policy}"
        if policy
        else f"because no identity-based policy allows the {call.service}:{call.action} action"
    )
    on = f"arn:aws:{call.service}:{call.region}:{call.account}:*"
    text = f"User: {principal(call)} is not authorized to perform: {call.service}:{call.action} on resource: {on} {because}"
    if call.service != "ec2":
        code = "AccessDeniedException" if call.service in JSON_SERVICES else "AccessDenied"
        return error_answer(call.service, 400 if code == "AccessDeniedException" else 403, code, text)
    text = f"You are not authorized to perform this operation. {text}. Encoded authorization failure message: {encoded_message(call, bool(policy))}"
    return error_answer("ec2", 403, "UnauthorizedOperation", text)


class DeniedRegions:
    """Refuses everything but global services in regions that a service control policy denies."""

    def __init__(self, circumstances: Circumstances) -> None:
        self._circumstances = circumstances

    def before(self, call: Call) -> Answer | None:
        """The refusal; None in other regions."""
        if (
            call.region not in self._circumstances.denied_regions
            or call.service in GLOBAL_SERVICES
            or call.action in GLOBAL_ACTIONS
        ):
            return None
        return refusal(call, "service control policy")


class DecodeMessages:
    """Answers sts:DecodeAuthorizationMessage, which moto does not know."""

    def before(self, call: Call) -> Answer | None:
        """The decoded text."""
        if (call.service, call.action) != ("sts", "DecodeAuthorizationMessage"):
            return None
        text = decoded_message(call.parameters.get("EncodedMessage", ""))
        if text is None:
            return error_answer("sts", 400, "InvalidAuthorizationMessageException", "Message is not valid")
        name = "DecodeAuthorizationMessage"
        body = (
            f'<{name}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{name}Result><DecodedMessage>{escape(text)}</DecodedMessage>'
            f"</{name}Result><ResponseMetadata><RequestId>0</RequestId></ResponseMetadata></{name}Response>"
        )
        return Answer(200, body.encode(), [("Content-Type", "text/xml")])
