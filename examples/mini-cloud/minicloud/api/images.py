"""Owns what is changed in moto's images: they are layers, they can be protected, and copies keep what EC2's copies keep.

Refuses a second image of one name in an account and region, to deregister what is protected, and what is another's.
"""

from __future__ import annotations

import time
from typing import Any

from ..cloud import Cloud
from ..fidelity.idempotence import ClientTokens
from ..fidelity.images import COPY_FAILED
from .instances import existing

INHERITED = ("architecture", "virtualization_type", "hypervisor", "boot_mode", "root_device_name", "root_device_type", "platform")


def install(cloud: Cloud) -> None:
    """Patches the image model, CreateImage, CopyImage, DeregisterImage and the protection calls."""
    install_model()
    install_making(cloud)
    install_calls(cloud)
    install_protection()


def install_model() -> None:
    """What every image shows, as EC2's do."""
    from moto.ec2.models.amis import Ami

    def block_device_mappings(self: Any) -> list[dict[str, Any]]:
        ebs = {
            "SnapshotId": self.ebs_snapshot.id, "VolumeSize": self.ebs_snapshot.volume.size,
            "DeleteOnTermination": True, "VolumeType": "gp3", "Encrypted": bool(self.ebs_snapshot.encrypted),
        }  # fmt: skip
        return [{"DeviceName": self.root_device_name, "Ebs": ebs}]

    Ami.block_device_mappings = property(block_device_mappings)
    Ami.ena_support = True
    Ami.imds_support = "v2.0"
    Ami.platform_details = "Linux/UNIX"
    Ami.usage_operation = "RunInstances"
    Ami.sriov_net_support = "simple"
    Ami.deregistration_protection = "disabled"
    Ami.state_reason = None


def make(backend: Any, like: Any, name: str, description: str, instance: Any = None, snapshot: str = "") -> Any:
    """A new image of the caller's, inheriting from another what EC2 lets it inherit."""
    from moto.ec2.exceptions import EC2ClientError
    from moto.ec2.models.amis import Ami
    from moto.ec2.utils import random_ami_id

    taken = next((i for i in backend.amis.values() if i.name == name and i.owner_id == backend.account_id), None)
    if taken:
        raise EC2ClientError("InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI {taken.id}")
    ami_id = random_ami_id()
    image = Ami(
        backend, ami_id, instance=instance, name=name, description=description, region_name=backend.region_name + "a",
        image_location=f"{backend.account_id}/{name}", snapshot_description=snapshot.format(ami=ami_id) or None,
    )  # fmt: skip
    for attribute in INHERITED:
        setattr(image, attribute, getattr(like, attribute))
    backend.amis[ami_id] = image
    return image


def tag(image: Any, specifications: list[dict[str, Any]]) -> None:
    """Tags an image and its snapshot as TagSpecifications say."""
    for specification in specifications:
        tags = {entry["Key"]: entry["Value"] for entry in specification.get("Tags", [])}
        target = {"image": image, "snapshot": image.ebs_snapshot}.get(specification["ResourceType"])
        if target is None:
            from moto.ec2.exceptions import InvalidTaggableResourceType

            raise InvalidTaggableResourceType(specification["ResourceType"])
        target.add_tags(tags)


