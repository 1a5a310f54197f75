"""Owns tags and filters where moto forgets them or is slow: tag look-ups by id, filters that EC2 knows for instances.

Refuses nothing by itself; limits and validity stay moto's.
"""

from __future__ import annotations

from typing import Any

# EC2's filter -> the attribute of moto's instance; see DescribeInstances in the EC2 API reference.
INSTANCE_FILTERS = {
    "client-token": "client_token",
    "root-device-type": "root_device_type",
    "root-device-name": "root_device_name",
    "instance-lifecycle": "lifecycle",
    "metadata-options.http-tokens": "metadata_options.http_tokens",
}


def install() -> None:
    """Patches moto's tags and filters."""
    from moto.ec2 import utils
    from moto.ec2.models.core import TaggedEC2Resource

    utils.filter_dict_attribute_mapping.update(INSTANCE_FILTERS)

    def get_tags(self: Any) -> list[dict[str, str]]:
        # moto's own walks through every tag of the region for each resource that it shows.
        kind = utils.EC2_PREFIX_TO_RESOURCE.get(utils.get_prefix(self.id), "") if self.id else ""
        found = self.ec2_backend.tags.get(self.id, {}) if self.id else {}
        return [{"resource_id": self.id, "key": k, "value": v, "resource_type": kind} for k, v in found.items()]

    TaggedEC2Resource.get_tags = get_tags
