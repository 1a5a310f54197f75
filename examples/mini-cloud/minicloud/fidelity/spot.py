"""Owns the interruption of a spot instance: a notice in its metadata, and then its end by EC2.

Sources: "Spot Instance interruption notices",
docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html (two minutes, `spot/instance-action`,
`spot/termination-time`); StateReason of DescribeInstances in botocore's data/ec2/2016-11-15/service-2.json
(Server.SpotInstanceTermination).
"""

from __future__ import annotations

import datetime
import time
from typing import Any

from ..cloud import Cloud

NOTICE = 120.0
REASON = "Server.SpotInstanceTermination"


def interrupt(cloud: Cloud, wish: Any) -> dict[str, Any]:
    """Gives notice to the instance of a wish, and terminates it `seconds` later."""
    name = wish.get("instance", "") if isinstance(wish, dict) else ""
    with cloud.lock:
        instance = cloud.instances.get(name)
        if instance is None or instance.lifecycle != "spot" or instance.state not in ("pending", "running"):
            raise ValueError(f"{name or wish!r} is no spot instance that runs")
        seconds = float(wish.get("seconds", NOTICE))
        at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
        cloud.machines[name].spot_end = at.strftime("%Y-%m-%dT%H:%M:%SZ")

    def work() -> None:
        time.sleep(seconds)
        with cloud.lock:
            if not cloud.closing and instance.state not in ("shutting-down", "terminated"):
                cloud.terminate(instance, REASON)

    cloud.later(work)
    return {"instance": name, "at": cloud.machines[name].spot_end}
