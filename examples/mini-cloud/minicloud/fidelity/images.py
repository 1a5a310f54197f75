"""Owns what becomes of images after the call: copies that are pending and may fail, deregistered ones that linger in
listings, keys by region.

Sources: DescribeImages in botocore's data/ec2/2016-11-15/service-2.json ("Recently deregistered images appear in the returned
results for a short interval and then return empty results. After all instances that reference a deregistered AMI are
terminated, specifying the ID of the image will eventually return an error"); KmsKeyId of CopyImage there ("authenticates the
KMS key asynchronously … the action can appear to complete, but eventually fails", "must exist in the destination Region",
"does not support asymmetric KMS keys"); the words of a failed copy: github.com/hashicorp/packer/issues/6599. Snapshots under
the account's own aws/ebs key cannot be shared: github.com/hashicorp/packer-plugin-amazon/issues/270 and
docs.aws.amazon.com/AWSEC2/latest/UserGuide/sharingamis-explicit.html.
"""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Iterator
from typing import Any

from .circumstances import Circumstances

COPY_FAILED = {"Code": "Server.InternalError", "Message": "Copy image failed with an internal error."}


class LingeringImages:
    """Images that were deregistered a moment ago. Called under the cloud's lock."""

    def __init__(self, circumstances: Circumstances) -> None:
        self._circumstances = circumstances
        self._since: dict[str, tuple[float, str, str, Any]] = {}  # id -> when, account, region, the image

    def note(self, backend: Any, image: Any) -> None:
        """An image is being deregistered."""
        self._since[image.id] = (time.monotonic(), backend.account_id, backend.region_name, image)

    @contextlib.contextmanager
    def listed(self, backend: Any) -> Iterator[None]:
        """As long as it lasts, the backend's images are also those that linger."""
        own, shown, lasts = backend.amis, {}, self._circumstances.linger_seconds
        for name, (at, account, region, image) in self._since.items():
            age = time.monotonic() - at
            if (account, region) != (backend.account_id, backend.region_name) or age > lasts:
                continue
            shown[name] = copy.copy(image)
            shown[name].state = image.state if age < lasts / 2 else "deregistered"
        backend.amis = {**own, **shown}
        try:
            yield
        finally:
            backend.amis = own

    def forgotten(self, backend: Any, name: str) -> bool:
        """Whether naming a deregistered image is an error by now, not only an empty answer: when nothing that was launched from it is left."""
        at = self._since.get(name, (0.0,))[0]
        used = any(instance.image_id == name and instance.state != "terminated" for instance in backend.all_instances())
        return name in backend.deleted_amis and time.monotonic() - at > self._circumstances.linger_seconds and not used


class CopyOutcomes:
    """Whether a copy will fail. Called under the cloud's lock."""

    def __init__(self, circumstances: Circumstances) -> None:
        self._circumstances = circumstances

    @property
    def seconds(self) -> float:
        """How long a copy is pending."""
        return self._circumstances.copy_seconds

    def fails(self, account: str, region: str, key: str) -> bool:
        """Whether a copy into a region fails: by circumstance, or for a key that is not there, not enabled or not symmetric."""
        if self._circumstances.failing_copies > 0:
            self._circumstances.failing_copies -= 1
            return True
        return bool(key) and usable_key(account, region, key) is None


def usable_key(account: str, region: str, name: str) -> str | None:
    """The ARN of the symmetric, enabled key that an id, alias or ARN means in a region; None where there is none."""
    from moto.kms.models import kms_backends

    if name.startswith("arn:"):
        _, _, service, key_region, owner, _ = name.split(":", 5)
        if (service, key_region) != ("kms", region):
            return None
        account = owner
        name = name.split(":", 5)[5].removeprefix("key/")
    backend = kms_backends[account][region]
    key_id = backend.get_key_id_from_alias(name) if name.startswith("alias/") else name
    key = backend.keys.get(key_id or "")
    if key is None or key.key_state != "Enabled" or key.key_spec != "SYMMETRIC_DEFAULT":
        return None
    return key.arn
