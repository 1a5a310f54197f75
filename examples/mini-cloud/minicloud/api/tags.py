"""Owns tags and filters where moto forgets them or is slow: tag look-ups by id, filters that EC2 knows for instances.

Refuses nothing by itself; limits and validity stay moto's.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from ..cloud import Cloud

# EC2's filter -> the attribute of moto's instance; see DescribeInstances in the EC2 API reference.
INSTANCE_FILTERS = {
    "client-token": "client_token",
    "root-device-type": "root_device_type",
    "root-device-name": "root_device_name",
    "instance-lifecycle": "lifecycle",
    "metadata-options.http-tokens": "metadata_options.http_tokens",
}


def install(cloud: Cloud) -> None:
    """Patches moto's tags and filters."""
    from moto.ec2 import utils
    from moto.ec2.models.core import TaggedEC2Resource

    install_lateness(cloud)

    utils.filter_dict_attribute_mapping.update(INSTANCE_FILTERS)

    def get_tags(self: Any) -> list[dict[str, str]]:
        # moto's own walks through every tag of the region for each resource that it shows.
        kind = utils.EC2_PREFIX_TO_RESOURCE.get(utils.get_prefix(self.id), "") if self.id else ""
        found = cloud.late_tags.seen(self.id, self.ec2_backend.tags.get(self.id, {})) if self.id else {}
        return [{"resource_id": self.id, "key": k, "value": v, "resource_type": kind} for k, v in found.items()]

    TaggedEC2Resource.get_tags = get_tags


def install_lateness(cloud: Cloud) -> None:
    """What CreateTags and DeleteTags change is seen a moment later, also by DescribeTags; see fidelity.visibility."""
    from moto.ec2.models.tags import TagBackend
    from moto.ec2.responses.tags import TagResponse

    moto_describe = TagBackend.describe_tags

    def late(moto_call: Any) -> Any:
        def call(self: Any) -> Any:
            if not self._get_param("DryRun", False):
                for resource in self._get_param("Resources", []):
                    cloud.late_tags.changing(resource, self.ec2_backend.tags.get(resource, {}))
            return moto_call(self)

        return call

    def describe_tags(self: Any, filters: Any = None) -> Any:
        true_tags = self.tags
        self.tags = defaultdict(dict, {resource: cloud.late_tags.seen(resource, tags) for resource, tags in true_tags.items()})
        try:
            return moto_describe(self, filters)
        finally:
            self.tags = true_tags

    TagResponse.create_tags, TagResponse.delete_tags = late(TagResponse.create_tags), late(TagResponse.delete_tags)
    TagBackend.describe_tags = describe_tags
