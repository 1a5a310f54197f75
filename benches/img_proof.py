#!/usr/bin/env python3
"""Owns one figure: an AMI tested end to end (launched, booted, tested, terminated) by assay and by img-proof (PyPI), in turn, with an equal suite. Prints; asserts
nothing but that both found the same. Run it with a cloud around it:

  examples/mini-cloud/mini-cloud run -- examples/mini-cloud/mini-cloud python benches/img_proof.py [--assay target/release/assay] [--rounds 3]

img-proof comes with `scripts/tools python`. It knows no Debian: `-d fedora` only chooses words that this suite does not use.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import boto3

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
TOOLS = pathlib.Path(os.environ.get("ASSAY_TOOLS") or CACHE / "assay/tools")
STOCK = "debian-12-amd64-20261101-2000"

# The same ten demands twice.
TESTS = '''
def test_passwd(host):
    f = host.file("/etc/passwd")
    assert f.exists and f.mode == 0o644 and f.user == "root"

def test_hostname_file(host):
    assert host.file("/etc/hostname").exists

def test_sshd_config(host):
    assert host.file("/etc/ssh/sshd_config").is_file

def test_ssh_enabled(host):
    assert host.service("ssh").is_enabled

def test_ssh_running(host):
    assert host.service("ssh").is_running

def test_package(host):
    assert host.package("openssh-server").is_installed

def test_root(host):
    assert host.user("root").uid == 0

def test_kernel(host):
    assert host.run("uname -m").stdout.strip() == "x86_64"

def test_no_nologin(host):
    assert not host.file("/etc/nologin").exists

def test_cloud_init(host):
    assert host.file("/run/cloud-init/result.json").exists
'''
SUITE = '''suite "equal" {
  file "/etc/passwd" {
    exists = true
    mode   = "0644"
    owner  = "root"
  }
  file "/etc/hostname" {
    exists = true
  }
  file "/etc/ssh/sshd_config" {
    filetype = "file"
  }
  service "ssh" {
    enabled = true
    running = true
  }
  package "openssh-server" {
    installed = true
  }
  user "root" {
    uid = 0
  }
  command "uname -m" {
    exit-status = 0
    stdout      = ["x86_64"]
  }
  file "/etc/nologin" {
    exists = false
  }
  file "/run/cloud-init/result.json" {
    exists = true
  }
}
'''


def timed(command: list[str], **more: object) -> float:
    """Seconds of one run, which must succeed."""
    began = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    seconds = time.monotonic() - began
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with status {done.returncode}:\n{done.stdout}")
    return seconds


def assay(program: pathlib.Path, folder: pathlib.Path, image: str) -> float:
    return timed(
        [str(program), "validate", "--ami", f"us-east-1:{image}", "--suite", "equal.hcl", "--ssh-username", "admin", "--image", "base"]
        + ["--temporary-security-group-source-cidr", "127.0.0.0/8", "--no-stamp"],
        cwd=folder,
    )


def img_proof(folder: pathlib.Path, image: str, key: pathlib.Path) -> float:
    return timed(
        [str(TOOLS / "python/bin/img-proof"), "test", "ec2", "--quiet", "-d", "fedora", "-i", image, "--region", "us-east-1"]
        + ["--access-key-id", os.environ["AWS_ACCESS_KEY_ID"], "--secret-access-key", os.environ["AWS_SECRET_ACCESS_KEY"]]
        + ["--ssh-key-name", "img-proof", "--ssh-private-key-file", str(key), "-u", "admin", "-t", "t3.small", "--no-default-test-dirs"]
        + ["--test-dirs", str(folder), "--results-dir", str(folder / "results"), "--history-log", str(folder / "history"), "--cleanup", "test_equal"],
        cwd=folder,
        env={**os.environ, "PATH": f"{TOOLS / 'python/bin'}:{os.environ['PATH']}", "HOME": str(folder)},
    )


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--assay", type=pathlib.Path, default=ROOT / "target/release/assay")
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    if not (TOOLS / "python/bin/img-proof").exists():
        raise SystemExit("img-proof is missing: scripts/tools python")
    ec2 = boto3.client("ec2", region_name="us-east-1")
    image = ec2.describe_images(Filters=[{"Name": "name", "Values": [STOCK]}])["Images"][0]["ImageId"]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "equal.hcl").write_text(SUITE)
        (folder / "test_equal.py").write_text(TESTS)
        key = folder / "key"
        key.touch(mode=0o600)
        key.write_text(ec2.create_key_pair(KeyName="img-proof")["KeyMaterial"])
        times: dict[str, list[float]] = {"assay": [], "img-proof": []}
        for _ in range(options.rounds):
            times["assay"].append(assay(options.assay.resolve(), folder, image))
            times["img-proof"].append(img_proof(folder, image, key))
        for program, seconds in times.items():
            print(f"{program:10} {' '.join(f'{s:6.1f}' for s in seconds)} s, median {statistics.median(seconds):.1f} s")
        ratio = statistics.median(times["assay"]) / statistics.median(times["img-proof"])
        print(json.dumps({"figure": "end to end on a booted instance, assay over img-proof", "ratio": round(ratio, 3), "wanted": "at most 0.5"}))


if __name__ == "__main__":
    main()
