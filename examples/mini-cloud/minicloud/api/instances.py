"""Owns what is changed in moto's instances: they boot, they have states that take time, and a client token is one launch.

Refuses images that are not whole yet, and a client token that comes back with other parameters.
"""

from __future__ import annotations

import copy
from typing import Any

from ..cloud import Cloud
from ..fidelity.idempotence import ClientTokens, refuse_terminated


def install(cloud: Cloud) -> None:
    """Patches launching, the life cycle, addresses and the console."""
    install_launch(cloud)
    install_tokens()
    install_life(cloud)
    install_addresses(cloud)
    install_console(cloud)


def install_launch(cloud: Cloud) -> None:
    """RunInstances makes machines, with root volumes on the image's device and tags on everything it creates."""
    from moto.ec2.exceptions import EC2ClientError, InvalidInstanceTypeError
    from moto.ec2.models.instances import Instance, InstanceBackend

    moto_run = InstanceBackend.run_instances

    def setup_defaults(self: Any) -> None:
        volume = self.ec2_backend.create_volume(size=8, zone_name=self._placement.zone, volume_type="gp3")
        self.ec2_backend.attach_volume(volume.id, self.id, self.root_device_name, True)

    # The names are moto's own: fleets and spot requests call it by them.
    def run_instances(self: Any, image_id: str, count: int, user_data: Any, security_group_names: list[str], **kw: Any) -> Any:
        image = existing(self, image_id) if image_id else None
        if image and image.architecture != "x86_64":
            text = f"The mini cloud boots x86_64 only: '{image_id}' is {image.architecture}, registered and not bootable here"
            raise EC2ClientError("UnsupportedOperation", text)
        if image and (image.state != "available" or image_id not in cloud.layers):
            raise EC2ClientError("InvalidAMIID.Unavailable", f"The image '{image_id}' is not available: it is {image.state}")
        tags = kw.get("tags") or {}
        if image and image.imds_support == "v2.0":
            kw["metadata_options"] = {"HttpTokens": "required", **(kw.get("metadata_options") or {})}
        try:
            reservation = moto_run(self, image_id, count, user_data, security_group_names, **kw)
        except InvalidInstanceTypeError:
            raise EC2ClientError("InvalidParameterValue", f"Invalid value '{kw['instance_type']}' for InstanceType.") from None
        for instance in reservation.instances:
            if instance.root_device_name not in instance.block_device_mapping:
                instance.setup_defaults()
            for _, device in instance.get_block_device_mapping:
                self.volumes[device.volume_id].add_tags(tags.get("volume", {}))
            given = {int(spec.get("DeviceIndex", 0)): spec for spec in kw.get("nics") or []}
            for index, nic in instance.nics.items():
                spec = given.get(index, {})
                if "NetworkInterfaceId" not in spec:  # made by this launch: it goes with the instance unless told otherwise
                    nic.delete_on_termination = spec.get("DeleteOnTermination") is not False
                    nic.add_tags(tags.get("network-interface", {}))
            pair = self.key_pairs.get(instance.key_name)
            image_tags = {tag["key"]: tag["value"] for tag in self.amis[instance.image_id].get_tags()}
            cloud.launch(instance, pair.public_key.strip() if pair else "", image_tags)
            show_addresses(instance)
        return reservation

    Instance.setup_defaults = setup_defaults
    InstanceBackend.run_instances = run_instances


def existing(backend: Any, image_id: str) -> Any:
    """The image of that id; an error for one that is not there, or not any more."""
    from moto.ec2.exceptions import UnvailableAMIIdError

    found = backend.describe_images(ami_ids=[image_id])
    if not found:
        raise UnvailableAMIIdError(image_id)
    return found[0]


def install_tokens() -> None:
    """One ClientToken is one launch: asked again, the same reservation is the answer; asked otherwise, an error."""
    from moto.core.responses import ActionResult
    from moto.ec2.responses.instances import InstanceResponse

    moto_run = InstanceResponse.run_instances
    launched = ClientTokens()

    def run_instances(self: Any) -> Any:
        self.params["MinCount"] = self._get_param("MaxCount") or self._get_param("MinCount") or 1
        if before := launched.before(self):
            refuse_terminated(before.instances)
            return ActionResult(before)
        result = moto_run(self)
        for instance in result.result.instances:
            instance.client_token = self._get_param("ClientToken") or ""
        launched.note(self, result.result)
        return result

    InstanceResponse.run_instances = run_instances


