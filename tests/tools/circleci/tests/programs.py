"""Owns the programs that stand in for assay, Packer, cargo and curl: they do with git and files what the real ones would, and refuse what those would refuse.

One script, linked under each name. It writes a line for each call to $CALLS: program, arguments, job, role. It knows nothing of the configuration under
test: a wrong role, evidence of another workflow, a missing plugin or a promotion without evidence fail as in life.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import subprocess
import sys
import time
import zipfile

ROLES = {"plan": "builder", "build": "builder", "validate": "tester", "promote": "promoter", "sweep": "sweeper", "prune": "sweeper", "status": "promoter"}
HOME = pathlib.Path(os.environ.get("HOME", "/"))


def call(program: str, arguments: list[str]) -> None:
    """Writes the call down."""
    role = os.environ.get("AWS_ROLE_ARN", "").rpartition("/")[2]
    sources = pathlib.Path("Cargo.lock").read_text().strip() if program == "cargo" else ""
    line = {"program": program, "arguments": arguments, "job": os.environ["CIRCLE_JOB"], "role": role, "sources": sources}
    with open(os.environ["CALLS"], "a") as log:
        log.write(json.dumps(line) + "\n")


def stop(why: str, code: int = 1) -> None:
    """Ends as a program that refuses."""
    print(why, file=sys.stderr)
    sys.exit(code)


def git(*arguments: str) -> str:
    """git's answer in the clone."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        stop(f"git {arguments}: {done.stderr}")
    return done.stdout.strip()


def digest(content: bytes | None = None) -> str:
    """Of what the image is made from."""
    return hashlib.sha256(content or pathlib.Path("packer/base.pkr.hcl").read_bytes()).hexdigest()[:12]


def lock() -> dict[str, dict[str, str]]:
    """Run → {state, digest}."""
    path = pathlib.Path("images/base.lock.json")
    return json.loads(path.read_text()) if path.exists() else {}


def candidates() -> dict[str, dict[str, str]]:
    """Run → {state, digest} of the candidate files."""
    return {path.stem: json.loads(path.read_text()) for path in pathlib.Path("images/base/candidates").glob("*.json")}


def push(message: str, tag: str) -> None:
    """Commits everything below images and pushes branch and annotated tag."""
    git("add", "images")
    git("commit", "--quiet", "-m", message)
    git("tag", "-a", tag, "-m", message)
    git("push", "--quiet", "--atomic", "origin", f"HEAD:{os.environ['CIRCLE_BRANCH']}", f"refs/tags/{tag}")


def due(arguments: list[str]) -> bool:
    """Whether the image must be built."""
    known = [entry for entry in {**lock(), **candidates()}.values() if entry["digest"] == digest()]
    return not known or arguments[-2:] == ["--max-age", "0s"]


