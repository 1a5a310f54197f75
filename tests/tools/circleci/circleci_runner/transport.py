"""Owns how git reaches the repository from a job: a program that stands where ssh does, and is GitHub at the other end.

It takes the first key that ssh would offer, as GitHub does, and looks up what that key may: the project's own deploy key may only read, whatever other keys
the agent has. What a job may push thus depends on `add_ssh_keys` and on git's configuration, as it does there. Refuses hosts that known_hosts does not name.

arguments: FACTS [ssh's own]     FACTS: a JSON file {"remote", "host", "path", "write": [private keys, as text], "read": [...]}
"""

from __future__ import annotations

import json
import os
import sys

READ_ONLY = "ERROR: The key you are authenticating with has been marked as read only."


def stop(words: str) -> None:
    """Ends as ssh does when nothing came of it."""
    print(words, file=sys.stderr)
    sys.exit(255)


def arguments(given: list[str]) -> tuple[dict[str, str], list[str], list[str]]:
    """(options, identity files, host and command)."""
    options: dict[str, str] = {}
    identities: list[str] = []
    rest = list(given)
    while rest and rest[0].startswith("-"):
        flag = rest.pop(0)
        if flag in ("-4", "-6"):
            continue
        if flag not in ("-F", "-i", "-o", "-p"):
            stop(f"ssh: the stand-in does not know {flag}")
        value = rest.pop(0)
        if flag == "-i":
            identities.append(value)
        elif flag == "-o":
            name, _, text = value.partition("=")
            options[name.lower()] = text
        else:
            options[flag] = value
    return options, identities, rest


def read(path: str) -> str:
    """A file's text; nothing where it is not."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def offered(options: dict[str, str], identities: list[str]) -> list[str]:
    """The keys in the order in which they are offered. The agent comes first and holds all keys of the job, the project's own before the others."""
    home = os.path.join(os.environ["HOME"], ".ssh")
    names = sorted(name for name in (os.listdir(home) if os.path.isdir(home) else []) if name.startswith("id_rsa"))
    known = [os.path.join(home, name) for name in names]
    only = options.get("identitiesonly") == "yes"
    agent = [] if options.get("identityagent") == "none" else known
    configured = [] if options.get("-F") in ("none", "/dev/null") else known[:1]
    files = identities + configured
    first = [key for key in agent if key in files or not only]
    return [*first, *files]


def main() -> None:
    """Plays ssh."""
    facts = json.loads(read(sys.argv[1]))
    options, identities, rest = arguments(sys.argv[2:])
    host, (service, _, path) = rest[0].rpartition("@")[2], rest[1].partition(" ")
    if host != facts["host"]:
        stop(f"ssh: Could not resolve hostname {host}")
    known = read(os.path.join(os.environ["HOME"], ".ssh/known_hosts"))
    if not any(line.split(" ")[0] == host for line in known.splitlines()):
        stop("Host key verification failed.")
    keys = [read(file) for file in offered(options, identities)]
    key = next((key for key in keys if key in facts["write"] or key in facts["read"]), None)
    if key is None:
        stop("git@github.com: Permission denied (publickey).")
    if path.strip("'").removesuffix(".git").strip("/") != facts["path"]:
        stop("ERROR: Repository not found.")
    service = service.removeprefix("git-")
    if service == "receive-pack" and key not in facts["write"]:
        print(READ_ONLY, file=sys.stderr)
        sys.exit(1)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name == "GIT_PROTOCOL"}
    git = ["git", "-c", "uploadpack.allowFilter=true", "-c", "safe.directory=*", service, facts["remote"]]
    os.execvpe("git", git, environment)


if __name__ == "__main__":
    main()
