"""Owns the instance metadata service inside booted instances: http://169.254.169.254/, version 2, with tokens.

Sources: "Use the Instance Metadata Service to access instance metadata" and "Configure the Instance Metadata Service
options", docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html (PUT /latest/api/token with
X-aws-ec2-metadata-token-ttl-seconds of 1 to 21600, 401 without a token, 403 where it is turned off, 400 for bad tokens' life,
requests with X-Forwarded-For get no token, the hop limit of the PUT's answer); "Instance metadata categories",
docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-categories.html. Refuses roles' credentials: instances here have
none.

Each instance has a link of its own (`veth0`) to one network namespace in which the service listens; who asks is known by the
link's address.
"""

from __future__ import annotations

import base64
import concurrent.futures
import contextlib
import ctypes
import http.server
import itertools
import json
import os
import secrets
import socket
import subprocess
import threading
import time
from typing import Any

from ..network import CLONE_NEWNET

ADDRESS = "169.254.169.254"
LONGEST = 21600
_libc = ctypes.CDLL(None, use_errno=True)


class MetadataService:
    """The service and its links. Nothing is made before the first instance needs it."""

    def __init__(self, cloud: Any) -> None:
        self.cloud = cloud
        self.instances: dict[str, str] = {}  # link address -> instance
        self.tokens: dict[str, tuple[str, float]] = {}  # token -> instance, end
        self._numbers = itertools.count(1)
        self._helper: subprocess.Popen | None = None
        self._server: http.server.ThreadingHTTPServer | None = None
        self._lock = threading.Lock()

    def attach(self, name: str, leader: int) -> None:
        """Gives the namespaces of process `leader` a link to the service, as instance `name`."""
        with self._lock:
            if self._helper is None:
                self._begin()
            number = next(self._numbers)
        address, link = f"169.254.{64 + number // 250 % 64}.{1 + number % 250}", f"m{number}"
        self.instances[address] = name
        helper = self._helper.pid
        links = [
            "ip",
            "link",
            "add",
            "name",
            link,
            "netns",
            str(helper),
            "type",
            "veth",
            "peer",
            "name",
            "veth0",
            "netns",
            str(leader),
        ]
        ours = f"link set {link} addrgenmode none\nlink set {link} up\nroute add {address}/32 dev {link}\n"
        theirs = (
            f"link set lo up\nlink set veth0 addrgenmode none\naddress add {address}/32 dev veth0\nlink set veth0 up\n"
            f"route add {ADDRESS}/32 dev veth0 src {address}\n"
        )
        with contextlib.suppress(subprocess.CalledProcessError):  # a guest that ended meanwhile needs none
            subprocess.run(links, check=True, capture_output=True)
            for pid, steps in ((helper, ours), (leader, theirs)):
                command = ["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-batch", "-"]
                subprocess.run(command, input=steps, text=True, check=True, capture_output=True)

    def close(self) -> None:
        """Ends the service; the links go with the namespace."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
        if self._helper:
            self._helper.kill()
            self._helper.wait()

    def _begin(self) -> None:
        script = f"ip link set lo up; ip address add {ADDRESS}/32 dev lo; echo; exec cat"
        # It dies with us: its standard input ends.
        self._helper = subprocess.Popen(["unshare", "--net", "sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._helper.stdout.readline()
        with concurrent.futures.ThreadPoolExecutor(1, "metadata") as worker:  # a thread of its own, whose namespace is changed
            listener = worker.submit(listening_in, f"/proc/{self._helper.pid}/ns/net").result()
        handler = type("Handler", (Requests,), {"service": self})
        self._server = http.server.ThreadingHTTPServer((ADDRESS, 80), handler, bind_and_activate=False)
        self._server.socket.close()
        self._server.socket, self._server.daemon_threads = listener, True
        threading.Thread(target=self._server.serve_forever, name="metadata", daemon=True).start()


def listening_in(namespace: str) -> socket.socket:
    """A listening socket of the service inside a network namespace."""
    handle = os.open(namespace, os.O_RDONLY)
    try:
        if _libc.setns(handle, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(handle)
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.bind((ADDRESS, 80))
    made.listen(64)
    return made


class Requests(http.server.BaseHTTPRequestHandler):
    """What instances ask."""

    service: MetadataService
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "EC2ws", ""

    def do_PUT(self) -> None:
        """A session token."""
        name, options = self._asker()
        if options is None or options["HttpEndpoint"] == "disabled" or self.headers.get("X-Forwarded-For"):
            return self._answer(403)
        if self.path.rstrip("/") != "/latest/api/token":
            return self._answer(404)
        life = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
        if not life.isdecimal() or not 1 <= int(life) <= LONGEST:
            return self._answer(400)
        token = secrets.token_urlsafe(40)
        self.service.tokens[token] = (name, time.monotonic() + int(life))
        self.connection.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, int(options["HttpPutResponseHopLimit"]))
        return self._answer(200, token, {"X-aws-ec2-metadata-token-ttl-seconds": life})

    def do_GET(self) -> None:
        """Metadata, for who has a token, or needs none."""
        name, options = self._asker()
        if options is None or options["HttpEndpoint"] == "disabled":
            return self._answer(403)
        token = self.headers.get("X-aws-ec2-metadata-token")
        holder, end = self.service.tokens.get(token or "", ("", 0.0))
        good = holder == name and time.monotonic() < end
        if not good and (token is not None or options["HttpTokens"] == "required"):
            return self._answer(401)
        text = read(tree(self.service.cloud, name, options), self.path)
        return self._answer(404) if text is None else self._answer(200, text)

    def _asker(self) -> tuple[str, dict[str, str] | None]:
        name = self.service.instances.get(self.client_address[0], "")
        with self.service.cloud.lock:
            instance = self.service.cloud.instances.get(name)
            return name, metadata_options(instance) if instance else None

    def _answer(self, status: int, text: str = "", more: dict[str, str] | None = None) -> None:
        body = text.encode()
        self.send_response(status)
        for key, value in {"Content-Type": "text/plain", "Content-Length": str(len(body)), **(more or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing on the server's standard error."""


