"""What EC2 does and a kind cloud does not, seen by an independent client: one test for each behaviour of fidelity/ that acts
on API calls."""

from __future__ import annotations

import time
import uuid

import pytest
from botocore.exceptions import ClientError
from conftest import known, wait_for
from test_api import code_of
from test_estate import copy, described, snapshot_of

from minicloud.faults import Call
from minicloud.fidelity import lifetimes
from minicloud.fidelity.circumstances import Circumstances
from minicloud.fidelity.throttling import RequestThrottling

SPOT = {"InstanceMarketOptions": {"MarketType": "spot"}}


@pytest.fixture
def circumstances(server):
    """Switches circumstances for one test."""
    yield lambda **wish: server.control("POST", "circumstances", wish)
    server.control("DELETE", "circumstances")


def group(ec2) -> str:
    """A new security group, already known."""
    made = ec2.create_security_group(GroupName=str(uuid.uuid4()), Description="x")["GroupId"]
    known(lambda: ec2.describe_security_groups(GroupIds=[made]))
    return made


def error_of(call) -> dict:
    """The error that a call fails with."""
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]


# Client tokens.


def test_a_token_of_terminated_instances_launches_nothing(desk):
    token = str(uuid.uuid4())
    guest = desk.launch(light=True, ClientToken=token)
    known(lambda: guest.ec2.terminate_instances(InstanceIds=[guest.id]))
    guest.wait_state("terminated")
    assert code_of(lambda: desk.launch(light=True, ClientToken=token)) == "IdempotentInstanceTerminated"


def test_every_call_with_a_token_is_done_once(server):
    ec2, name, token = server.client(), f"token-{uuid.uuid4()}", str(uuid.uuid4())
    wish = {"LaunchTemplateName": name, "LaunchTemplateData": {"InstanceType": "t3.small"}, "ClientToken": token}
    first, second = (ec2.create_launch_template(**wish)["LaunchTemplate"]["LaunchTemplateId"] for _ in range(2))
    assert first == second
    other = {**wish, "LaunchTemplateName": name + "-other"}
    assert code_of(lambda: ec2.create_launch_template(**other)) == "IdempotentParameterMismatch"
    assert code_of(lambda: ec2.create_launch_template(**{**wish, "ClientToken": "x" * 65})) == "InvalidParameterValue"
    ec2.delete_launch_template(LaunchTemplateName=name)


# Dependencies and limits.


def test_a_group_in_use_stays_until_the_instance_is_terminated(desk):
    ec2, used = desk.ec2, group(desk.ec2)
    guest = desk.launch(light=True, SecurityGroupIds=[used])
    guest.wait_state("running")
    assert code_of(lambda: ec2.delete_security_group(GroupId=used)) == "DependencyViolation"
    guest.ec2.terminate_instances(InstanceIds=[guest.id])
    assert code_of(lambda: ec2.delete_security_group(GroupId=used)) == "DependencyViolation"
    guest.wait_state("terminated")
    ec2.delete_security_group(GroupId=used)


def test_a_group_that_another_groups_rule_names_stays_as_long(server):
    ec2 = server.client()
    named, other = group(ec2), group(ec2)
    rule = [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "UserIdGroupPairs": [{"GroupId": named}]}]
    ec2.authorize_security_group_ingress(GroupId=other, IpPermissions=rule)
    assert code_of(lambda: ec2.delete_security_group(GroupId=named)) == "DependencyViolation"
    name = ec2.describe_security_groups(GroupIds=[named])["SecurityGroups"][0]["GroupName"]
    assert code_of(lambda: ec2.delete_security_group(GroupName=name)) == "InvalidGroup.InUse"
    ec2.revoke_security_group_ingress(GroupId=other, IpPermissions=rule)
    for made in (named, other):
        ec2.delete_security_group(GroupId=made)


