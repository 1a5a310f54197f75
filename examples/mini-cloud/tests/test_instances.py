"""Booted instances: what a builder and a tester of images see of them, from launch to termination."""

from __future__ import annotations

import base64
import json
import re
import subprocess

import pytest
from botocore.exceptions import ClientError
from conftest import port_open, wait_for

RESOURCES = ("instance", "volume", "network-interface")


def tags(resource: dict) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in resource.get("Tags", [])}


def scan(address: str) -> str:
    """The ed25519 host key that a machine shows, as a known_hosts line."""
    command = ["ssh-keyscan", "-t", "ed25519", address]
    return wait_for("a host key", lambda: subprocess.run(command, capture_output=True, text=True).stdout)


def test_boots_a_whole_debian_and_takes_the_key(desk):
    guest = desk.launch(MetadataOptions={"HttpTokens": "required"})
    assert guest.booted() == "ip-" + guest.describe()["PrivateIpAddress"].replace(".", "-")
    result = guest.ssh("systemctl is-system-running; systemctl --failed --no-legend; sudo id -u; ps -p 1 -o comm=")
    assert result.stdout.split() == ["running", "0", "systemd"], result
    shown = guest.describe()
    assert shown["State"]["Name"] == "running"
    assert shown["MetadataOptions"]["HttpTokens"] == "required"
    assert shown["PrivateIpAddress"] == shown["NetworkInterfaces"][0]["PrivateIpAddress"] != shown["PublicIpAddress"]


def test_console_shows_the_host_key_that_sshd_uses(desk, tmp_path):
    guest = desk.launch()
    guest.booted()

    def console() -> str:
        return guest.ec2.get_console_output(InstanceId=guest.id, Latest=True).get("Output", "")

    block = r"-----BEGIN SSH HOST KEY KEYS-----\s+(.*?)-----END SSH HOST KEY KEYS-----"
    found = wait_for("host keys on the console", lambda: re.search(block, console(), re.S))
    keys = [line.split()[:2] for line in found[1].splitlines() if line.strip()]
    assert "ssh-ed25519" in [kind for kind, _ in keys]
    known = tmp_path / "known_hosts"
    known.write_text("".join(f"{guest.address()} {kind} {key}\n" for kind, key in keys))
    options = ("-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={known}")
    command = ["ssh", "-i", str(desk.key), "-o", "BatchMode=yes", *options, f"debian@{guest.address()}", "true"]
    assert subprocess.run(command).returncode == 0


def test_user_data_reaches_cloud_init_as_given(desk, tmp_path):
    host_key = tmp_path / "host"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(host_key)], check=True)
    private = "".join(f"      {line}\n" for line in host_key.read_text().splitlines())
    public = host_key.with_suffix(".pub").read_text().strip()
    config = f"#cloud-config\nssh_keys:\n  ed25519_private: |\n{private}  ed25519_public: {public}\n"
    script = "#!/bin/sh\necho from-script > /run/marker\n"
    mime = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=XX\n\n"
    for kind, text in (("cloud-config", config), ("x-shellscript", script)):
        mime += f"--XX\nContent-Type: text/{kind}\n\n{text}\n"
    for light in (False, True):
        guest = desk.launch(light=light, UserData=mime + "--XX--\n")
        guest.wait_port()
        assert scan(guest.address()).split()[1:3] == public.split()[:2]
        if not light:
            guest.booted()
            assert guest.ssh("cat /run/marker").stdout == "from-script\n"
            shown = guest.ec2.describe_instance_attribute(InstanceId=guest.id, Attribute="userData")["UserData"]["Value"]
            assert base64.b64decode(shown).decode() == mime + "--XX--\n"


