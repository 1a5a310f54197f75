"""Right requests have no finding; each kind of mistake has exactly its own. An independent client makes the right ones."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import urllib.parse

import botocore.session
import pytest

from requests_as_published.check import log_findings, request_findings

HERE = pathlib.Path(__file__).resolve().parent
LAUNCH = {
    "ImageId": "ami-0abcdef1234567890", "InstanceType": "t3.small", "MinCount": "1", "MaxCount": "1", "ClientToken": "run-1",
    "TagSpecification.1.ResourceType": "instance", "TagSpecification.1.Tag.1.Key": "run", "TagSpecification.1.Tag.1.Value": "r1",
    "BlockDeviceMapping.1.DeviceName": "/dev/xvda", "BlockDeviceMapping.1.Ebs.VolumeSize": "8", "MetadataOptions.HttpTokens": "required",
}  # fmt: skip
CARD = {
    "NetworkInterface.1.DeviceIndex": "0",
    "NetworkInterface.1.SubnetId": "subnet-1",
    "NetworkInterface.1.AssociatePublicIpAddress": "true",
}
LISTING = {"Filter.1.Name": "image-id", "Filter.1.Value.1": "ami-1", "MaxResults": "50"}


def tags(count: int) -> dict[str, str]:
    """So many more tags of a launch."""
    return {f"TagSpecification.1.Tag.{n}.{half}": f"{half}{n}" for n in range(2, 2 + count) for half in ("Key", "Value")}


@pytest.mark.parametrize(
    ("action", "parameters"),
    [
        ("RunInstances", LAUNCH), ("RunInstances", {**LAUNCH, **CARD}), ("DescribeImages", LISTING), ("DescribeImages", {"ImageId.1": "ami-1"}),
        ("RunInstances", {**LAUNCH, **tags(49)}), ("RunInstances", {**LAUNCH, "UserData": "(2812 characters, sha256 cb0f882ac4386fc7)"}),
        ("DescribeInstances", {"Filter.1.Name": "tag:run", "Filter.1.Value.1": "r1"}),
        ("CreateSecurityGroup", {"GroupName": "assay-1", "GroupDescription": "A group.", "VpcId": "vpc-1"}),
        ("AuthorizeSecurityGroupIngress", {
            "GroupId": "sg-1", "IpPermissions.1.IpProtocol": "tcp", "IpPermissions.1.FromPort": "22", "IpPermissions.1.ToPort": "22",
            "IpPermissions.1.IpRanges.1.CidrIp": "192.0.2.1/32",
        }),
        ("EnableImageDeprecation", {"ImageId": "ami-1", "DeprecateAt": "2099-01-01T00:00:00Z"}),
    ],
)  # fmt: skip
def test_right_requests_have_no_finding(action, parameters):
    assert request_findings("ec2", action, parameters) == []


@pytest.mark.parametrize(
    ("action", "parameters", "finding"),
    [
        ("RunInstance", {}, "no such action"),
        ("RunInstances", {**LAUNCH, "Imageid": "ami-1"}, "no parameter Imageid"),
        ("RunInstances", {**LAUNCH, "TagSpecification.1.Tags.1.Key": "x"}, "no parameter TagSpecifications.1.Tags.1.Key"),
        ("RunInstances", {**LAUNCH, "InstanceType": "t3.enormous"}, "none of the published values"),
        ("RunInstances", {**LAUNCH, "MaxCount": "one"}, "no integer"),
        ("RunInstances", {**LAUNCH, "EbsOptimized": "yes"}, "no boolean"),
        ("RunInstances", {**LAUNCH, "ClientToken": "x" * 65}, "ClientToken has 65 characters"),
        ("RunInstances", {**LAUNCH, "UserData": "(30000 characters, sha256 cb0f882ac4386fc7)"}, "UserData has 30000 characters"),
        ("RunInstances", {**LAUNCH, **tags(50)}, "has 51 tags"),
        ("RunInstances", {**LAUNCH, "TagSpecification.1.ResourceType": "image"}, "tags a image"),
        ("RunInstances", {**LAUNCH, "TagSpecification.1.Tag.1.Key": "aws:mine"}, "AWS's own"),
        ("RunInstances", {**LAUNCH, "TagSpecification.1.Tag.2.Key": "run"}, "more than once"),
        ("RunInstances", {**LAUNCH, **CARD, "SubnetId": "subnet-1"}, "SubnetId is given in the interface"),
        ("RunInstances", {**LAUNCH, **CARD, "NetworkInterface.1.DeviceIndex": "1"}, "a single new interface"),
        ("RunInstances", {k: v for k, v in LAUNCH.items() if k != "MaxCount"}, "MaxCount is required"),
        ("DescribeImages", {**LISTING, "Filter.1.Name": "image-ids"}, "none of DescribeImages's"),
        ("DescribeImages", {"Filter.1.Name": "image-id"}, "has no value"),
        ("DescribeImages", {f"Filter.1.Value.{n}": "x" for n in range(1, 202)} | {"Filter.1.Name": "name"}, "201 values"),
        ("DescribeInstances", {"InstanceId.1": "i-1", "MaxResults": "5"}, "MaxResults goes not with InstanceIds"),
        ("DescribeSecurityGroups", {"MaxResults": "2"}, "published are 5 to 1000"),
        ("CreateSecurityGroup", {"GroupName": "sg-mine", "GroupDescription": "x"}, "GroupName is 'sg-mine'"),
        ("CreateSecurityGroup", {"GroupName": "mine", "GroupDescription": "über"}, "Description is"),
        ("CreateImage", {"InstanceId": "i-1", "Name": "a*b"}, "Name is 'a*b'"),
        ("TerminateInstances", {}, "InstanceIds is required"),
        ("DeleteLaunchTemplate", {"LaunchTemplateName": "with space"}, "does not match"),
        ("EnableImageDeprecation", {"ImageId": "ami-1", "DeprecateAt": "tomorrow"}, "no time"),
    ],
)  # fmt: skip
def test_each_mistake_is_found_and_nothing_else(action, parameters, finding):
    found = request_findings("ec2", action, parameters)
    assert any(finding in text for text in found), found
    assert len(found) <= 2, found


def test_other_services_are_known_too():
    assert (
        request_findings("ssm", "PutParameter", {"Name": "/images/base", "Value": "ami-1", "Type": "String", "Overwrite": "true"})
        == []
    )
    assert request_findings("ssm", "PutParameter", {"Value": "ami-1", "Type": "Text"}) != []
    assert request_findings("sts", "AssumeRole", {"RoleArn": "arn:aws:iam::123456789012:role/x", "RoleSessionName": "assay"}) == []
    short = request_findings(
        "sts", "AssumeRole", {"RoleArn": "arn:aws:iam::123456789012:role/x", "RoleSessionName": "a", "DurationSeconds": "60"}
    )
    assert len(short) == 2
    assert (
        request_findings("autoscaling", "DescribeAutoScalingGroups", {"AutoScalingGroupNames.member.1": "a", "MaxRecords": "50"})
        == []
    )
    assert request_findings("servicequotas", "GetServiceQuota", {"ServiceCode": "ec2", "QuotaCode": "L-1216C47A"}) == []
    assert request_findings("nosuch", "X", {}) == ["there is no service 'nosuch'"]


@pytest.mark.parametrize(
    ("service", "action", "given"),
    [
        ("ec2", "RunInstances", {
            "ImageId": "ami-1", "MinCount": 1, "MaxCount": 1, "UserData": "x", "NetworkInterfaces": [{"DeviceIndex": 0, "Groups": ["sg-1", "sg-2"]}],
            "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"DeleteOnTermination": True}}], "InstanceInitiatedShutdownBehavior": "terminate",
        }),
        ("ec2", "ModifyImageAttribute", {"ImageId": "ami-1", "LaunchPermission": {"Add": [{"UserId": "1"}, {"Group": "all"}]}}),
        ("ec2", "ModifySnapshotAttribute", {"SnapshotId": "snap-1", "CreateVolumePermission": {"Add": [{"UserId": "123456789012"}]}}),
        ("ec2", "CreateTags", {"Resources": ["ami-1", "snap-1"], "Tags": [{"Key": "a", "Value": "b"}]}),
        ("sts", "AssumeRole", {"RoleArn": "arn:aws:iam::123456789012:role/x", "RoleSessionName": "job", "Tags": [{"Key": "a", "Value": "b"}]}),
        ("autoscaling", "DescribeAutoScalingGroups", {"Filters": [{"Name": "tag-key", "Values": ["a", "b"]}]}),
    ],
)  # fmt: skip
def test_what_botocore_sends_is_understood_whole(service, action, given):
    """botocore's own serializer is the judge of what requests look like."""
    from botocore.serialize import create_serializer

    model = botocore.session.get_session().get_service_model(service)
    request = create_serializer(model.protocol).serialize_to_request(given, model.operation_model(action))
    flat = {name: str(text).lower() if isinstance(text, bool) else str(text) for name, text in request["body"].items()}
    flat = {name: text for name, text in flat.items() if name not in ("Action", "Version")}
    assert urllib.parse.urlencode(flat)
    assert request_findings(service, action, flat) == []


def test_a_log_is_checked_line_by_line(tmp_path):
    lines = [
        {"service": "ec2", "action": "DescribeRegions", "parameters": {}, "error": None, "fault": None},
        {"service": "ec2", "action": "TerminateInstances", "parameters": {"Instance.1": "i-1"}, "error": None, "fault": None},
        {
            "service": "ec2",
            "action": "RunInstances",
            "parameters": {"InstanceType": "x"},
            "error": "InvalidParameterValue",
            "fault": None,
        },
    ]
    log = tmp_path / "calls.jsonl"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = list(log_findings(log))
    assert {finding.line for finding in found} == {2} and "no parameter Instance.1" in str(found[0])
    assert {finding.line for finding in log_findings(log, failed_too=True)} == {2, 3}
    command = [sys.executable, "-m", "requests_as_published", str(log)]
    result = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True)
    assert result.returncode == 1 and f"{log}:2: TerminateInstances" in result.stdout
    log.write_text("not JSON\n")
    assert subprocess.run(command, cwd=HERE.parent, capture_output=True).returncode == 2
