"""Owns what becomes of an image after it was made, as far as moto does not know it: registered by its parts, shared, launched by others, deprecated,
disabled, listed while they linger.

Refuses what EC2 refuses: another's image, a public one to be disabled, a disabled one to be deprecated again and again in the past.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from typing import Any

from ..cloud import Cloud

IMAGE_FILTERS = ("block-device-mapping.snapshot-id", "source-image-id", "source-image-region")


def install(cloud: Cloud) -> None:
    """Patches the image model and its listing, RegisterImage, the sharing calls, and those of retirement."""
    install_model()
    install_sharing(cloud)
    install_listing(cloud)
    install_register(cloud)
    install_attributes()
    install_retirement()


def install_model() -> None:
    """What EC2 tells of an image beside what moto knows."""
    from moto.ec2.models.amis import Ami

    moto_filter = Ami.get_filter_value

    def get_filter_value(self: Any, name: str, method: str | None = None) -> Any:
        if name == "block-device-mapping.snapshot-id":
            return self.ebs_snapshot.id
        if name in IMAGE_FILTERS:
            return getattr(self, name.replace("-", "_"))
        return moto_filter(self, name, method)

    Ami.get_filter_value = get_filter_value
    Ami.deprecation_time = Ami.source_image_id = Ami.source_image_region = Ami.last_launched_time = None


def own(backend: Any, ami_id: str) -> Any:
    """The caller's image of that id; EC2's errors for one that is not there or another's."""
    from moto.ec2.exceptions import EC2ClientError, InvalidAMIIdError, UnvailableAMIIdError

    image = backend.amis.get(ami_id)
    if image is None:
        raise UnvailableAMIIdError(ami_id) if ami_id in backend.deleted_amis else InvalidAMIIdError(ami_id)
    if image.owner_id != backend.account_id:
        raise EC2ClientError("AuthFailure", f"Not authorized for image: {ami_id}")
    return image


def text_time(moment: datetime.datetime) -> str:
    """A time as EC2 writes it in an image."""
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


@contextlib.contextmanager
def with_shared(cloud: Cloud, backend: Any) -> Iterator[None]:
    """As long as it lasts, the backend's images are also those that other accounts share with it. Only under the cloud's lock."""
    from moto.ec2.models import ec2_backends

    own_images, shared = backend.amis, {}
    for account in cloud.accounts:
        if account.id == backend.account_id:
            continue
        for ami_id, image in ec2_backends[account.id][backend.region_name].amis.items():
            allowed = {"UserId": backend.account_id} in image.launch_permissions or image.is_public
            if image.owner_id == account.id and allowed and image.state != "disabled":
                shared[ami_id] = image
    if not shared:
        yield
        return
    backend.amis = {**shared, **own_images}
    try:
        yield
    finally:
        backend.amis = own_images


def install_sharing(cloud: Cloud) -> None:
    """Images that another account shares are seen and launched like one's own; launching notes the time."""
    from moto.core.utils import utcnow
    from moto.ec2.models.amis import AmiBackend
    from moto.ec2.models.instances import InstanceBackend

    moto_describe, moto_run = AmiBackend.describe_images, InstanceBackend.run_instances

    def describe_images(self: Any, *args: Any, **kw: Any) -> Any:
        with with_shared(cloud, self):
            return moto_describe(self, *args, **kw)

    def run_instances(self: Any, image_id: str, *args: Any, **kw: Any) -> Any:
        with with_shared(cloud, self):
            reservation = moto_run(self, image_id, *args, **kw)
            if image := self.amis.get(image_id):
                image.last_launched_time = text_time(utcnow().replace(tzinfo=datetime.UTC))
        return reservation

    AmiBackend.describe_images, InstanceBackend.run_instances = describe_images, run_instances


def install_listing(cloud: Cloud) -> None:
    """DescribeImages leaves disabled images out unless told otherwise, and shows deregistered ones for a moment; see fidelity.images."""
    from moto.core.responses import ActionResult
    from moto.ec2.exceptions import InvalidAMIIdError
    from moto.ec2.responses.amis import AmisResponse

    moto_describe = AmisResponse.describe_images

    def describe_images(self: Any) -> Any:
        forgotten = [name for name in self._get_param("ImageIds", []) if cloud.lingering.forgotten(self.ec2_backend, name)]
        if forgotten:
            raise InvalidAMIIdError(forgotten)
        with cloud.lingering.listed(self.ec2_backend):
            images = moto_describe(self).result["Images"]
        if not self._get_param("IncludeDisabled", False):
            images = [image for image in images if image.state != "disabled"]
        return ActionResult({"Images": images})

    AmisResponse.describe_images = describe_images


