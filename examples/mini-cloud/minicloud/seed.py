"""Owns what an instance is told at its first boot: the NoCloud seed for cloud-init, and the same read by light instances.

User data goes to cloud-init byte for byte as it was given. Light instances understand only `ssh_keys` and
`ssh_authorized_keys` of cloud-config, plain or inside MIME multipart; they refuse nothing else, they ignore it.
"""

from __future__ import annotations

import dataclasses
import email
import email.policy
import gzip
import pathlib

# The names that become files of the guest; anything else in `ssh_keys` is left out.
HOST_KEY_NAMES = {f"{kind}_{half}" for kind in ("rsa", "ecdsa", "ed25519") for half in ("private", "public")}
SEED = "var/lib/cloud/seed/nocloud"


@dataclasses.dataclass
class Launch:
    """What RunInstances said that the guest gets to see."""

    instance_id: str
    hostname: str
    public_key: str = ""
    user_data: bytes | None = None


def write(upper: pathlib.Path, launch: Launch) -> None:
    """Writes the NoCloud seed into an instance's own layer."""
    folder = upper / SEED
    folder.mkdir(parents=True, exist_ok=True)
    keys = f"public-keys:\n  - {launch.public_key}\n" if launch.public_key else ""
    (folder / "meta-data").write_text(f"instance-id: {launch.instance_id}\nlocal-hostname: {launch.hostname}\n{keys}")
    (folder / "user-data").write_bytes(launch.user_data or b"#cloud-config\n{}\n")


def cloud_configs(user_data: bytes | None) -> list[dict]:
    """Every cloud-config mapping in the user data; parts that are something else, or unreadable, are left out."""
    import yaml

    if not user_data:
        return []
    if user_data[:2] == b"\x1f\x8b":
        user_data = gzip.decompress(user_data)
    texts = []
    if user_data.lstrip().startswith(b"#cloud-config"):
        texts.append(user_data)
    else:
        message = email.message_from_bytes(user_data, policy=email.policy.default)
        for part in message.walk():
            body = b"" if part.is_multipart() else part.get_payload(decode=True) or b""
            if part.get_content_type() == "text/cloud-config" or body.lstrip().startswith(b"#cloud-config"):
                texts.append(body)
    configs = []
    for text in texts:
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            continue
        if isinstance(value, dict):
            configs.append(value)
    return configs


def host_keys(configs: list[dict]) -> dict[str, str]:
    """`ssh_keys` of all parts, merged: {"ed25519_private": ..., "ed25519_public": ...}."""
    keys: dict[str, str] = {}
    for config in configs:
        if isinstance(config.get("ssh_keys"), dict):
            keys.update({k: str(v) for k, v in config["ssh_keys"].items() if k in HOST_KEY_NAMES})
    return keys


def authorized_keys(configs: list[dict]) -> list[str]:
    """`ssh_authorized_keys` of all parts."""
    return [str(key) for config in configs for key in config.get("ssh_authorized_keys") or []]
