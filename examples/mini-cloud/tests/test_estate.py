"""Images that stay: copied once, shared, deprecated, disabled, deleted with their snapshots; who names them; and the services beside EC2."""

from __future__ import annotations

import datetime
import hashlib
import uuid

import pytest
from conftest import known
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from test_api import code_of

MANAGED = [{"Name": "tag:managed", "Values": ["true"]}]


def copy(server, light: bool = True, **more) -> str:
    """A fresh image of the main account."""
    source = server.ready["light_images" if light else "images"]["us-east-1"]
    wish = {"image": source, "region": "us-east-1", "name": f"estate-{uuid.uuid4()}", **more}
    return server.control("POST", "copy", wish)["image"]


def described(ec2, image: str, **more) -> dict:
    """The image as its owner sees it."""
    return known(lambda: ec2.describe_images(ImageIds=[image], IncludeDisabled=True, **more))["Images"][0]


def snapshot_of(ec2, image: str) -> str:
    """The snapshot of its root device."""
    return described(ec2, image)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]


def test_one_token_is_one_copy_with_tags_and_origin(server):
    image, west = copy(server), server.client(region="eu-west-1")
    tags = [{"Key": "run", "Value": "r1"}]
    wish = {
        "SourceImageId": image, "SourceRegion": "us-east-1", "Name": f"copy-{uuid.uuid4()}", "ClientToken": str(uuid.uuid4()),
        "TagSpecifications": [{"ResourceType": kind, "Tags": tags} for kind in ("image", "snapshot")], "Encrypted": True,
    }  # fmt: skip
    first = west.copy_image(**wish)["ImageId"]
    assert west.copy_image(**wish)["ImageId"] == first
    assert code_of(lambda: west.copy_image(**{**wish, "Name": "other"})) == "IdempotentParameterMismatch"
    seen = described(west, first)
    assert (seen["SourceImageId"], seen["SourceImageRegion"], seen["Tags"]) == (image, "us-east-1", tags)
    snapshot = west.describe_snapshots(SnapshotIds=[snapshot_of(west, first)])["Snapshots"][0]
    assert snapshot["Tags"] == tags and snapshot["Encrypted"]


def test_shared_images_are_seen_and_launched_by_the_other_account(server, key):
    image, main, other = copy(server), server.client(), server.client(account="other")
    number = server.ready["accounts"]["other"]["id"]
    assert code_of(lambda: other.describe_images(ImageIds=[image])) == "InvalidAMIID.NotFound"
    main.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"UserId": number}, {"OrganizationArn": "arn:aws:organizations::1:organization/o-1"}]})
    permissions = main.describe_image_attribute(ImageId=image, Attribute="launchPermission")["LaunchPermissions"]
    assert {"UserId": number} in permissions and len(permissions) == 2
    assert other.describe_images(ImageIds=[image])["Images"][0]["OwnerId"] == server.ready["accounts"]["main"]["id"]
    assert code_of(lambda: other.modify_image_attribute(ImageId=image, LaunchPermission={"Remove": [{"UserId": number}]})) == "InvalidAMIID.NotFound"
    assert "Value" not in main.describe_image_attribute(ImageId=image, Attribute="lastLaunchedTime").get("LastLaunchedTime", {})
    guest = other.run_instances(ImageId=image, MinCount=1, MaxCount=1, InstanceType="t3.small")["Instances"][0]["InstanceId"]
    assert main.describe_image_attribute(ImageId=image, Attribute="lastLaunchedTime")["LastLaunchedTime"]["Value"].startswith("20")
    known(lambda: other.terminate_instances(InstanceIds=[guest]))
    main.modify_image_attribute(ImageId=image, LaunchPermission={"Remove": [{"UserId": number}]})
    assert code_of(lambda: other.describe_images(ImageIds=[image])) == "InvalidAMIID.NotFound"


def test_a_disabled_image_is_hidden_unshared_and_cannot_be_launched(desk, server):
    image, ec2 = copy(server), server.client()
    ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"UserId": server.ready["accounts"]["other"]["id"]}]})
    ec2.disable_image(ImageId=image)
    own = lambda **more: [i["ImageId"] for i in ec2.describe_images(Owners=["self"], **more)["Images"]]  # noqa: E731
    assert image not in own() and image in own(IncludeDisabled=True)
    assert described(ec2, image)["State"] == "disabled"
    assert ec2.describe_image_attribute(ImageId=image, Attribute="launchPermission")["LaunchPermissions"] == []
    assert code_of(lambda: desk.launch(image)) == "InvalidAMIID.Unavailable"
    ec2.enable_image(ImageId=image)
    assert described(ec2, image)["State"] == "available"
    assert code_of(lambda: server.client(account="other").disable_image(ImageId=image)) == "InvalidAMIID.NotFound"


