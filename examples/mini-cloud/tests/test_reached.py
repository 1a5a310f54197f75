"""Who gets to an instance and what it sees: group rules, NAT and private subnets, the metadata service, an sshd without ed25519."""

from __future__ import annotations

import json
import socket
import subprocess
import time

import pytest
from conftest import known, port_open, wait_for
from test_fidelity import SPOT, circumstances, group

__all__ = ["circumstances"]


def allow(cidr: str) -> list[dict]:
    """A rule for port 22."""
    return [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": cidr}]}]


def silent(address: str) -> bool:
    """Whether a connection to port 22 is neither taken nor refused."""
    try:
        socket.create_connection((address, 22), 1).close()
    except TimeoutError:
        return True
    except OSError:
        return False
    return False


def test_only_rules_of_groups_open_port_22_and_others_are_not_even_refused(desk):
    ec2, mine = desk.ec2, group(desk.ec2)
    guest = desk.launch(light=True, SecurityGroupIds=[mine])
    private = guest.wait_state("running")["PrivateIpAddress"]
    wait_for("its sshd", lambda: next(e for e in desk.server.control("GET", "instances") if e["id"] == guest.id)["open"])
    assert silent(guest.address()) and silent(private)
    for no_use in ("198.51.100.0/24", "128.0.0.0/1"):
        ec2.authorize_security_group_ingress(GroupId=mine, IpPermissions=allow(no_use))
    other_port = [{**allow("0.0.0.0/0")[0], "FromPort": 2000, "ToPort": 3000}]
    ec2.authorize_security_group_ingress(GroupId=mine, IpPermissions=other_port)
    assert silent(guest.address())
    own = desk.server.client_address()
    ec2.authorize_security_group_ingress(GroupId=mine, IpPermissions=allow(f"{own}/32"))
    assert port_open(guest.address()) and port_open(private)
    ec2.revoke_security_group_ingress(GroupId=mine, IpPermissions=allow(f"{own}/32"))
    assert silent(guest.address())
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    ec2.authorize_security_group_ingress(GroupId=mine, IpPermissions=everything)
    assert port_open(guest.address())


def test_a_new_accounts_default_group_lets_nobody_in(desk):
    region = "ap-southeast-2"
    default = desk.server.client(region=region).describe_security_groups(GroupNames=["default"])["SecurityGroups"][0]
    fresh = desk.server.client(region=region).create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    own = [{"Name": "vpc-id", "Values": [fresh]}, {"Name": "group-name", "Values": ["default"]}]
    rules = desk.server.client(region=region).describe_security_groups(Filters=own)["SecurityGroups"][0]["IpPermissions"]
    assert not any(rule.get("IpRanges") for rule in rules)
    assert default["IpPermissions"], "the tests' own server has opened it, by a control request"


def test_behind_a_nat_the_public_address_sees_another_client(desk, circumstances):
    nat, mine = "203.0.113.7", group(desk.ec2)
    circumstances(nat_address=nat)
    assert desk.server.client_address() == nat
    guest = desk.launch(light=True, SecurityGroupIds=[mine])
    private = guest.wait_state("running")["PrivateIpAddress"]
    wait_for("its sshd", lambda: next(e for e in desk.server.control("GET", "instances") if e["id"] == guest.id)["open"])
    desk.ec2.authorize_security_group_ingress(GroupId=mine, IpPermissions=allow(f"{nat}/32"))
    assert port_open(guest.address()) and silent(private)


def test_in_a_private_subnet_there_is_a_private_address_only(desk, circumstances):
    subnet = desk.ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    circumstances(private_subnets=[subnet])
    guest = desk.launch(light=True, SubnetId=subnet)
    shown = guest.wait_state("running")
    assert "PublicIpAddress" not in shown
    wait_for("its private address answers", lambda: port_open(shown["PrivateIpAddress"]))
    card = {"DeviceIndex": 0, "SubnetId": subnet, "AssociatePublicIpAddress": True}
    asked = desk.launch(light=True, NetworkInterfaces=[card])
    shown = asked.wait_state("running")
    wait_for("its private address answers", lambda: port_open(shown["PrivateIpAddress"]))
    assert silent(shown["PublicIpAddress"])


READ = """python3 - <<'END'
import json, urllib.request, urllib.error
BASE = "http://169.254.169.254/latest/"
def ask(path, method="GET", **headers):
    request = urllib.request.Request(BASE + path, method=method, headers={k.replace("_", "-"): v for k, v in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return [answer.status, answer.read().decode()]
    except urllib.error.HTTPError as error:
        return [error.code, ""]
token = ask("api/token", "PUT", X_aws_ec2_metadata_token_ttl_seconds="60")[1]
with_token = lambda path: ask(path, X_aws_ec2_metadata_token=token)
print(json.dumps({
    "bare": ask("meta-data/instance-id"), "wrong": ask("meta-data/instance-id", X_aws_ec2_metadata_token="x"),
    "no_life": ask("api/token", "PUT"), "forwarded": ask("api/token", "PUT", X_aws_ec2_metadata_token_ttl_seconds="60", X_Forwarded_For="1.2.3.4"),
    "id": with_token("meta-data/instance-id"), "ami": with_token("meta-data/ami-id"), "public": with_token("meta-data/public-ipv4"),
    "private": with_token("meta-data/local-ipv4"), "user": with_token("user-data"), "spot": with_token("meta-data/spot/instance-action"),
    "tags": with_token("meta-data/tags/instance/run"), "key": with_token("meta-data/public-keys/0/openssh-key"), "none": with_token("meta-data/nothing"),
}))
END"""


def metadata(guest) -> dict:
    """What the guest is told."""
    result = guest.ssh(READ)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_metadata_need_a_token_and_tell_the_truth(desk):
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "run", "Value": "r9"}]}]
    options = {"InstanceMetadataTags": "enabled"}
    guest = desk.launch(UserData="#cloud-config\n{}\n", MetadataOptions=options, TagSpecifications=tags)
    guest.booted()
    shown, seen = guest.describe(), metadata(guest)
    assert shown["MetadataOptions"]["HttpTokens"] == "required"
    assert (seen["bare"][0], seen["wrong"][0], seen["no_life"][0], seen["forwarded"][0], seen["none"][0]) == (
        401,
        401,
        400,
        403,
        404,
    )
    assert seen["id"] == [200, guest.id] and seen["ami"] == [200, shown["ImageId"]]
    assert (seen["public"][1], seen["private"][1]) == (shown["PublicIpAddress"], shown["PrivateIpAddress"])
    assert (
        seen["user"] == [200, "#cloud-config\n{}\n"] and seen["tags"] == [200, "r9"] and seen["key"][1].startswith("ssh-ed25519 ")
    )
    guest.ec2.modify_instance_metadata_options(InstanceId=guest.id, HttpTokens="optional", HttpEndpoint="enabled")
    assert metadata(guest)["bare"] == [200, guest.id]
    guest.ec2.modify_instance_metadata_options(InstanceId=guest.id, HttpEndpoint="disabled", HttpTokens="required")
    assert metadata(guest)["bare"][0] == 403


