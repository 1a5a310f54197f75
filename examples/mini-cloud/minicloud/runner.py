"""Owns `mini-cloud run`: a cloud around one command. The command runs as the person who typed it, never as root by accident.

Returns the command's own exit status (128 + signal when a signal ended it). Whatever happens to this process, the cloud ends:
it watches us as its parent. Refuses to start without a command.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from . import bootstrap
from .cache import Cache

UP_PATIENCE = 60  # seconds for the server to get ready, after setup


def run(cache: Cache, options: argparse.Namespace) -> int:
    """Setup check, up, the command, down."""
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        raise SystemExit("mini-cloud: run needs a command: mini-cloud run -- CMD...")
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    launcher = [sys.executable, os.path.realpath(sys.argv[0])]
    if sudo:
        bootstrap.say("booting instances needs root: the cloud is started with sudo, the command is not")
    flags = ["--cache", str(cache.root)]
    subprocess.run([*launcher, "setup", *flags], check=True)
    state = options.state or pathlib.Path(tempfile.mkdtemp(prefix="mini-cloud-"))
    state.mkdir(parents=True, exist_ok=True)
    ready_file = state / "ready.json"
    ready_file.unlink(missing_ok=True)
    up = ["up", *flags, "--state", str(state), "--ready-file", str(ready_file), "--parent-pid", str(os.getpid())]
    try:
        # With sudo in the background (after it asked for a password), so that Ctrl-C on the terminal reaches the command only:
        # a build that is interrupted still needs the cloud for its own cleaning up.
        background = [*sudo, "--background", "--"] if sudo else []
        server = subprocess.Popen([*background, *launcher, *up], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        ready = wait_ready(server, ready_file)
        return run_command(command, ready)
    finally:
        subprocess.run([*sudo, *launcher, "down", *flags, "--state", str(state)], check=False)
        if options.state is None:
            subprocess.run([*sudo, "rm", "-rf", str(state)], check=False)


def wait_ready(server: subprocess.Popen, ready_file: pathlib.Path) -> dict:
    """The ready file's content, once it is there."""
    deadline = time.monotonic() + UP_PATIENCE
    while time.monotonic() < deadline:
        if ready_file.exists():
            return json.loads(ready_file.read_text())
        if server.poll():  # sudo itself ends with 0 when it has gone to the background
            raise SystemExit(f"mini-cloud: the server ended with status {server.returncode} before it was ready")
        time.sleep(0.05)
    raise SystemExit(f"mini-cloud: the server was not ready after {UP_PATIENCE} seconds")


def environment(ready: dict) -> dict[str, str]:
    """The command's environment: the caller's own, and the cloud's address and keys; profiles would overrule those."""
    main = ready["accounts"]["main"]
    mine = {k: v for k, v in os.environ.items() if k not in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN")}
    return {
        "AWS_POLL_DELAY_SECONDS": "1",  # Packer looks every 15 s otherwise, for what takes one second here
        **mine,
        "AWS_ENDPOINT_URL": ready["endpoint"],
        "AWS_ACCESS_KEY_ID": main["access_key"],
        "AWS_SECRET_ACCESS_KEY": main["secret_key"],
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",  # the name that boto and older tools know
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def invoking_user() -> dict[str, object]:
    """How to start a process as the person who typed sudo; nothing when nobody did."""
    import pwd

    uid = os.environ.get("SUDO_UID")
    if os.geteuid() != 0 or not uid or uid == "0":
        return {}
    user = pwd.getpwuid(int(uid))
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": os.getgrouplist(user.pw_name, user.pw_gid)}


def run_command(command: list[str], ready: dict) -> int:
    """Runs the command, hands SIGINT and SIGTERM on to it, and waits for its end."""
    env = environment(ready)
    as_user = invoking_user()
    if as_user:
        import pwd

        env["HOME"] = pwd.getpwuid(int(as_user["user"])).pw_dir
    if not shutil.which(command[0], path=env.get("PATH")):
        raise SystemExit(f"mini-cloud: no such command: {command[0]}")
    process = subprocess.Popen(command, env=env, **as_user)

    def hand_on(number: int, _frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)

    signal.signal(signal.SIGTERM, hand_on)
    signal.signal(signal.SIGINT, lambda *_: None)  # the terminal already sent it to the command
    status = process.wait()
    return 128 - status if status < 0 else status