def test_deprecation_has_a_time_and_an_end(server):
    image, ec2 = copy(server), server.client()
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    ec2.enable_image_deprecation(ImageId=image, DeprecateAt=soon)
    assert described(ec2, image)["DeprecationTime"] == soon.strftime("%Y-%m-%dT%H:%M:00.000Z")
    long_ago = soon - datetime.timedelta(days=2)
    assert code_of(lambda: ec2.enable_image_deprecation(ImageId=image, DeprecateAt=long_ago)) == "InvalidParameterValue"
    ec2.disable_image_deprecation(ImageId=image)
    assert not described(ec2, image).get("DeprecationTime")


def test_a_snapshot_stays_as_long_as_an_image_holds_it(server):
    image, ec2 = copy(server), server.client()
    snapshot = snapshot_of(ec2, image)
    by_snapshot = [{"Name": "block-device-mapping.snapshot-id", "Values": [snapshot]}]
    found = ec2.describe_images(Owners=["self"], Filters=by_snapshot)["Images"]
    assert [i["ImageId"] for i in found] == [image]
    number = server.ready["accounts"]["other"]["id"]
    ec2.modify_snapshot_attribute(SnapshotId=snapshot, Attribute="createVolumePermission", CreateVolumePermission={"Add": [{"UserId": number}]})
    seen = ec2.describe_snapshot_attribute(SnapshotId=snapshot, Attribute="createVolumePermission")["CreateVolumePermissions"]
    assert seen == [{"UserId": number}]
    assert code_of(lambda: ec2.delete_snapshot(SnapshotId=snapshot)) == "InvalidSnapshot.InUse"
    ec2.deregister_image(ImageId=image)
    ec2.delete_snapshot(SnapshotId=snapshot)
    assert code_of(lambda: ec2.describe_snapshots(SnapshotIds=[snapshot])) == "InvalidSnapshot.NotFound"


def test_arm64_is_registered_and_not_booted(desk, server):
    ec2, like = server.client(), copy(server)
    devices = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot_of(ec2, like), "DeleteOnTermination": True}}]
    spec = [{"ResourceType": "image", "Tags": [{"Key": "run", "Value": "arm"}]}]
    wish = {"RootDeviceName": "/dev/xvda", "BlockDeviceMappings": devices, "VirtualizationType": "hvm", "BootMode": "uefi", "ImdsSupport": "v2.0"}
    arm = ec2.register_image(Name=f"arm-{uuid.uuid4()}", Architecture="arm64", TagSpecifications=spec, **wish)["ImageId"]
    seen = described(ec2, arm)
    assert (seen["Architecture"], seen["RootDeviceName"], seen["BootMode"]) == ("arm64", "/dev/xvda", "uefi")
    assert seen["Tags"] == [{"Key": "run", "Value": "arm"}] and snapshot_of(ec2, arm) == snapshot_of(ec2, like)
    assert code_of(lambda: desk.launch(arm, InstanceType="t4g.small")) == "UnsupportedOperation"
    marked = copy(server, architecture="arm64")
    assert described(ec2, marked)["Architecture"] == "arm64"
    assert code_of(lambda: desk.launch(marked, InstanceType="t4g.small")) == "UnsupportedOperation"
    intel = ec2.register_image(Name=f"intel-{uuid.uuid4()}", Architecture="x86_64", **wish)["ImageId"]
    desk.launch(intel).wait_port()


def test_listing_comes_in_pages(server):
    made, ec2 = {copy(server, tags={"managed": "true"}) for _ in range(5)}, server.client()
    pages = list(ec2.get_paginator("describe_images").paginate(Owners=["self"], Filters=MANAGED, PaginationConfig={"PageSize": 2}))
    assert {i["ImageId"] for page in pages for i in page["Images"]} >= made and len(pages) >= 3
    assert code_of(lambda: ec2.describe_images(ImageIds=list(made), MaxResults=5)) == "InvalidParameterCombination"
    names = [f"page-{uuid.uuid4()}" for _ in range(18)]
    for name in names:
        ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"ImageId": next(iter(made))})
    for version in range(20):
        ec2.create_launch_template_version(LaunchTemplateName=names[0], LaunchTemplateData={"ImageId": f"ami-{version:017x}"})
    templates = ec2.get_paginator("describe_launch_templates").paginate(PaginationConfig={"PageSize": 7})
    assert {t["LaunchTemplateName"] for page in templates for t in page["LaunchTemplates"]} >= set(names)
    versions = ec2.describe_launch_template_versions(LaunchTemplateName=names[0])["LaunchTemplateVersions"]
    assert len(versions) == 21
    for name in names:
        ec2.delete_launch_template(LaunchTemplateName=name)