def install_register(cloud: Cloud) -> None:
    """RegisterImage takes name, architecture, device and snapshot. An x86_64 one boots if its snapshot is that of an image that does."""
    from moto.core.responses import ActionResult
    from moto.ec2.exceptions import EC2ClientError, InvalidSnapshotIdError
    from moto.ec2.responses.amis import AmisResponse

    from . import images

    def register_image(self: Any) -> Any:
        self.error_on_dryrun()
        backend, root = self.ec2_backend, self._get_param("RootDeviceName") or "/dev/sda1"
        devices = [d["Ebs"]["SnapshotId"] for d in self._get_param("BlockDeviceMappings", []) if "SnapshotId" in d.get("Ebs", {})]
        if not devices:
            raise EC2ClientError("InvalidBlockDeviceMapping", "The mini cloud registers images by the snapshot of their root device only")
        if any(snapshot not in backend.snapshots for snapshot in devices):
            raise InvalidSnapshotIdError()
        like = type("Parts", (), {
            "architecture": self._get_param("Architecture") or "i386", "virtualization_type": self._get_param("VirtualizationType") or "hvm",
            "hypervisor": "xen", "boot_mode": self._get_param("BootMode"), "root_device_name": root, "root_device_type": "ebs", "platform": None,
        })  # fmt: skip
        image = images.make(backend, like, self._get_param("Name"), self._get_param("Description", ""))
        backend.snapshots.pop(image.ebs_snapshot.id)  # moto made one up
        image.ebs_snapshot = backend.snapshots[devices[0]]
        image.ebs_snapshot.from_ami = image.ebs_snapshot.from_ami or image.id
        image.imds_support = self._get_param("ImdsSupport") or None
        images.tag(image, self._get_param("TagSpecifications", []))
        before = next((i for i in backend.amis.values() if i is not image and i.ebs_snapshot.id == devices[0]), None)
        if before and before.id in cloud.layers and image.architecture == before.architecture:
            cloud.copy(before.id, image.id)
        return ActionResult({"ImageId": image.id})

    AmisResponse.register_image = register_image


def install_attributes() -> None:
    """Launch permissions and the time of the last launch are the owner's to see and change."""
    from moto.core.responses import ActionResult
    from moto.ec2.exceptions import EC2ClientError
    from moto.ec2.responses.amis import AmisResponse

    moto_describe, moto_modify = AmisResponse.describe_image_attribute, AmisResponse.modify_image_attribute

    def describe_image_attribute(self: Any) -> Any:
        self.error_on_dryrun()
        image = own(self.ec2_backend, self._get_param("ImageId"))
        if self._get_param("Attribute") != "lastLaunchedTime":
            return moto_describe(self)
        time = {"Value": image.last_launched_time} if image.last_launched_time else {}
        return ActionResult({"ImageId": image.id, "LastLaunchedTime": time})

    def modify_image_attribute(self: Any) -> Any:
        image = own(self.ec2_backend, self._get_param("ImageId"))
        if image.state == "disabled" and not self._get_param("DryRun", False):
            raise EC2ClientError("InvalidAMIID.Unavailable", f"The image '{image.id}' is disabled")
        shared = self._get_param("LaunchPermission", {}).get("Add") or self._get_param("OperationType") == "add"
        if shared and getattr(image.ebs_snapshot, "managed_key", False):
            text = "Snapshots encrypted with the AWS Managed CMK can't be shared. Specify another snapshot."
            raise EC2ClientError("InvalidParameter", text)
        return moto_modify(self)

    AmisResponse.describe_image_attribute, AmisResponse.modify_image_attribute = describe_image_attribute, modify_image_attribute
    install_volume_permissions()


def install_volume_permissions() -> None:
    """ModifySnapshotAttribute in its newer form, CreateVolumePermission.Add and .Remove, which moto overlooks."""
    from moto.core.responses import EmptyResult
    from moto.ec2.responses.elastic_block_store import ElasticBlockStore

    moto_modify = ElasticBlockStore.modify_snapshot_attribute

    def modify_snapshot_attribute(self: Any) -> Any:
        changes = self._get_param("CreateVolumePermission", {})
        if not changes:
            return moto_modify(self)
        self.error_on_dryrun()
        for verb, act in (
            ("Add", self.ec2_backend.add_create_volume_permission),
            ("Remove", self.ec2_backend.remove_create_volume_permission),
        ):
            entries = changes.get(verb, [])
            users, groups = ([e[key] for e in entries if key in e] for key in ("UserId", "Group"))
            if entries:
                act(self._get_param("SnapshotId"), user_ids=users, groups=groups)
        return EmptyResult()

    ElasticBlockStore.modify_snapshot_attribute = modify_snapshot_attribute


def install_retirement() -> None:
    """Deprecation, which moto lacks; disabling, which ends the sharing; and what EC2 refuses about both."""
    from moto.core.responses import ActionResult
    from moto.ec2.exceptions import EC2ClientError
    from moto.ec2.responses.amis import AmisResponse

    def caller(act: Any) -> Any:
        def call(self: Any) -> Any:
            self.error_on_dryrun()
            act(self, own(self.ec2_backend, self._get_param("ImageId")))
            return ActionResult({"Return": True})

        return call

    def deprecate(self: Any, image: Any) -> None:
        at = self._get_param("DeprecateAt")
        moment = at if isinstance(at, datetime.datetime) else datetime.datetime.fromisoformat(str(at))
        moment = moment.replace(tzinfo=moment.tzinfo or datetime.UTC)
        if moment < datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=1):
            raise EC2ClientError("InvalidParameterValue", f"The DeprecateAt time {at} is in the past.")
        image.deprecation_time = text_time(moment.replace(second=0, microsecond=0))

    def not_deprecated(_self: Any, image: Any) -> None:
        image.deprecation_time = None

    def disable(_self: Any, image: Any) -> None:
        if image.is_public:
            raise EC2ClientError("OperationNotPermitted", f"The image {image.id} is public: a public image cannot be disabled.")
        if image.state not in ("available", "disabled"):
            raise EC2ClientError("IncorrectState", f"The image {image.id} is {image.state}.")
        image.state, image.launch_permissions = "disabled", []

    def enable(_self: Any, image: Any) -> None:
        if image.state not in ("available", "disabled"):
            raise EC2ClientError("IncorrectState", f"The image {image.id} is {image.state}.")
        image.state = "available"

    AmisResponse.enable_image_deprecation, AmisResponse.disable_image_deprecation = caller(deprecate), caller(not_deprecated)
    AmisResponse.disable_image, AmisResponse.enable_image = caller(disable), caller(enable)
