"""Owns the verbs: setup, up, down, run, python. Needs only Python's own library, since it runs before anything is installed.

Refuses nothing that the other modules check; it decides who does the work (this process, root through sudo, the virtual
environment's interpreter) and turns outcomes into exit statuses.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import sys

from . import bootstrap, janitor, runner
from .cache import HERE, Cache, default_cache


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="mini-cloud", description="An EC2 whose instances really boot, on this machine.")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="setup|up|down|run|python")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--cache", type=pathlib.Path, help="where things made once are kept (default: ~/.cache/assay/mini-cloud)")
    verbs.add_parser("setup", parents=[common], help="install what it needs; instant when all is there")
    up = verbs.add_parser("up", parents=[common], help="serve in the foreground until SIGTERM")
    up.add_argument("--state", type=pathlib.Path, required=True, help="the folder of this cloud's instances, images and logs")
    up.add_argument("--port", type=int, default=0, help="port of the API on 127.0.0.1 (default: a free one)")
    up.add_argument("--ready-file", type=pathlib.Path, help="written when the cloud answers: endpoint, keys, image ids")
    up.add_argument("--parent-pid", type=int, help="end when this process is gone")
    up.add_argument(
        "--addresses", choices=("auto", "loopback", "routed"), default="auto",
        help="where instances' addresses live: 127.77.x.y, or 198.18.x.y behind a veth pair (default: routed only where "
        "this machine's own sshd listens on all addresses)",
    )  # fmt: skip
    down = verbs.add_parser("down", parents=[common], help="end a cloud, and clean up after one that was killed")
    down.add_argument("--state", type=pathlib.Path, required=True)
    run = verbs.add_parser("run", parents=[common], help="run a command with a cloud around it")
    run.add_argument("--state", type=pathlib.Path, help="default: a temporary folder")
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD...")
    verbs.add_parser("python", help="run the virtual environment's Python (with boto3 and pytest), for scripts and tests")
    return top


def main(argv: list[str] | None = None) -> int:
    """Runs one verb; returns the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    # argparse would take the options of the other program for ours, so `python` is cut off before it looks.
    cut = 1 if argv[:1] == ["python"] else len(argv)
    options = parser().parse_args(argv[:cut])
    cache = Cache(getattr(options, "cache", None) or default_cache())
    try:
        match options.verb:
            case "setup":
                return setup(cache, argv)
            case "up":
                return up(cache, options, argv)
            case "down":
                return down(cache, options, argv)
            case "python":
                setup(cache, ["setup"])
                os.execv(cache.python, [str(cache.python), "-B", *argv[cut:]])
            case _:
                return runner.run(cache, options)
    except KeyboardInterrupt:
        return 130


def setup(cache: Cache, argv: list[str]) -> int:
    """`mini-cloud setup`."""
    if not (cache.ready() and not bootstrap.missing_packages()):
        bootstrap.become_root(cache, argv)
        bootstrap.setup(cache)
    return 0


def up(cache: Cache, options: argparse.Namespace, argv: list[str]) -> int:
    """`mini-cloud up`: becomes the server, in a mount namespace of its own."""
    bootstrap.become_root(cache, argv)
    bootstrap.setup(cache)
    command = ["unshare", "--mount", "--propagation", "slave", "--", str(cache.python), "-B", "-m", "minicloud.server"]
    if pathlib.Path("/run/systemd/system").is_dir():  # systemd rules the control groups: ask it for one that is ours to divide
        command = ["systemd-run", "--scope", "--quiet", "--collect", "--property=Delegate=yes", "--", *command]
    command += ["--cache", str(cache.root), "--state", str(options.state.absolute()), "--port", str(options.port)]
    command += ["--addresses", options.addresses]
    if options.ready_file:
        command += ["--ready-file", str(options.ready_file.absolute())]
    if options.parent_pid:
        command += ["--parent-pid", str(options.parent_pid)]
    # boto, which moto stands on, must not see this person's profiles and keys.
    clean = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    os.execvpe(command[0], command, {**clean, **nowhere, "PYTHONPATH": str(HERE)})


def down(cache: Cache, options: argparse.Namespace, argv: list[str]) -> int:
    """`mini-cloud down`."""
    if not options.state.is_dir():
        return 0
    bootstrap.become_root(cache, argv)
    left = janitor.down(options.state.resolve())
    for what in left:
        bootstrap.say(f"could not end {what}")
    return 1 if left else 0
