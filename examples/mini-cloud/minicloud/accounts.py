"""Owns the cloud's accounts: two of them, each known by its access key; and which account a key of AssumeRole belongs to.

Refuses unknown keys, as EC2 and STS do. It does not check signatures or policies: whoever names the key has the account.
"""

from __future__ import annotations

import dataclasses
import re
import secrets

_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/[^/]*/([^/]*)/([^/]*)/")


@dataclasses.dataclass(frozen=True)
class Account:
    """One account and its long-lived key."""

    name: str
    id: str
    access_key: str
    secret_key: str


def make_accounts() -> list[Account]:
    """The accounts of a new cloud: fixed ids and access keys, secrets of their own."""
    prefix = "AKIA" + "MINICLOUD"
    rows = (("main", "210987654321", prefix + "MAIN001"), ("other", "109876543210", prefix + "OTHER01"))
    return [Account(name, number, key, secrets.token_urlsafe(30)) for name, number, key in rows]


@dataclasses.dataclass(frozen=True)
class Caller:
    """Who sent a request, as its Authorization header says: None for what it does not say."""

    access_key: str | None
    region: str | None
    service: str | None


def caller(authorization: str | None) -> Caller:
    """Reads the credential scope of a signed request (Signature Version 4)."""
    match = _CREDENTIAL.search(authorization or "")
    return Caller(*match.groups()) if match else Caller(None, None, None)


def register(accounts: list[Account]) -> None:
    """Tells moto whose keys these are, so that both EC2 and GetCallerIdentity answer for the right account."""
    from moto.iam.models import iam_backends

    for account in accounts:
        backend = iam_backends[account.id]["aws"]
        backend.create_user(region_name="us-east-1", user_name="builder")
        key = backend.create_access_key("builder", prefix="AKIA")
        backend.access_keys.pop(key.access_key_id, None)
        key.access_key_id, key.secret_access_key = account.access_key, account.secret_key
        backend.access_keys[account.access_key] = key


def account_of(access_key: str | None) -> str | None:
    """The account's id that a key acts for, long-lived or from AssumeRole; None for a key that nobody gave out."""
    from moto.iam.models import iam_backends

    for account_id, partitions in list(iam_backends.items()):
        if access_key in partitions["aws"].access_keys:
            return account_id
    return None


def account_of_role(accounts: list[Account], parameters: dict[str, str]) -> str | None:
    """The account whose role AssumeRoleWithWebIdentity names, when there is a token of the form of a JWT; None otherwise. Nobody checks its signature."""
    role = re.fullmatch(r"arn:aws:iam::(\d{12}):role/[\w+=,.@/-]+", parameters.get("RoleArn", ""))
    token = parameters.get("WebIdentityToken", "").strip()
    if role is None or token.count(".") < 2:
        return None
    return next((account.id for account in accounts if account.id == role[1]), None)


def role_of(access_key: str | None) -> str | None:
    """The role that a key of AssumeRole or AssumeRoleWithWebIdentity acts as; None for a long-lived key."""
    from moto.iam.models import iam_backends

    for partitions in list(iam_backends.values()):
        key = partitions["aws"].access_keys.get(access_key)
        if key is not None:
            return getattr(key, "role_arn", None)
    return None
