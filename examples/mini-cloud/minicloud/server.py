"""Owns one running cloud, `mini-cloud up`: from an empty state folder to the ready file, and to nothing left again.

Runs inside its own mount namespace (cli starts it through unshare), so that no mount can outlive it. Ends on SIGTERM, SIGINT,
SIGHUP, and when the process given by --parent-pid is gone. Refuses a state folder that another server uses, and one that
lies on a file system which cannot carry overlays.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import logging
import os
import pathlib
import select
import signal
import subprocess
import sys
import threading
import time

from . import api, janitor
from .accounts import make_accounts
from .addresses import make_pool
from .cache import Cache, lock_shared
from .calllog import CallLog
from .cloud import BASE_IMAGES, REGIONS, Cloud
from .fidelity.metadata import MetadataService
from .gateway import Gateway
from .network import Network


def main(argv: list[str] | None = None) -> int:
    """Serves until told to end; returns the exit status."""
    parser = argparse.ArgumentParser(prog="mini-cloud up")
    parser.add_argument("--cache", type=pathlib.Path, required=True)
    parser.add_argument("--state", type=pathlib.Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ready-file", type=pathlib.Path)
    parser.add_argument("--parent-pid", type=int)
    parser.add_argument("--addresses", choices=("auto", "loopback", "routed"), default="auto")
    options = parser.parse_args(argv)
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: ending.set())
    if options.parent_pid:
        os.setpgid(0, 0)  # Ctrl-C on the terminal is for the parent, which may still need the cloud
        threading.Thread(target=watch_parent, args=(options.parent_pid, ending), daemon=True).start()
    cache, state = Cache(options.cache), options.state.resolve()
    state.mkdir(parents=True, exist_ok=True)
    with open(state / ".lock", "w") as lock, lock_shared(cache.tree):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"mini-cloud: another mini cloud runs with the state folder {state}", file=sys.stderr)
            return 1
        if left := janitor.down(state):
            print(f"mini-cloud: left from before and not to be ended: {', '.join(left)}", file=sys.stderr)
            return 1
        return serve(cache, state, options, ending)


def watch_parent(pid: int, ending: threading.Event) -> None:
    """Sets the event when the process is gone."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        ending.set()
        return
    select.select([handle], [], [])
    ending.set()


def serve(cache: Cache, state: pathlib.Path, options: argparse.Namespace, ending: threading.Event) -> int:
    """Prepares the state folder, serves, and clears it again."""
    from werkzeug.serving import make_server

    janitor.record(state, os.getpid(), janitor.SERVER)
    for name in ("base", "light"):
        (state / name).unlink(missing_ok=True)
        (state / name).symlink_to(cache.tree / name)
    try_overlay(state)
    hide_nspawn_traces()
    log = CallLog(state / "calls.jsonl")
    cloud = Cloud(state, make_accounts(), Network(make_pool(options.addresses)))
    cloud.metadata = MetadataService(cloud)
    try:
        gateway = Gateway(cloud, log, api.install(cloud))
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        http = make_server("127.0.0.1", options.port, gateway, threaded=True)
        threading.Thread(target=http.serve_forever, daemon=True).start()
        tell_ready(cloud, log, f"http://127.0.0.1:{http.server_port}", options.ready_file)
        ending.wait()
        http.shutdown()
        http.server_close()
    finally:
        cloud.close()
        time.sleep(0)  # background work that was waiting for machines ends with them
        janitor.clear(state)
    return 0


def tell_ready(cloud: Cloud, log: CallLog, endpoint: str, ready_file: pathlib.Path | None) -> None:
    """Writes the ready file, whole or not at all, and one line on stdout."""
    accounts = {a.name: {"id": a.id, "access_key": a.access_key, "secret_key": a.secret_key} for a in cloud.accounts}
    images = {image.kind: {region: image.id_in(region) for region in REGIONS} for image in BASE_IMAGES}
    ready = {
        "endpoint": endpoint, "pid": os.getpid(), "accounts": accounts, "regions": list(REGIONS),
        "images": images["booted"], "light_images": images["light"], "call_log": str(log.path),
    }  # fmt: skip
    if ready_file:
        aside = ready_file.with_name(ready_file.name + ".new")
        aside.write_text(json.dumps(ready, indent=2) + "\n")
        aside.rename(ready_file)
    print(f"mini-cloud: serving EC2 at {endpoint}", flush=True)


def hide_nspawn_traces() -> None:
    """Gives nspawn a folder of its own for its locks and mount points, seen only in our mount namespace and gone with it."""
    folder = pathlib.Path("/run/systemd/nspawn")
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755,size=8m", "tmpfs", str(folder)], check=True)


def try_overlay(state: pathlib.Path) -> None:
    """Ends with the cure when overlays cannot be mounted here, before anything else is attempted."""
    folders = [state / "overlay-trial" / name for name in ("upper", "work", "root")]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    upper, work, root = folders
    options = f"lowerdir=base,upperdir={upper},workdir={work}"
    command = ["mount", "-t", "overlay", "overlay", "-o", options, str(root)]
    result = subprocess.run(command, cwd=state, capture_output=True, text=True)
    if result.returncode == 0:
        subprocess.run(["umount", "--lazy", str(root)], check=True)  # whoever reads all mounts may be in it for a moment
    subprocess.run(["rm", "-rf", str(state / "overlay-trial")], check=True)
    if result.returncode:
        reason = result.stderr.strip()
        raise SystemExit(
            f"mini-cloud: cannot mount an overlay on {state} ({reason}): give a --state folder on ext4, xfs, btrfs or tmpfs, "
            "as root, outside of unprivileged containers"
        )


if __name__ == "__main__":
    sys.exit(main())