def test_fifty_tags_and_no_more(server):
    ec2, many = server.client(), [{"Key": f"k{n}", "Value": "v"} for n in range(51)]
    name = str(uuid.uuid4())
    spec = [{"ResourceType": "security-group", "Tags": many}]
    assert code_of(lambda: ec2.create_security_group(GroupName=name, Description="x", TagSpecifications=spec)) == "TagLimitExceeded"
    assert ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [name]}])["SecurityGroups"] == []
    image = copy(server)
    ec2.create_tags(Resources=[image], Tags=many[:50])
    ec2.create_tags(Resources=[image], Tags=[{"Key": "k0", "Value": "another"}])
    assert code_of(lambda: ec2.create_tags(Resources=[image], Tags=many[50:])) == "TagLimitExceeded"
    reserved = [{"Key": "aws:own", "Value": "v"}]
    assert code_of(lambda: ec2.create_tags(Resources=[image], Tags=reserved)) == "InvalidParameterValue"


# Eventual consistency and states.


def test_what_is_new_is_unknown_for_a_moment(desk, circumstances):
    ec2 = desk.ec2
    assert circumstances(lag_seconds=60)["lag_seconds"] == 60
    guest = desk.launch(light=True)
    assert code_of(lambda: ec2.describe_instances(InstanceIds=[guest.id])) == "InvalidInstanceID.NotFound"
    by_id = [{"Name": "instance-id", "Values": [guest.id]}]
    assert ec2.describe_instances(Filters=by_id)["Reservations"] == []
    assert code_of(lambda: ec2.terminate_instances(InstanceIds=[guest.id])) == "InvalidInstanceID.NotFound"
    made = ec2.create_security_group(GroupName=str(uuid.uuid4()), Description="x")["GroupId"]
    assert code_of(lambda: ec2.delete_security_group(GroupId=made)) == "InvalidGroup.NotFound"
    circumstances(lag_seconds=0.5)
    assert wait_for("it is listed", lambda: ec2.describe_instances(Filters=by_id)["Reservations"])
    known(lambda: ec2.delete_security_group(GroupId=made))


def test_new_images_are_unknown_where_it_is_switched_on(server, circumstances):
    source, ec2 = copy(server), server.client(region="eu-west-1")
    circumstances(lagging_images=True, lag_seconds=60)
    made = ec2.copy_image(SourceImageId=source, SourceRegion="us-east-1", Name=str(uuid.uuid4()))["ImageId"]
    assert code_of(lambda: ec2.describe_images(ImageIds=[made])) == "InvalidAMIID.NotFound"
    circumstances(lag_seconds=1)
    assert described(ec2, made)["ImageId"] == made


def test_tags_show_late(server, circumstances):
    image, ec2 = copy(server, tags={"old": "1"}), server.client()
    circumstances(tag_lag_seconds=60)
    ec2.create_tags(Resources=[image], Tags=[{"Key": "new", "Value": "2"}])
    by_id = [{"Name": "resource-id", "Values": [image]}]
    keys = lambda: {tag["Key"] for tag in described(ec2, image)["Tags"]}  # noqa: E731
    listed = lambda: {tag["Key"] for tag in ec2.describe_tags(Filters=by_id)["Tags"]}  # noqa: E731
    assert keys() == listed() == {"old"}
    circumstances(tag_lag_seconds=1)
    wait_for("the tag", lambda: keys() == listed() == {"old", "new"}, 5)


def test_states_last(desk):
    began = time.monotonic()
    guest = desk.launch(light=True)
    seconds = {}
    for act, state in (("", "running"), ("stop_instances", "stopped"), ("terminate_instances", "terminated")):
        if act:
            began = time.monotonic()
            getattr(guest.ec2, act)(InstanceIds=[guest.id])
        guest.wait_state(state)
        seconds[state] = time.monotonic() - began
    assert (seconds["running"] >= lifetimes.PENDING) and (seconds["stopped"] >= lifetimes.STOPPING), seconds
    assert seconds["terminated"] >= lifetimes.SHUTTING_DOWN, seconds


# Throttling.