def test_auto_scaling_names_its_images(server):
    image, scaling, name = copy(server), server.client("autoscaling"), f"asg-{uuid.uuid4()}"
    scaling.create_launch_configuration(LaunchConfigurationName=name, ImageId=image, InstanceType="t3.small")
    zones = {"AvailabilityZones": ["us-east-1a"], "MinSize": 0, "MaxSize": 0, "DesiredCapacity": 0}
    scaling.create_auto_scaling_group(AutoScalingGroupName=name, LaunchConfigurationName=name, **zones)
    assert scaling.describe_launch_configurations(LaunchConfigurationNames=[name])["LaunchConfigurations"][0]["ImageId"] == image
    groups = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    assert groups[0]["LaunchConfigurationName"] == name
    call = server.calls("DescribeAutoScalingGroups")[-1]
    assert (call["service"], call["status"], call["region"]) == ("autoscaling", 200, "us-east-1")
    scaling.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
    scaling.delete_launch_configuration(LaunchConfigurationName=name)


def test_parameters_signatures_and_quotas(server):
    ssm, kms = server.client("ssm"), server.client("kms")
    name = f"/images/{uuid.uuid4()}"
    assert code_of(lambda: ssm.get_parameter(Name=name)) == "ParameterNotFound"
    assert server.calls("GetParameter")[-1]["error"] == "ParameterNotFound"
    ssm.put_parameter(Name=name, Value=copy(server), Type="String", DataType="aws:ec2:image")
    assert code_of(lambda: ssm.put_parameter(Name=name, Value="x", Type="String")) == "ParameterAlreadyExists"
    call = server.calls("PutParameter")[-1]
    assert (call["service"], call["parameters"]["Name"]) == ("ssm", name)
    key_id = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/evidence", TargetKeyId=key_id)
    digest = hashlib.sha256(b"evidence").digest()
    asked = {"Message": digest, "MessageType": "DIGEST", "SigningAlgorithm": "ECDSA_SHA_256"}
    public = serialization.load_der_public_key(kms.get_public_key(KeyId=key_id)["PublicKey"])
    for key in (key_id, "alias/evidence"):
        public.verify(kms.sign(KeyId=key, **asked)["Signature"], digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    assert server.calls("Sign")[-1]["service"] == "kms"
    quotas = server.client("service-quotas")
    assert quotas.get_service_quota(ServiceCode="ec2", QuotaCode="L-1216C47A")["Quota"]["Value"] == 64.0
    server.control("POST", "faults", [{"action": "Sign", "code": "AccessDeniedException"}])
    assert code_of(lambda: kms.sign(KeyId=key_id, **asked)) == "AccessDeniedException"
    server.control("DELETE", "faults")


@pytest.mark.parametrize("action", ["DeregisterImage", "DisableImage", "EnableImageDeprecation", "CopyImage", "RunInstances", "ModifyImageAttribute"])
def test_a_dry_run_does_nothing(server, action):
    image, ec2 = copy(server), server.client()
    more = {
        "EnableImageDeprecation": {"DeprecateAt": "2099-01-01T00:00:00Z"},
        "ModifyImageAttribute": {"LaunchPermission": {"Add": [{"UserId": "123456789012"}]}},
        "RunInstances": {"MinCount": 1, "MaxCount": 1, "InstanceType": "t3.small"},
    }.get(action, {})  # fmt: skip
    name = "".join("_" + c.lower() if c.isupper() else c for c in action).strip("_")
    wish = {"SourceImageId": image, "SourceRegion": "us-east-1", "Name": "dry"} if action == "CopyImage" else {"ImageId": image, **more}
    before = described(ec2, image)
    assert code_of(lambda: getattr(ec2, name)(DryRun=True, **wish)) == "DryRunOperation"
    assert described(ec2, image) == before
