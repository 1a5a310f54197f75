"""Owns the OpenID Connect tokens of jobs: their claims as CircleCI documents them, and `circleci run oidc get`.

After https://circleci.com/docs/guides/permissions-authentication/openid-connect-tokens/ and /oidc-tokens-with-custom-claims/. Nobody has signed them.
"""

from __future__ import annotations

import base64
import json
import pathlib
import sys
import time
from typing import Any

LIFE = 3600


def token(claims: dict[str, Any]) -> str:
    """A token of the shape that CircleCI's have, from now on for an hour."""
    now = int(time.time())
    parts = [json.dumps({"alg": "none"}), json.dumps(claims | {"iat": now, "exp": now + LIFE}), "unsigned"]
    return ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts)


def read(text: str) -> dict[str, Any]:
    """The claims of a token."""
    payload = text.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def main() -> int:
    """`circleci run oidc get [--claims JSON]`: only `aud` can be chosen."""
    facts, *words = sys.argv[1:]
    claims = json.loads(pathlib.Path(facts).read_text())
    if words[:3] != ["run", "oidc", "get"] or words[3:4] not in ([], ["--claims"]) or len(words) not in (3, 5):
        print(f"circleci {' '.join(words)}: not known", file=sys.stderr)
        return 64
    if len(words) == 5:
        try:
            wish = json.loads(words[4])
        except ValueError:
            print("--claims is no JSON", file=sys.stderr)
            return 1
        if set(wish) != {"aud"} or not isinstance(wish["aud"], str) or not wish["aud"]:
            print("only the aud claim is customizable", file=sys.stderr)
            return 1
        claims |= wish
    sys.stdout.write(token(claims | {"anew": True}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
