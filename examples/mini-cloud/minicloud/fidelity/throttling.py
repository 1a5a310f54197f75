"""Owns EC2's request throttling: a token bucket for each account, region and action, and one for instances where the call is
about many.

Source: "Request throttling for the Amazon EC2 API", docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html: sizes
and refill rates are its tables'. Refuses to throttle other services, whose limits are published elsewhere and differently.
"""

from __future__ import annotations

import dataclasses
import re
import threading
import time

from ..answers import Answer, error_answer
from ..faults import Call
from .circumstances import Circumstances

NON_MUTATING = (100.0, 20.0)  # capacity, tokens a second
UNFILTERED = (50.0, 10.0)
MUTATING = (50.0, 5.0)  # resource-intensive ones have the same numbers
ASKED_IN_PARTS = {
    "DescribeInstances", "DescribeInstanceStatus", "DescribeNetworkInterfaces", "DescribeSecurityGroups", "DescribeSnapshots",
    "DescribeSpotInstanceRequests", "DescribeVolumes",
}  # fmt: skip
# "Uncategorized actions", as far as the mini cloud has the action.
OWN_LIMITS = {
    "AssignIpv6Addresses": (100, 5), "AssignPrivateIpAddresses": (100, 5), "AssociateIamInstanceProfile": (100, 5), "CopyImage": (100, 1),
    "CreateDefaultSubnet": (1, 1), "CreateDefaultVpc": (1, 1), "CreateLaunchTemplateVersion": (100, 5), "CreateNatGateway": (10, 1),
    "CreateNetworkInterface": (100, 5), "CreateSnapshot": (100, 5), "CreateSnapshots": (100, 5), "CreateTags": (100, 10),
    "CreateVolume": (100, 5), "CreateVpcEndpoint": (4, 0.3), "DeleteNatGateway": (10, 1), "DeleteNetworkInterface": (100, 5),
    "DeleteSnapshot": (100, 5), "DeleteTags": (100, 10), "DeleteVolume": (100, 5), "DeleteVpcEndpoints": (4, 0.3), "DeregisterImage": (100, 5),
    "DescribeSpotFleetInstances": (100, 5), "DescribeSpotFleetRequestHistory": (100, 5), "DescribeSpotFleetRequests": (50, 3),
    "DisassociateIamInstanceProfile": (100, 5), "ModifyImageAttribute": (100, 5), "ModifyInstanceMetadataOptions": (100, 5),
    "ModifyLaunchTemplate": (100, 5), "ModifyNetworkInterfaceAttribute": (100, 5), "ModifySnapshotAttribute": (100, 5),
    "ModifyVpcEndpoint": (4, 0.3), "RunInstances": (5, 2), "StartInstances": (5, 2), "TerminateInstances": (100, 5),
}  # fmt: skip
# "Resource token bucket sizes and refill rates": one token for each instance.
RESOURCE_LIMITS = {
    "RunInstances": (1000, 2),
    "TerminateInstances": (1000, 20),
    "StartInstances": (1000, 2),
    "StopInstances": (1000, 20),
}
_LOOKS = re.compile(r"Describe|List|Search|Get")


@dataclasses.dataclass
class TokenBucket:
    """So many tokens at most, so many new ones a second. Starts full."""

    capacity: float
    refill: float
    tokens: float
    at: float

    def take(self, count: float, now: float) -> bool:
        """Takes tokens if there are enough of them; takes none otherwise."""
        self.tokens = min(self.capacity, self.tokens + (now - self.at) * self.refill)
        self.at = now
        if self.tokens < count:
            return False
        self.tokens -= count
        return True


class RequestThrottling:
    """Answers RequestLimitExceeded where a bucket is empty."""

    def __init__(self, circumstances: Circumstances) -> None:
        self._circumstances = circumstances
        self._buckets: dict[tuple[str, str, str, tuple[float, float]], TokenBucket] = {}
        self._lock = threading.Lock()

    def before(self, call: Call) -> Answer | None:
        """Counts the call."""
        if call.service != "ec2":
            return None
        wanted = [("requests", self.request_limit(call), 1.0)]
        if call.action in RESOURCE_LIMITS:
            wanted.append(("instances", RESOURCE_LIMITS[call.action], instances_in(call)))
        with self._lock:
            # Both buckets are asked: a request that fails for want of instances has still been made.
            enough = [self._bucket(call, kind, limit).take(count, time.monotonic()) for kind, limit, count in wanted]
        return None if all(enough) else error_answer("ec2", 503, "RequestLimitExceeded", "Request limit exceeded.")

    def request_limit(self, call: Call) -> tuple[float, float]:
        """Capacity and refill of the bucket that this request takes its token from."""
        if call.action in self._circumstances.request_limits:
            capacity, refill = self._circumstances.request_limits[call.action]
            return float(capacity), float(refill)
        if call.action in OWN_LIMITS:
            return OWN_LIMITS[call.action]
        if not _LOOKS.match(call.action):
            return MUTATING
        in_parts = any(name.startswith("Filter.") or name == "MaxResults" for name in call.parameters)
        return UNFILTERED if call.action in ASKED_IN_PARTS and not in_parts else NON_MUTATING

    def _bucket(self, call: Call, kind: str, limit: tuple[float, float]) -> TokenBucket:
        key = (call.account, call.region, f"{call.action} {kind}", limit)
        if key not in self._buckets:
            self._buckets[key] = TokenBucket(*limit, tokens=limit[0], at=time.monotonic())
        return self._buckets[key]


def instances_in(call: Call) -> float:
    """How many instances a call is about."""
    if call.action == "RunInstances":
        return float(call.parameters.get("MaxCount", "1"))
    return float(sum(name.startswith("InstanceId.") for name in call.parameters))
