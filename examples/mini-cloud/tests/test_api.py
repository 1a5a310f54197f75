"""The API itself, with light instances or none: accounts, protection, tokens, faults, the log."""

from __future__ import annotations

import time
import uuid

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, HTTPClientError
from conftest import known, port_open, wait_for


def code_of(call) -> str:
    """The error code that a call fails with."""
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"]


def test_base_image_is_found_as_the_real_one_is(server):
    for region in server.ready["regions"]:
        filters = {
            "name": "debian-12-amd64-*", "root-device-type": "ebs", "virtualization-type": "hvm",
            "architecture": "x86_64", "state": "available",
        }  # fmt: skip
        wanted = [{"Name": name, "Values": [value]} for name, value in filters.items()]
        found = server.client(region=region).describe_images(Owners=["136693071363"], Filters=wanted)["Images"]
        assert [image["ImageId"] for image in found] == [server.ready["images"][region]]
        assert found[0]["EnaSupport"] and found[0]["BootMode"] == "uefi" and found[0]["RootDeviceName"] == "/dev/xvda"


def test_two_accounts_are_strangers(desk, server):
    guest = desk.launch(light=True)
    guest.wait_state("running")
    image = desk.image_of(guest)
    other = server.client(account="other")
    assert code_of(lambda: other.describe_instances(InstanceIds=[guest.id])) == "InvalidInstanceID.NotFound"
    assert code_of(lambda: other.describe_images(ImageIds=[image])) == "InvalidAMIID.NotFound"
    assert code_of(lambda: other.deregister_image(ImageId=image)) == "InvalidAMIID.NotFound"
    assert code_of(lambda: other.deregister_image(ImageId=server.ready["images"]["us-east-1"])) == "AuthFailure"
    for name in ("main", "other"):
        who = server.client("sts", account=name).get_caller_identity()
        assert who["Account"] == server.ready["accounts"][name]["id"]


def test_assumed_role_acts_in_its_account(server):
    number = server.ready["accounts"]["other"]["id"]
    role = f"arn:aws:iam::{number}:role/tester"
    keys = server.client("sts").assume_role(RoleArn=role, RoleSessionName="job")["Credentials"]
    given = {
        "aws_access_key_id": keys["AccessKeyId"], "aws_secret_access_key": keys["SecretAccessKey"],
        "aws_session_token": keys["SessionToken"],
    }  # fmt: skip
    who = server.client("sts", **given).get_caller_identity()
    assert who["Account"] == number and "assumed-role/tester/job" in who["Arn"]
    group = server.client(**given).create_security_group(GroupName="assumed", Description="x")["GroupId"]
    known(lambda: server.client(account="other").delete_security_group(GroupId=group))


def test_unknown_key_is_refused(server):
    stranger = {"aws_access_key_id": "AKIA" + "X" * 16, "aws_secret_access_key": "y"}
    assert code_of(server.client(**stranger).describe_instances) == "AuthFailure"
    assert code_of(server.client("sts", **stranger).get_caller_identity) == "InvalidClientTokenId"


def test_protection_holds_until_it_is_lifted(desk):
    guest = desk.launch(light=True)
    guest.wait_state("running")
    image, ec2 = desk.image_of(guest, NoReboot=True), desk.ec2

    def protection() -> str:
        return ec2.describe_images(ImageIds=[image])["Images"][0]["DeregistrationProtection"]

    assert protection() == "disabled"
    ec2.enable_image_deregistration_protection(ImageId=image)
    assert protection() == "enabled"
    assert code_of(lambda: ec2.deregister_image(ImageId=image)) == "OperationNotPermitted"
    ec2.disable_image_deregistration_protection(ImageId=image)
    ec2.deregister_image(ImageId=image)
    by_id = [{"Name": "image-id", "Values": [image]}]
    wait_for("it is in no listing", lambda: ec2.describe_images(Owners=["self"], Filters=by_id)["Images"] == [])


def test_tags_in_the_creating_call(desk, key):
    ec2, wanted = desk.ec2, [{"Key": "run", "Value": "r2"}]
    name = f"tagged-{uuid.uuid4()}"
    public = key.with_suffix(".pub").read_bytes()
    spec = lambda kind: [{"ResourceType": kind, "Tags": wanted}]  # noqa: E731
    ec2.import_key_pair(KeyName=name, PublicKeyMaterial=public, TagSpecifications=spec("key-pair"))
    group = ec2.create_security_group(GroupName=name, Description="x", TagSpecifications=spec("security-group"))["GroupId"]
    by_tag = [{"Name": "tag:run", "Values": ["r2"]}]
    assert [pair["KeyName"] for pair in ec2.describe_key_pairs(Filters=by_tag)["KeyPairs"]] == [name]
    known(lambda: ec2.describe_security_groups(GroupIds=[group]))
    assert [g["GroupId"] for g in ec2.describe_security_groups(Filters=by_tag)["SecurityGroups"]] == [group]
    ec2.delete_key_pair(KeyName=name)
    ec2.delete_security_group(GroupId=group)


