"""Owns how long states last at least, where a machine here is quicker than EC2: so that whoever does not wait for a state is
seen not to.

Source: "Amazon EC2 instance state changes", docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html (the
states; no durations are promised there, on EC2 they take seconds to minutes).
"""

from __future__ import annotations

import time

PENDING = 0.8  # its port 22 stays closed as long
STOPPING = 0.6
SHUTTING_DOWN = 1.0
IMAGE_PENDING = 1.0


def rest(since: float, at_least: float) -> None:
    """Sleeps until a state that began at `since` (monotonic) has lasted so long."""
    time.sleep(max(0.0, since + at_least - time.monotonic()))