def install_life(cloud: Cloud) -> None:
    """Start, stop, reboot and terminate act on the machine; moto's own part runs when the machine has got there."""
    from moto.ec2.exceptions import EC2ClientError
    from moto.ec2.models.instances import Instance

    moto_start = Instance.start

    def started(self: Any) -> None:
        moto_start(self)
        show_addresses(self)

    # What moto does at the end of each transition; Cloud calls them by these names.
    Instance.minicloud_start = started
    Instance.minicloud_stop = Instance.stop
    Instance.minicloud_terminate = Instance.terminate

    def refuse(self: Any) -> None:
        text = f"The instance '{self.id}' is not in a state from which it can be changed: it is {self.state}."
        raise EC2ClientError("IncorrectInstanceState", text)

    def start(self: Any) -> Any:
        before = copy.copy(self._state)
        if before.name == "stopped":
            cloud.start(self)
        elif before.name not in ("running", "pending"):
            refuse(self)
        return before

    def stop(self: Any) -> Any:
        before = copy.copy(self._state)
        if self.lifecycle == "spot":
            text = f"You can't stop the Spot Instance '{self.id}' because it is associated with a one-time Spot Instance request."
            raise EC2ClientError("UnsupportedOperation", text)
        if before.name in ("running", "pending"):
            cloud.stop(self)
        elif before.name not in ("stopping", "stopped"):
            refuse(self)
        return before

    def terminate(self: Any) -> Any:
        before = copy.copy(self._state)
        if before.name not in ("shutting-down", "terminated"):
            cloud.terminate(self)
        return before

    def reboot(self: Any) -> None:
        if self.state != "running":
            refuse(self)
        cloud.machines[self.id].reboot()

    Instance.start, Instance.stop, Instance.terminate, Instance.reboot = start, stop, terminate, reboot


def install_addresses(cloud: Cloud) -> None:
    """An instance's addresses are its machine's: the public one while it runs (if it has one), the private one until it is gone."""
    from moto.ec2.models.instances import Instance

    moto_public = Instance.public_ip.fget

    def private(self: Any) -> str | None:
        machine = cloud.machines.get(self.id)
        return machine.address if machine and self.state not in ("shutting-down", "terminated") else None

    def public(self: Any) -> str | None:
        machine = cloud.machines.get(self.id)
        return machine.public_address if machine and self.state in ("pending", "running") and wants_public(self) else None

    def wants_public(self: Any) -> bool:
        if not hasattr(self, "minicloud_public"):
            self.minicloud_public = moto_public(self) is not None  # moto forgets it when the instance stops
        return self.minicloud_public

    for name in ("private_ip", "private_ip_address", "private_dns_name"):
        setattr(Instance, name, property(private))
    for name in ("public_ip", "public_ip_address", "public_dns_name"):
        setattr(Instance, name, property(public))


def show_addresses(instance: Any) -> None:
    """Lets the first network interface show the instance's addresses instead of those that moto made up."""
    if nic := instance.nics.get(0):
        nic.private_ip_address = instance.private_ip
        nic.private_ip_addresses = [{"Primary": True, "PrivateIpAddress": instance.private_ip}]
        nic.public_ip = instance.public_ip


def install_console(cloud: Cloud) -> None:
    """GetConsoleOutput answers with what the guest wrote."""
    import base64

    from moto.core.responses import ActionResult
    from moto.core.types import Base64EncodedString
    from moto.core.utils import utcnow
    from moto.ec2.responses.general import General

    def get_console_output(self: Any) -> Any:
        instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
        text = base64.b64encode(cloud.machines[instance.id].console())
        output = Base64EncodedString.from_encoded_bytes(text)
        return ActionResult({"InstanceId": instance.id, "Timestamp": utcnow(), "Output": output})

    General.get_console_output = get_console_output