def test_image_keeps_what_was_made_and_travels_to_another_region(desk):
    guest = desk.launch()
    guest.booted()
    guest.ssh("echo baked | sudo tee /etc/baked; sudo rm /etc/issue")
    guest.ec2.stop_instances(InstanceIds=[guest.id])
    assert "PublicIpAddress" not in guest.wait_state("stopped")
    labels = [{"ResourceType": kind, "Tags": [{"Key": "kind", "Value": kind}]} for kind in ("image", "snapshot")]
    image = desk.image_of(guest, TagSpecifications=labels)
    shown = desk.ec2.describe_images(ImageIds=[image], Owners=["self"])["Images"][0]
    assert tags(shown) == {"kind": "image"}
    snapshot = shown["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    assert tags(desk.ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]) == {"kind": "snapshot"}
    again = desk.launch(image)
    away = desk.server.client(region="eu-west-1")
    copy = away.copy_image(SourceImageId=image, SourceRegion="us-east-1", Name=shown["Name"], CopyImageTags=True)["ImageId"]
    assert tags(desk.wait_image(away, copy)) == {"kind": "image"}
    names = []
    for one in (again, desk.launch(copy, "eu-west-1")):
        names.append(one.booted())
        assert one.ssh("cat /etc/baked; ls /etc/issue").stdout == "baked\n"
    assert len(set(names)) == 2


IDENTITY = "cat /proc/sys/kernel/random/boot_id /etc/machine-id /etc/ssh/ssh_host_*_key.pub"


def boot_and_identity(guest) -> tuple[str, list[str]]:
    """The id of this boot, and what stays the same over all of them: machine-id and host keys."""
    lines = guest.ssh(IDENTITY).stdout.splitlines()
    assert len(lines) >= 3, lines
    return lines[0], lines[1:]


def test_reboot_is_another_boot_of_the_same_machine_at_the_same_address(desk):
    for light in (False, True):
        guest = desk.launch(light=light)
        if not light:
            guest.booted()
        address = guest.address()
        boot, identity = boot_and_identity(guest)
        guest.ssh("echo kept > kept; sync; sudo touch /run/volatile")
        guest.ec2.reboot_instances(InstanceIds=[guest.id])
        wait_for("another boot", lambda: guest.ssh("cat /proc/sys/kernel/random/boot_id").stdout.strip() != boot)
        assert boot_and_identity(guest)[1] == identity
        assert guest.ssh("cat kept; ls /run/volatile").stdout == "kept\n"
        assert guest.state() == "running" and guest.address() == address


def test_start_after_stop_is_another_boot_of_the_same_machine_at_another_address(desk):
    for light in (False, True):
        guest = desk.launch(light=light)
        if not light:
            guest.booted()
        old, private = guest.address(), guest.describe()["PrivateIpAddress"]
        boot, identity = boot_and_identity(guest)
        guest.ssh("echo kept > kept; sync")
        guest.ec2.stop_instances(InstanceIds=[guest.id])
        assert "PublicIpAddress" not in guest.wait_state("stopped")
        guest.ec2.start_instances(InstanceIds=[guest.id])
        shown = guest.wait_state("running")
        assert shown["PublicIpAddress"] != old
        assert shown["NetworkInterfaces"][0]["PrivateIpAddress"] == shown["PrivateIpAddress"] == private
        again, still = boot_and_identity(guest)
        assert again != boot and still == identity
        assert guest.ssh("cat kept").stdout == "kept\n"
        assert not port_open(old)


def test_a_one_time_spot_instance_cannot_be_stopped(desk):
    guest = desk.launch(light=True, InstanceMarketOptions={"MarketType": "spot"})
    guest.wait_state("running")
    with pytest.raises(ClientError, match="UnsupportedOperation"):
        guest.ec2.stop_instances(InstanceIds=[guest.id])
    assert guest.state() == "running"


def test_without_user_data_each_instance_makes_its_own_identity(desk):
    guests = [desk.launch(), desk.launch()]
    identities = []
    for guest in guests:
        guest.booted()
        identities.append(set(boot_and_identity(guest)[1]))
        errors = guest.ssh("cat /run/cloud-init/result.json").stdout
        assert json.loads(errors)["v1"]["errors"] == []
    assert not identities[0] & identities[1]


def test_power_off_inside_does_what_the_launch_said(desk):
    for behaviour, state in (("terminate", "terminated"), ("stop", "stopped")):
        guest = desk.launch(InstanceInitiatedShutdownBehavior=behaviour)
        guest.booted()
        guest.ssh("sudo systemd-run --on-active=1 --timer-property=AccuracySec=100ms systemctl poweroff")
        shown = guest.wait_state(state)
        assert shown["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"


def test_update_packages_really_updates_one(desk):
    guest = desk.launch()
    guest.booted()
    assert guest.ssh("cat /usr/share/minicloud/motd").stdout == "mini cloud, greeting 1.0\n"
    result = guest.ssh("sudo apt-get -qq update && sudo DEBIAN_FRONTEND=noninteractive apt-get -y upgrade")
    assert result.returncode == 0 and "1 upgraded" in result.stdout, result
    assert guest.ssh("cat /usr/share/minicloud/motd").stdout == "mini cloud, greeting 1.1\n"


def test_everything_a_launch_makes_carries_its_tags_and_goes_with_it(desk):
    specifications = [
        {"ResourceType": kind, "Tags": [{"Key": "run", "Value": "r1"}, {"Key": "kind", "Value": kind}]} for kind in RESOURCES
    ]
    guest = desk.launch(light=True, TagSpecifications=specifications, ClientToken="assay-r1")
    shown = guest.wait_state("running")
    volume = shown["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    card = shown["NetworkInterfaces"][0]["NetworkInterfaceId"]
    assert tags(shown) == {"run": "r1", "kind": "instance"}
    assert tags(guest.ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]) == {"run": "r1", "kind": "volume"}
    interface = guest.ec2.describe_network_interfaces(NetworkInterfaceIds=[card])["NetworkInterfaces"][0]
    assert {t["Key"]: t["Value"] for t in interface["TagSet"]} == {"run": "r1", "kind": "network-interface"}
    for name, value in (("client-token", "assay-r1"), ("tag:run", "r1"), ("instance-state-name", "running")):
        found = guest.ec2.describe_instances(Filters=[{"Name": name, "Values": [value]}])["Reservations"]
        assert guest.id in [i["InstanceId"] for r in found for i in r["Instances"]], name
    assert shown["ClientToken"] == "assay-r1"
    guest.ec2.terminate_instances(InstanceIds=[guest.id])
    assert tags(guest.wait_state("terminated"))["run"] == "r1"
    run = [{"Name": "tag:run", "Values": ["r1"]}]
    assert guest.ec2.describe_volumes(Filters=run)["Volumes"] == []
    assert guest.ec2.describe_network_interfaces(Filters=run)["NetworkInterfaces"] == []


def test_ten_boot_at_once(desk):
    guests = [desk.launch() for _ in range(10)]
    names = {guest.booted() for guest in guests}
    assert len(names) == 10


def test_two_hundred_light_ones_at_once(desk):
    crowd = [{"ResourceType": "instance", "Tags": [{"Key": "crowd", "Value": "yes"}]}]
    first = desk.launch(light=True, MinCount=200, MaxCount=200, TagSpecifications=crowd)
    pages = first.ec2.get_paginator("describe_instances").paginate(Filters=[{"Name": "tag:crowd", "Values": ["yes"]}])
    shown = [instance for page in pages for reservation in page["Reservations"] for instance in reservation["Instances"]]
    ids = {instance["InstanceId"] for instance in shown}
    assert len(ids) == 200
    assert len({instance["PrivateIpAddress"] for instance in shown}) == 200

    def open_ones() -> int:
        return sum(entry["open"] for entry in desk.server.control("GET", "instances") if entry["id"] in ids)

    wait_for("200 open ports", lambda: open_ones() == 200)
    assert first.ssh("id -un").stdout == "debian\n"
    first.ec2.terminate_instances(InstanceIds=sorted(ids))
    wait_for("200 closed ports", lambda: open_ones() == 0)