@pytest.mark.parametrize(
    ("action", "parameters", "limit"),
    [
        ("RunInstances", {}, (5, 2)), ("DescribeImages", {}, (100, 20)), ("DescribeInstances", {}, (50, 10)), ("CopyImage", {}, (100, 1)),
        ("DescribeInstances", {"Filter.1.Name": "x"}, (100, 20)), ("DescribeInstances", {"MaxResults": "5"}, (100, 20)),
        ("CreateKeyPair", {}, (50, 5)), ("CreateTags", {}, (100, 10)), ("TerminateInstances", {}, (100, 5)), ("GetConsoleOutput", {}, (100, 20)),
    ],
)  # fmt: skip
def test_buckets_have_the_published_sizes(action, parameters, limit):
    call = Call("ec2", action, "us-east-1", "210987654321", parameters)
    assert RequestThrottling(Circumstances()).request_limit(call) == limit


def test_requests_are_throttled_by_action_account_and_region(server, circumstances):
    circumstances(request_limits={"RunInstances": [3, 0.5]})
    ec2 = server.client(region="ap-southeast-2")
    wish = {"ImageId": "ami-00000000000000000", "MinCount": 1, "MaxCount": 1, "InstanceType": "t3.small"}
    codes = [code_of(lambda: ec2.run_instances(**wish)) for _ in range(5)]
    assert codes[:3] == ["InvalidAMIID.NotFound"] * 3 and "RequestLimitExceeded" in codes[3:]
    ec2.describe_images(Owners=["self"])
    assert code_of(lambda: server.client(region="eu-west-1").run_instances(**wish)) == "InvalidAMIID.NotFound"
    assert code_of(lambda: server.client(account="other", region="ap-southeast-2").run_instances(**wish)) == "InvalidAMIID.NotFound"
    time.sleep(2.1)
    assert code_of(lambda: ec2.run_instances(**wish)) == "InvalidAMIID.NotFound"


def test_an_unfiltered_unpaginated_listing_has_the_smaller_bucket(server, circumstances):
    circumstances(request_limits={"DescribeVpcs": [2, 0.001]})
    ec2 = server.client(region="ap-southeast-2")
    for _ in range(2):
        ec2.describe_vpcs()
    assert error_of(ec2.describe_vpcs) == {"Code": "RequestLimitExceeded", "Message": "Request limit exceeded."}
    before, refused = time.monotonic(), 0
    for _ in range(60):
        try:
            ec2.describe_volumes()
        except ClientError as error:
            refused += error.response["Error"]["Code"] == "RequestLimitExceeded"
    expected = 60 - 50 - 10 * (time.monotonic() - before)
    assert refused >= expected - 1
    ec2.describe_volumes(MaxResults=100)


# Refusals.


def test_a_refusal_is_long_and_can_be_decoded(server, circumstances):
    circumstances(denied_regions=["eu-west-1"])
    west, sts = server.client(region="eu-west-1"), server.client("sts", region="eu-west-1")
    error = error_of(lambda: west.describe_images(Owners=["self"]))
    assert error["Code"] == "UnauthorizedOperation" and "explicit deny in a service control policy" in error["Message"]
    encoded = error["Message"].rpartition("failure message: ")[2]
    assert len(encoded) >= 2000
    decoded = sts.decode_authorization_message(EncodedMessage=encoded)["DecodedMessage"]
    assert '"ec2:DescribeImages"' in decoded
    assert code_of(lambda: sts.decode_authorization_message(EncodedMessage="nonsense")) == "InvalidAuthorizationMessageException"
    assert {r["RegionName"] for r in west.describe_regions()["Regions"]} >= {"eu-west-1"}
    assert sts.get_caller_identity()["Account"]
    assert code_of(lambda: server.client("ssm", region="eu-west-1").get_parameter(Name="/x")) == "AccessDeniedException"
    server.client().describe_images(Owners=["self"])