def test_a_spot_instance_reads_its_notice(desk):
    guest = desk.launch(**SPOT)
    guest.booted()
    assert metadata(guest)["spot"][0] == 404
    desk.server.control("POST", "interrupt", {"instance": guest.id, "seconds": 600})
    assert json.loads(metadata(guest)["spot"][1])["action"] == "terminate"


@pytest.mark.parametrize("light", [True, False])
def test_an_sshd_without_ed25519(desk, tmp_path, light):
    server, source = desk.server, desk.server.ready["light_images" if light else "images"]["us-east-1"]
    image = server.control("POST", "copy", {"image": source, "region": "us-east-1", "name": f"fips-{light}-{time.time()}"})["image"]
    server.control("POST", "no-ed25519", {"image": image})
    key = tmp_path / "rsa"
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", str(key)], check=True)
    name = f"rsa-{light}-{time.time()}"
    desk.ec2.import_key_pair(KeyName=name, PublicKeyMaterial=key.with_suffix(".pub").read_bytes())
    guest = desk.launch(image, KeyName=name)
    wait_for("port 22", lambda: port_open(guest.address()))
    found = subprocess.run(["ssh-keyscan", "-t", "ed25519,ecdsa", guest.address()], capture_output=True, text=True).stdout
    assert "ecdsa-sha2-nistp256" in found and "ed25519" not in found
    strict = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"]
    login = lambda with_key: subprocess.run(["ssh", "-i", str(with_key), *strict, f"debian@{guest.address()}", "true"]).returncode  # noqa: E731
    wait_for("the RSA key is taken", lambda: login(key) == 0)
    assert known(guest.describe)["KeyName"] == name
    ed25519 = desk.launch(image)
    wait_for("port 22", lambda: port_open(ed25519.address()))
    time.sleep(5)
    refused = subprocess.run(["ssh", "-i", str(desk.key), *strict, f"debian@{ed25519.address()}", "true"], capture_output=True)
    assert refused.returncode == 255


def test_without_ed25519_a_host_key_of_that_kind_alone_is_none(desk, tmp_path):
    server, source = desk.server, desk.server.ready["light_images"]["us-east-1"]
    wish = {"image": source, "region": "us-east-1", "name": f"fips-{time.time()}", "tags": {"minicloud:no-ed25519": "true"}}
    image = server.control("POST", "copy", wish)["image"]
    host_key = tmp_path / "host"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(host_key)], check=True)
    private = "".join(f"      {line}\n" for line in host_key.read_text().splitlines())
    public = host_key.with_suffix(".pub").read_text().strip()
    guest = desk.launch(image, UserData=f"#cloud-config\nssh_keys:\n  ed25519_private: |\n{private}  ed25519_public: {public}\n")
    guest.wait_state("running")
    time.sleep(3)
    assert guest.state() == "running" and not port_open(guest.address())
    console = guest.ec2.get_console_output(InstanceId=guest.id)["Output"]
    assert "no hostkeys available" in console
    guest.ec2.stop_instances(InstanceIds=[guest.id])
    guest.wait_state("stopped")