def metadata_options(instance: Any) -> dict[str, str]:
    """An instance's options as the API names them."""
    given = instance.metadata_options
    return {
        "HttpTokens": given.http_tokens, "HttpEndpoint": given.http_endpoint, "InstanceMetadataTags": given.instance_metadata_tags,
        "HttpPutResponseHopLimit": str(given.http_put_response_hop_limit),
    }  # fmt: skip


def tree(cloud: Any, name: str, options: dict[str, str]) -> dict[str, Any]:
    """Everything that one instance may read, as folders and texts."""
    with cloud.lock:
        instance, machine = cloud.instances[name], cloud.machines[name]
        zone = instance._placement.zone
        public = instance.public_ip
        key = machine.launch.public_key
        nic = instance.nics.get(0)
        meta = {
            "ami-id": instance.image_id, "ami-launch-index": str(instance.ami_launch_index), "hostname": machine.launch.hostname,
            "instance-action": "none", "instance-id": name, "instance-life-cycle": instance.lifecycle or "on-demand",
            "instance-type": instance.instance_type, "local-hostname": machine.launch.hostname, "local-ipv4": machine.address,
            "mac": nic.mac_address if nic else "",
            "security-groups": "\n".join(group.name for group in instance.security_groups),
            "placement": {"availability-zone": zone, "region": instance.region_name},
            "services": {"domain": "amazonaws.com", "partition": "aws"},
        }  # fmt: skip
        if public:
            meta |= {"public-ipv4": public, "public-hostname": "ec2-" + public.replace(".", "-")}
        if key:
            meta["public-keys"] = {"0": {"openssh-key": key}}
        if machine.spot_end:
            action = json.dumps({"action": "terminate", "time": machine.spot_end})
            meta["spot"] = {"instance-action": action, "termination-time": machine.spot_end}
        if options["InstanceMetadataTags"] == "enabled":
            tags = instance.ec2_backend.tags.get(name, {})
            meta["tags"] = {"instance": dict(tags)}
        document = {
            "accountId": instance.owner_id, "architecture": "x86_64", "availabilityZone": zone, "imageId": instance.image_id, "instanceId": name,
            "instanceType": instance.instance_type, "privateIp": machine.address, "region": instance.region_name, "version": "2017-09-30",
        }  # fmt: skip
    whole: dict[str, Any] = {"dynamic": {"instance-identity": {"document": json.dumps(document, indent=2)}}, "meta-data": meta}
    if instance.user_data:
        whole["user-data"] = base64.b64decode(str(instance.user_data)).decode("utf-8", "replace")
    return {"latest": whole}


def read(folder: Any, path: str) -> str | None:
    """What is at a path: a text, the names in a folder, or None."""
    for part in [part for part in path.partition("?")[0].split("/") if part]:
        if not isinstance(folder, dict) or part not in folder:
            return None
        folder = folder[part]
    if isinstance(folder, dict):
        return "\n".join(name + ("/" if isinstance(inner, dict) else "") for name, inner in sorted(folder.items()))
    return folder