def test_credentials_end(server, circumstances):
    number = server.ready["accounts"]["main"]["id"]
    circumstances(session_seconds=6)

    def session():
        return server.client("sts").assume_role(
            RoleArn=f"arn:aws:iam::{number}:role/x", RoleSessionName="job", DurationSeconds=900
        )["Credentials"]

    def clients(keys):
        given = {
            "aws_access_key_id": keys["AccessKeyId"], "aws_secret_access_key": keys["SecretAccessKey"], "aws_session_token": keys["SessionToken"],
        }  # fmt: skip
        return server.client(**given), server.client("sts", **given)

    keys = session()
    ec2, sts = clients(keys)
    ec2.describe_vpcs()
    assert keys["Expiration"].timestamp() - time.time() < 7
    time.sleep(6.1)
    assert (code_of(ec2.describe_vpcs), code_of(sts.get_caller_identity)) == ("RequestExpired", "ExpiredToken")
    circumstances(session_seconds=0)
    ec2, _ = clients(session())
    ec2.describe_vpcs()
    server.control("POST", "end-sessions", {})
    assert code_of(ec2.describe_vpcs) == "RequestExpired"
    server.control("POST", "end-sessions", {"access_key": server.ready["accounts"]["other"]["access_key"]})
    assert code_of(server.client(account="other").describe_vpcs) == "AuthFailure"


# Listings.


def test_pages_have_opaque_tokens_that_fit_one_listing(server):
    ec2 = server.client()
    subnets = ec2.describe_subnets()["Subnets"]
    page = ec2.describe_subnets(MaxResults=5)
    rest = ec2.describe_subnets(MaxResults=5, NextToken=page["NextToken"])["Subnets"]
    assert [s["SubnetId"] for s in page["Subnets"] + rest] == [s["SubnetId"] for s in subnets]
    assert code_of(lambda: ec2.describe_images(MaxResults=5, NextToken=page["NextToken"])) == "InvalidNextToken"
    assert code_of(lambda: ec2.describe_security_groups(MaxResults=6, NextToken="5")) == "InvalidNextToken"


def test_pages_may_be_empty_and_may_be_demanded(server, circumstances):
    ec2 = server.client()
    whole = [s["SubnetId"] for s in ec2.describe_subnets()["Subnets"]]
    circumstances(empty_first_page=True, pages_demanded=True)
    first = ec2.describe_subnets(MaxResults=100)
    assert first["Subnets"] == [] and first["NextToken"]
    pages = ec2.get_paginator("describe_subnets").paginate(PaginationConfig={"PageSize": 100})
    assert [s["SubnetId"] for page in pages for s in page["Subnets"]] == whole
    assert code_of(ec2.describe_subnets) == "OperationNotPermitted"
    ec2.describe_subnets(SubnetIds=whole[:1])


# Images.


def test_a_deregistered_image_lingers_and_is_then_empty_and_then_an_error(desk, server, circumstances):
    image, ec2 = copy(server), server.client()
    circumstances(linger_seconds=8)
    guest = desk.launch(image)
    ec2.deregister_image(ImageId=image)
    by_id = [{"Name": "image-id", "Values": [image]}]
    states = lambda: [i["State"] for i in ec2.describe_images(Owners=["self"], Filters=by_id)["Images"]]  # noqa: E731
    assert states() == ["available"]
    wait_for("it is shown as deregistered", lambda: states() == ["deregistered"])
    assert code_of(lambda: desk.launch(image)) == "InvalidAMIID.Unavailable"
    wait_for("it is shown no more", lambda: states() == [])
    assert ec2.describe_images(ImageIds=[image])["Images"] == []
    known(lambda: guest.ec2.terminate_instances(InstanceIds=[guest.id]))
    guest.wait_state("terminated")
    assert code_of(lambda: ec2.describe_images(ImageIds=[image])) == "InvalidAMIID.NotFound"


def test_copies_are_pending_and_fail_later_for_keys_of_another_region(server):
    source, west = copy(server), server.client(region="eu-west-1")
    keys = {region: server.client("kms", region=region).create_key()["KeyMetadata"]["Arn"] for region in ("us-east-1", "eu-west-1")}

    def state_of(**more) -> dict:
        wish = {"SourceImageId": source, "SourceRegion": "us-east-1", "Name": str(uuid.uuid4()), **more}
        made = west.copy_image(**wish)["ImageId"]
        assert described(west, made)["State"] == "pending"
        wait_for("its end", lambda: described(west, made)["State"] != "pending")
        return described(west, made)

    assert state_of(Encrypted=True, KmsKeyId=keys["eu-west-1"])["State"] == "available"
    failed = state_of(Encrypted=True, KmsKeyId=keys["us-east-1"])
    assert failed["State"] == "failed" and "Copy image failed" in failed["StateReason"]["Message"]
    assert state_of(Encrypted=True, KmsKeyId="alias/nobodys")["State"] == "failed"
    server.control("POST", "circumstances", {"failing_copies": 1})
    assert [state_of()["State"] for _ in range(2)] == ["failed", "available"]