def install_making(cloud: Cloud) -> None:
    """CreateImage keeps the instance's layer, CopyImage the image's layers."""
    from moto.core.responses import ActionResult
    from moto.ec2.exceptions import EC2ClientError
    from moto.ec2.models import ec2_backends
    from moto.ec2.responses.amis import AmisResponse

    def create_image(self: Any) -> Any:
        self.error_on_dryrun()
        backend = self.ec2_backend
        instance = backend.get_instance(self._get_param("InstanceId"))
        if instance.state not in ("running", "stopped"):
            text = f"Instance '{instance.id}' is not 'running' or 'stopped': it is {instance.state}."
            raise EC2ClientError("IncorrectState", text)
        image = make(
            backend, backend.amis[instance.image_id], self._get_param("Name"), self._get_param("Description", ""), instance,
            f"Created by CreateImage({instance.id}) for {{ami}}",
        )  # fmt: skip
        tag(image, self._get_param("TagSpecifications", []))
        cloud.capture(instance, image, reboot=not self._get_param("NoReboot", False))
        return ActionResult({"ImageId": image.id})

    copied = ClientTokens()

    def copy_image(self: Any) -> Any:
        self.error_on_dryrun()
        region, source_id = self._get_param("SourceRegion"), self._get_param("SourceImageId")
        if before := copied.before(self):
            return ActionResult({"ImageId": before})
        source = existing(ec2_backends[self.current_account][region], source_id)
        if source.state != "available":
            raise EC2ClientError("InvalidRequest", f"The image '{source_id}' is {source.state}: it cannot be copied yet.")
        image = make(
            self.ec2_backend, source, self._get_param("Name") or source.name,
            self._get_param("Description") or source.description,
            snapshot=f"Copied for DestinationAmi {{ami}} from SourceAmi {source_id}.",
        )  # fmt: skip
        if self._get_param("CopyImageTags", False):
            image.add_tags({entry["key"]: entry["value"] for entry in source.get_tags()})
        tag(image, self._get_param("TagSpecifications", []))
        image.source_image_id, image.source_image_region = source_id, region
        image.ebs_snapshot.encrypted = bool(self._get_param("Encrypted", False)) or source.ebs_snapshot.encrypted
        key = self._get_param("KmsKeyId") or ""
        image.ebs_snapshot.managed_key = image.ebs_snapshot.encrypted and not key  # the account's own aws/ebs
        if source_id in cloud.layers:
            cloud.copy(source_id, image.id)
        copied.note(self, image.id)
        carry_out(image, fails=cloud.copy_outcomes.fails(self.current_account, self.region, key))
        return ActionResult({"ImageId": image.id})

    def carry_out(image: Any, fails: bool) -> None:
        image.state = "pending"

        def work() -> None:
            time.sleep(cloud.copy_outcomes.seconds)
            with cloud.lock:
                image.state = "failed" if fails else "available"
                if fails:
                    image.state_reason = COPY_FAILED

        cloud.later(work)

    AmisResponse.create_image = create_image
    AmisResponse.copy_image = copy_image


def install_calls(cloud: Cloud) -> None:
    """DeregisterImage heeds protection and ownership, and takes the snapshots along when asked."""
    from moto.core.responses import ActionResult
    from moto.ec2.exceptions import EC2ClientError
    from moto.ec2.responses.amis import AmisResponse

    def deregister_image(self: Any) -> Any:
        self.error_on_dryrun()
        backend, ami_id = self.ec2_backend, self._get_param("ImageId")
        image = backend.amis.get(ami_id)
        if image and image.owner_id != self.current_account:
            raise EC2ClientError("AuthFailure", f"Not authorized for image: {ami_id}")
        if image and image.deregistration_protection != "disabled":
            text = f"The AMI {ami_id} is protected from deregistration: disable its deregistration protection first."
            raise EC2ClientError("OperationNotPermitted", text)
        if image:
            cloud.lingering.note(backend, image)
        backend.deregister_image(ami_id)
        if self._get_param("DeleteAssociatedSnapshots", False):
            backend.delete_snapshot(image.ebs_snapshot.id)
        return ActionResult({"Return": True})

    AmisResponse.deregister_image = deregister_image


def install_protection() -> None:
    """EnableImageDeregistrationProtection and its opposite, which moto does not have."""
    from moto.core.responses import ActionResult
    from moto.ec2.exceptions import EC2ClientError, InvalidAMIIdError
    from moto.ec2.responses.amis import AmisResponse

    def setter(value: str) -> Any:
        def call(self: Any) -> Any:
            self.error_on_dryrun()
            image = self.ec2_backend.amis.get(self._get_param("ImageId"))
            if image is None:
                raise InvalidAMIIdError(self._get_param("ImageId"))
            if image.owner_id != self.current_account:
                raise EC2ClientError("AuthFailure", f"Not authorized for image: {image.id}")
            image.deregistration_protection = value
            return ActionResult({"Return": "true"})

        return call

    AmisResponse.enable_image_deregistration_protection = setter("enabled")
    AmisResponse.disable_image_deregistration_protection = setter("disabled")