def test_one_client_token_is_one_launch(desk):
    token = str(uuid.uuid4())
    first, second = desk.launch(light=True, ClientToken=token), desk.launch(light=True, ClientToken=token)
    assert first.id == second.id
    assert code_of(lambda: desk.launch(light=True, ClientToken=token, InstanceType="t3.micro")) == "IdempotentParameterMismatch"


def test_what_does_not_exist_cannot_be_launched(desk):
    assert code_of(lambda: desk.launch("ami-00000000000000000")) == "InvalidAMIID.NotFound"
    assert code_of(lambda: desk.launch(light=True, KeyName="nobodys")) == "InvalidKeyPair.NotFound"
    assert code_of(lambda: desk.launch(light=True, InstanceType="t3.enormous")) == "InvalidParameterValue"


def test_image_name_is_taken_once(desk):
    guest = desk.launch(light=True)
    guest.wait_state("running")
    name = f"twice-{uuid.uuid4()}"
    desk.wait_image(desk.ec2, desk.ec2.create_image(InstanceId=guest.id, Name=name, NoReboot=True)["ImageId"])
    again = lambda: desk.ec2.create_image(InstanceId=guest.id, Name=name, NoReboot=True)  # noqa: E731
    assert code_of(again) == "InvalidAMIName.Duplicate"


def test_call_log_tells_everything_but_secrets(desk, server):
    guest = desk.launch(light=True, UserData="#cloud-config\npassword: hunter2\n")
    entry = server.calls("RunInstances")[-1]
    assert entry["account"] == server.ready["accounts"]["main"]["id"]
    assert (entry["region"], entry["service"], entry["status"], entry["error"]) == ("us-east-1", "ec2", 200, None)
    assert entry["parameters"]["KeyName"] == "tests" and entry["duration_ms"] > 0
    assert entry["parameters"]["UserData"].startswith("(")
    code_of(lambda: guest.ec2.describe_images(ImageIds=["ami-00000000000000000"]))
    assert server.calls("DescribeImages")[-1]["error"] == "InvalidAMIID.NotFound"
    numbers = [call["n"] for call in server.calls("DescribeInstances")]
    assert len(set(numbers)) == len(numbers)


def test_faults_hit_as_scripted(desk, server):
    ec2 = desk.ec2
    server.control("POST", "faults", [
        {"action": "DescribeInstances", "after": 1, "times": 2, "code": "RequestLimitExceeded", "status": 503},
        {"action": "DescribeVpcs", "region": "eu-west-1", "code": "UnauthorizedOperation"},
        {"action": "DescribeRegions", "kind": "delay", "seconds": 0.5},
    ])  # fmt: skip
    ec2.describe_instances()
    assert [code_of(ec2.describe_instances) for _ in range(2)] == ["RequestLimitExceeded"] * 2
    ec2.describe_instances()
    assert server.calls("DescribeInstances")[-2]["fault"] == "error"
    ec2.describe_vpcs()
    assert code_of(server.client(region="eu-west-1").describe_vpcs) == "UnauthorizedOperation"
    began = time.monotonic()
    ec2.describe_regions()
    assert time.monotonic() - began >= 0.5
    server.control("POST", "faults", [{"action": "RunInstances", "code": "InsufficientInstanceCapacity"}])
    assert code_of(lambda: desk.launch(light=True)) == "InsufficientInstanceCapacity"
    with pytest.raises(Exception, match="400"):
        server.control("POST", "faults", [{"action": "RunInstances", "tmies": 2}])


def test_lost_answer_is_a_done_call(desk, server):
    server.control("POST", "faults", [{"action": "CreateSecurityGroup", "kind": "drop-answer"}])
    with pytest.raises((ConnectionClosedError, HTTPClientError)):
        desk.ec2.create_security_group(GroupName="lost", Description="x")
    lost = [{"Name": "group-name", "Values": ["lost"]}]
    found = wait_for("the group", lambda: desk.ec2.describe_security_groups(Filters=lost)["SecurityGroups"])
    assert len(found) == 1
    desk.ec2.delete_security_group(GroupId=found[0]["GroupId"])


def test_unreachable_image_boots_but_never_answers(desk, server):
    guest = desk.launch(light=True)
    guest.wait_port()
    image = desk.image_of(guest, NoReboot=True)
    server.control("POST", "unreachable", {"image": image})
    deaf = desk.launch(image)
    deaf.wait_state("running")

    def entry() -> dict:
        return next(e for e in server.control("GET", "instances") if e["id"] == deaf.id)

    wait_for("its process", lambda: entry()["running"] and entry()["pid"])
    assert not entry()["reachable"]
    time.sleep(1)
    assert not entry()["open"] and not port_open(deaf.address())
    server.control("POST", "unreachable", {"image": image, "unreachable": False})
    desk.launch(image).wait_port()