def test_what_the_accounts_own_key_encrypts_cannot_be_shared(server):
    source, west = copy(server), server.client(region="eu-west-1")
    made = west.copy_image(SourceImageId=source, SourceRegion="us-east-1", Name=str(uuid.uuid4()), Encrypted=True)["ImageId"]
    wait_for("the copy", lambda: described(west, made)["State"] == "available")
    add = {"Add": [{"UserId": server.ready["accounts"]["other"]["id"]}]}
    assert code_of(lambda: west.modify_image_attribute(ImageId=made, LaunchPermission=add)) == "InvalidParameter"
    assert snapshot_of(west, made)


# Spot and fleets.


def test_a_spot_instance_is_interrupted_with_notice(desk, server):
    guest = desk.launch(light=True, **SPOT)
    guest.wait_state("running")
    server.control("POST", "interrupt", {"instance": guest.id, "seconds": 3})
    assert guest.state() == "running"
    assert guest.wait_state("terminated")["StateReason"]["Code"] == "Server.SpotInstanceTermination"
    plain = desk.launch(light=True)
    plain.wait_state("running")
    with pytest.raises(Exception, match="400"):
        server.control("POST", "interrupt", {"instance": plain.id})


def test_fleets_and_spot_requests_launch_and_end_instances(server):
    ec2, image, name = server.client(attempts=9), server.ready["light_images"]["us-east-1"], str(uuid.uuid4())
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    if not ec2.describe_key_pairs(Filters=[{"Name": "key-name", "Values": ["fleet"]}])["KeyPairs"]:
        ec2.create_key_pair(KeyName="fleet")
    launch = {"ImageId": image, "InstanceType": "t3.small", "KeyName": "fleet"}
    request = ec2.request_spot_instances(InstanceCount=1, LaunchSpecification={**launch, "SubnetId": subnet})[
        "SpotInstanceRequests"
    ][0]
    spot = known(lambda: ec2.describe_instances(InstanceIds=[request["InstanceId"]]))["Reservations"][0]["Instances"][0]
    assert spot["InstanceLifecycle"] == "spot"
    ec2.terminate_instances(InstanceIds=[spot["InstanceId"]])
    ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=launch)
    configs = [{"LaunchTemplateSpecification": {"LaunchTemplateName": name, "Version": "$Latest"}}]
    capacity = {"TotalTargetCapacity": 2, "OnDemandTargetCapacity": 1, "SpotTargetCapacity": 1, "DefaultTargetCapacityType": "spot"}
    fleet = ec2.create_fleet(Type="instant", LaunchTemplateConfigs=configs, TargetCapacitySpecification=capacity)
    ids = [one for entry in fleet["Instances"] for one in entry["InstanceIds"]]
    assert len(ids) == 2
    done = ec2.delete_fleets(FleetIds=[fleet["FleetId"], "fleet-00000000-0000-0000-0000-000000000000"], TerminateInstances=True)
    assert [entry["CurrentFleetState"] for entry in done["SuccessfulFleetDeletions"]] == ["deleted_terminating"]
    assert [entry["Error"]["Code"] for entry in done["UnsuccessfulFleetDeletions"]] == ["fleetIdDoesNotExist"]

    def states() -> set[str]:
        shown = ec2.describe_instances(InstanceIds=ids)["Reservations"]
        return {instance["State"]["Name"] for reservation in shown for instance in reservation["Instances"]}

    wait_for("the fleet's instances are gone", lambda: known(states) == {"terminated"})


def test_circumstances_are_checked(server):
    for wrong in ({"denied": []}, {"pages_demanded": 1}, {"nat_address": "nowhere"}, []):
        with pytest.raises(Exception, match="400"):
            server.control("POST", "circumstances", wrong)
    assert server.control("DELETE", "circumstances")["lag_seconds"] == 0.5