def needs_role(verb: str) -> None:
    """Refuses a call without a token, or with another role than the verb's."""
    token = pathlib.Path(os.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE", "/nothing"))
    if not token.is_file() or not token.read_text().startswith(os.environ["CIRCLE_OIDC_TOKEN_V2"]):
        stop("no credentials")
    if os.environ.get("AWS_ROLE_ARN", "").rpartition("/")[2] != ROLES[verb]:
        stop(f"{verb} by {os.environ.get('AWS_ROLE_ARN')}")


def assay(verb: str, arguments: list[str]) -> None:
    """What the verbs do, as far as a pipeline can see it."""
    if verb in ROLES:
        needs_role(verb)
    handler = {"build": build, "commit": commit, "validate": validate, "promote": promote, "report": merge, "packer": plugin, "diff": diff}
    handler.get(verb, lambda _: None)(arguments)


def plugin(_: list[str]) -> None:
    (HOME / "plugin").touch()


def diff(_: list[str]) -> None:
    print("| package | gold | candidate |")


def build(arguments: list[str]) -> None:
    if not (HOME / "plugin").exists() or subprocess.run(["packer", "init", "packer/base.pkr.hcl"], check=False).returncode != 0:
        stop("Packer does not know assay")
    wait_for_a_fresh_token()
    if not due(arguments):
        return
    run = hashlib.sha256(os.urandom(8)).hexdigest()[:8]
    bad = "BAD" in pathlib.Path("packer/base.pkr.hcl").read_text()
    reports = pathlib.Path("build/reports")
    reports.mkdir(parents=True)
    failure = '<failure message="x"/>' if bad else ""
    (reports / "junit.xml").write_text(f'<testsuites><testsuite name="smoke"><testcase name="a">{failure}</testcase></testsuite></testsuites>')
    pathlib.Path("build/manifest.json").write_text(json.dumps({"run": run, "state": "rejected" if bad else "candidate", "digest": digest()}))
    if bad:
        sys.exit(2)


def wait_for_a_fresh_token() -> None:
    """A build outlives its first token: within two seconds (the test's `sleep` is short) another one must be there."""
    deadline = time.monotonic() + 2
    while not pathlib.Path(os.environ["AWS_WEB_IDENTITY_TOKEN_FILE"]).read_text().endswith(".anew"):
        if time.monotonic() > deadline:
            stop("the token has expired")
        time.sleep(0.02)


def commit(arguments: list[str]) -> None:
    if "--all-runs" not in arguments:
        stop("of several builds only the last would be committed")
    manifest = json.loads(pathlib.Path(arguments[arguments.index("--manifest") + 1]).read_text())
    path = pathlib.Path(f"images/base/candidates/{manifest['run']}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(manifest))
    push(f"{manifest['state']} {manifest['run']}", f"base/{manifest['state']}/{manifest['run']}")


def validate(arguments: list[str]) -> None:
    if "app" in arguments:
        sys.exit(6)
    mine = [run for run, entry in candidates().items() if entry["digest"] == digest() and entry["state"] == "candidate"]
    if not mine:
        sys.exit(6)
    folder = pathlib.Path(arguments[arguments.index("--report-dir") + 1])
    folder.mkdir(parents=True)
    evidence = {"run": mine[-1], "workflow": os.environ["CIRCLE_WORKFLOW_ID"]}
    (folder / "evidence.json").write_text(json.dumps(evidence))
    (folder / "junit.xml").write_text('<testsuites><testsuite name="gold"><testcase name="a"/></testsuite></testsuites>')


def merge(arguments: list[str]) -> None:
    shares = list(pathlib.Path(arguments[1]).rglob("evidence.json"))
    target = pathlib.Path(arguments[-1])
    target.mkdir(parents=True)
    (target / "evidence.json").write_text(shares[0].read_text())


def promote(arguments: list[str]) -> None:
    if "app" in arguments:
        sys.exit(6)
    entries, state = lock(), arguments[arguments.index("--to") + 1]
    if state == "vetted":
        evidence = json.loads(pathlib.Path(arguments[arguments.index("--evidence") + 1]).read_text())
        if evidence["workflow"] != os.environ["CIRCLE_WORKFLOW_ID"] or os.environ["CIRCLE_BRANCH"] != "main":
            stop("evidence of another workflow", 5)
        run = evidence["run"]
        entries[run] = {"state": "vetted", "digest": candidates()[run]["digest"]}
        git("rm", "--quiet", f"images/base/candidates/{run}.json")
    else:
        run = next((run for run, entry in entries.items() if entry["state"] == "vetted"), "")
        if not run:
            sys.exit(6)
        entries = {key: entry | {"state": "retired"} if entry["state"] == "gold" else entry for key, entry in entries.items()}
        entries[run]["state"] = "gold"
    pathlib.Path("images").mkdir(exist_ok=True)
    pathlib.Path("images/base.lock.json").write_text(json.dumps(entries))
    push(f"{state} {run}", f"base/{state}/{run}")


def packer(arguments: list[str]) -> None:
    if not (HOME / "plugin").exists():
        stop("the plugin assay is not installed")
    if not (HOME / "ansible").exists():
        stop("ansible-playbook is not installed")
    if arguments[0] == "validate" and "INVALID" in pathlib.Path(arguments[1]).read_text():
        stop("invalid")


def cargo(arguments: list[str]) -> None:
    binaries = pathlib.Path(arguments[arguments.index("--root") + 1]) / "bin"
    binaries.mkdir(parents=True)
    (binaries / "assay").write_text(f"#!/bin/sh\nexec {sys.executable} -S {__file__} assay \"$@\"\n")
    (binaries / "assay").chmod(0o755)


def curl(arguments: list[str]) -> None:
    """HashiCorp's release server: one zip with a `packer` in it, and its checksum."""
    script = zipfile.ZipInfo("packer", (2026, 1, 1, 0, 0, 0))
    script.external_attr = 0o755 << 16
    pathlib.Path("made.zip").unlink(missing_ok=True)
    with zipfile.ZipFile("made.zip", "w") as archive:
        archive.writestr(script, f'#!/bin/sh\nexec {sys.executable} -S {__file__} packer "$@"\n')
    content = pathlib.Path("made.zip").read_bytes()
    name = arguments[-1].rpartition("/")[2]
    if name.endswith(".zip"):
        pathlib.Path(name).write_bytes(content)
    else:
        print(f"{hashlib.sha256(content).hexdigest()}  packer_1.16.0_linux_amd64.zip")


def unzip(arguments: list[str]) -> None:
    target = pathlib.Path(arguments[-1]) / "packer"
    target.write_bytes(zipfile.ZipFile(arguments[2]).read("packer"))
    target.chmod(0o755)


def main() -> None:
    """Plays the program that $1 names."""
    program, *arguments = sys.argv[1:]
    if program not in ("curl", "unzip"):  # Those two are of scripts that are looked at by what comes of them.
        call(program, arguments)
    if program == "assay":
        assay(arguments[0], arguments[1:])
    else:
        {"packer": packer, "cargo": cargo, "curl": curl, "unzip": unzip}[program](arguments)


if __name__ == "__main__":
    main()
