"""Owns the programs that stand in for assay, Packer, Ansible, cargo and curl: they do with git and files what the real ones would, and refuse what those would.

One module for all of them. It writes a line for each call to $CALLS: program, arguments, job, role, pipeline. It knows nothing of the configuration
under test: a wrong role, a push without the right, evidence of another pipeline, a missing plugin or a promotion without evidence fail as in life.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import zipfile

ROLES = {"plan": "builder", "build": "builder", "validate": "tester", "promote": "promoter", "sweep": "sweeper", "prune": "sweeper", "status": "promoter"}
IMAGES = ("base", "app")
# What the pipelines of the tests may wait for, seconds: long enough for a machine that does much else.
PATIENCE = 60
# How often a push that somebody else's has overtaken is made anew.
TRIES = 5


def home() -> pathlib.Path:
    """The job's home."""
    return pathlib.Path(os.environ["HOME"])


def call(program: str, arguments: list[str]) -> None:
    """Writes the call down."""
    role = os.environ.get("AWS_ROLE_ARN", "").rpartition("/")[2]
    sources = pathlib.Path("Cargo.lock").read_text().strip() if program == "cargo" else ""
    line = {
        "program": program, "arguments": arguments, "job": os.environ["CIRCLE_JOB"], "role": role, "sources": sources,
        "pipeline": os.environ["CIRCLE_PIPELINE_ID"], "tokens": [name for name in os.environ if name.startswith("CIRCLE_OIDC_TOKEN")],
        "who": os.environ.get("GIT_COMMITTER_EMAIL", ""),
    }  # fmt: skip
    with open(os.environ["CALLS"], "a") as log:
        log.write(json.dumps(line) + "\n")


def calls() -> list[dict[str, object]]:
    """All calls so far."""
    return [json.loads(line) for line in pathlib.Path(os.environ["CALLS"]).read_text().splitlines()]


def stop(why: str, code: int = 1) -> None:
    """Ends as a program that refuses."""
    print(why, file=sys.stderr)
    sys.exit(code)


def option(arguments: list[str], name: str) -> str:
    """The value of an option; empty where it is not given."""
    return arguments[arguments.index(name) + 1] if name in arguments else ""


def git(*arguments: str) -> str:
    """git's answer in the clone."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        stop(f"git {arguments}: {done.stderr}")
    return done.stdout.strip()


def template(image: str) -> bytes:
    """What an image is made from."""
    return pathlib.Path(f"packer/{image}.pkr.hcl").read_bytes()


def digest(content: bytes) -> str:
    """Of what an image is made from."""
    return hashlib.sha256(content).hexdigest()[:12]


def lock(image: str) -> dict[str, dict[str, str]]:
    """Run → {state, digest}."""
    path = pathlib.Path(f"images/{image}.lock.json")
    return json.loads(path.read_text()) if path.exists() else {}


def candidates(image: str) -> dict[str, dict[str, str]]:
    """Run → {state, digest} of the candidate files."""
    return {path.stem: json.loads(path.read_text()) for path in pathlib.Path(f"images/{image}/candidates").glob("*.json")}


@functools.cache
def tip() -> tuple[str, list[str]]:
    """The tip of the remote's branch, which may have moved since the checkout, and the names of its files."""
    git("fetch", "-q", "origin", os.environ["CIRCLE_BRANCH"])
    return "FETCH_HEAD", git("ls-tree", "-r", "--name-only", "FETCH_HEAD", "images").splitlines()


def fetched(image: str) -> list[dict[str, str]]:
    """The candidates at the tip of the remote's branch."""
    commit, names = tip()
    return [json.loads(git("show", f"{commit}:{name}")) for name in names if name.startswith(f"images/{image}/candidates/")]


def push(message: str, *tags: str) -> None:
    """Commits everything below images on top of the remote's branch, and pushes branch and annotated tags."""
    branch = os.environ["CIRCLE_BRANCH"]
    git("add", "images")
    git("commit", "--quiet", "-m", message)
    for attempt in range(TRIES):
        git("pull", "--quiet", "--rebase", "origin", branch)
        for tag in tags:
            git("tag", "-f", "-a", tag, "-m", message)
        sent = ["git", "push", "--quiet", "--atomic", "origin", f"HEAD:{branch}", *[f"refs/tags/{tag}" for tag in tags]]
        done = subprocess.run(sent, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        # Another job of this workflow was faster; anything else is no race.
        if not any(words in done.stderr for words in ("fetch first", "non-fast-forward", "cannot lock ref")):
            break
    stop(f"git push: {done.stderr}", 5)


def known(image: str) -> list[dict[str, str]]:
    """What was built of these inputs."""
    every = [*lock(image).values(), *candidates(image).values(), *fetched(image)]
    return [entry for entry in every if entry["digest"] == digest(template(image))]


def is_due(image: str, arguments: list[str]) -> bool:
    """Whether the image must be built."""
    if git("config", "--default", "", "--get", "remote.origin.partialclonefilter"):
        stop("objects of other commits are not here: the clone is a partial one")
    return not known(image) or (option(arguments, "--max-age") == "0s" and image == "base")


def is_stuck(image: str) -> bool:
    """Whether building again would give the same, and a person must do something."""
    return any(entry["state"] == "rejected" for entry in known(image))


def needs_role(verb: str) -> None:
    """Refuses a call without a token that AWS would take for the verb's role."""
    if not os.environ.get("AWS_REGION"):
        stop("no region")
    file = pathlib.Path(os.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE", "/nothing"))
    if not file.is_file():
        stop("no credentials")
    claims = claims_of(file)
    if claims["aud"] != os.environ["CIRCLE_ORGANIZATION_ID"] or claims["exp"] < time.time():
        stop(f"AssumeRoleWithWebIdentity: InvalidIdentityToken: {claims['aud']}")
    role = os.environ.get("AWS_ROLE_ARN", "").rpartition("/")[2]
    # What `assay iam --trust` prints: the builder's role is for every branch, the others for main.
    if not claims["sub"].endswith("/vcs-ref/refs/heads/main") and role != "builder":
        stop(f"AssumeRoleWithWebIdentity: AccessDenied for {role}: {claims['sub']}")
    if role != ROLES[verb]:
        stop(f"{verb} by {role}")


def claims_of(file: pathlib.Path) -> dict[str, object]:
    """What a token says."""
    payload = file.read_text().split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def assay(verb: str, arguments: list[str]) -> None:
    """What the verbs do, as far as a pipeline can see it."""
    if verb in ROLES:
        needs_role(verb)
    handlers = {
        "build": build, "commit": commit, "validate": validate, "promote": promote, "report": merge, "packer": plugin, "diff": diff, "plan": plan,
        "doctor": doctor, "lint": nothing, "verify": nothing, "sweep": nothing, "prune": nothing, "status": nothing, "--version": nothing,
    }  # fmt: skip
    handlers[verb](arguments)


def nothing(_: list[str]) -> None:
    pass


def plugin(_: list[str]) -> None:
    (home() / "plugin").touch()


def doctor(arguments: list[str]) -> None:
    """Whether the job may push, asked of the remote."""
    if arguments[:1] != ["--ci"]:
        stop("this doctor looks at CI alone")
    git("push", "--dry-run", "-q", "origin", "HEAD:refs/heads/assay-doctor")


def plan(arguments: list[str]) -> None:
    if option(arguments, "--format") == "json":
        print(json.dumps({"images": [{"image": image, "due": is_due(image, arguments)} for image in IMAGES]}))
    if any(map(is_stuck, IMAGES)):
        sys.exit(2)


def diff(arguments: list[str]) -> None:
    if not fetched(option(arguments, "--image")):
        sys.exit(6)
    print("| package | gold | candidate |")


def build(arguments: list[str]) -> None:
    if not (home() / "plugin").exists() or subprocess.run(["packer", "init", "packer/base.pkr.hcl"], check=False).returncode != 0:
        stop("Packer does not know assay")
    for image in [option(arguments, "--image")] if "--image" in arguments else IMAGES:
        if is_due(image, arguments):
            build_one(image)
        elif is_stuck(image):
            sys.exit(2)


def build_one(image: str) -> None:
    text = template(image).decode()
    wait_for_a_fresh_token()
    if "HANG" in text:
        pathlib.Path(os.environ["CANCEL"]).touch()
        time.sleep(PATIENCE)
    if "SLOW" in text:
        wait_for_another_pipeline()
    run = hashlib.sha256(os.urandom(8)).hexdigest()[:8]
    bad = "BAD" in text
    reports = pathlib.Path("build/reports") / image
    reports.mkdir(parents=True)
    failure = '<failure message="x"/>' if bad else ""
    (reports / "junit.xml").write_text(f'<testsuites><testsuite name="smoke"><testcase name="a">{failure}</testcase></testsuite></testsuites>')
    manifest = pathlib.Path("build/manifest.json")
    runs = json.loads(manifest.read_text()) if manifest.exists() else []
    runs.append({"image": image, "run": run, "state": "rejected" if bad else "candidate", "digest": digest(template(image))})
    manifest.write_text(json.dumps(runs))
    if bad:
        sys.exit(2)


def wait_for_another_pipeline() -> None:
    """Until the pipeline that this one's push has started waits for its turn, or plans."""
    mine, deadline = os.environ["CIRCLE_PIPELINE_ID"], time.monotonic() + PATIENCE
    while not pathlib.Path(os.environ["WAITS"]).exists():
        if any(line["arguments"][:1] == ["build"] and line["pipeline"] != mine for line in calls()) or time.monotonic() > deadline:
            return
        time.sleep(0.05)


def wait_for_a_fresh_token() -> None:
    """A build outlives its first token: another one must be there before long (the test's `sleep` is short)."""
    deadline = time.monotonic() + 5
    while "anew" not in claims_of(pathlib.Path(os.environ["AWS_WEB_IDENTITY_TOKEN_FILE"])):
        if time.monotonic() > deadline:
            stop("the token has expired")
        time.sleep(0.02)


def commit(arguments: list[str]) -> None:
    if "--all-runs" not in arguments:
        stop("of several builds only the last would be committed")
    tags, words = [], []
    for entry in json.loads(pathlib.Path(option(arguments, "--manifest")).read_text()):
        path = pathlib.Path(f"images/{entry['image']}/candidates/{entry['run']}.json")
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(entry))
        tags.append(f"{entry['image']}/{entry['state']}/{entry['run']}")
        words.append(f"{entry['state']} {entry['run']}")
    if tags:
        push(", ".join(words), *tags)


def validate(arguments: list[str]) -> None:
    image = option(arguments, "--image")
    mine = [run for run, entry in candidates(image).items() if entry["digest"] == digest(template(image)) and entry["state"] == "candidate"]
    if not mine:
        sys.exit(6)
    folder = pathlib.Path(option(arguments, "--report-dir"))
    folder.mkdir(parents=True)
    evidence = {"run": mine[-1], "workflow": os.environ["CIRCLE_PIPELINE_ID"]}
    (folder / "evidence.json").write_text(json.dumps(evidence))
    (folder / "junit.xml").write_text('<testsuites><testsuite name="gold"><testcase name="a"/></testsuite></testsuites>')


def merge(arguments: list[str]) -> None:
    shares = list(pathlib.Path(arguments[1]).rglob("evidence.json"))
    target = pathlib.Path(arguments[-1])
    target.mkdir(parents=True)
    (target / "evidence.json").write_text(shares[0].read_text())


def no_answer(step: str) -> None:
    """Ends with 3 as often as the test says, like a promotion whose remote or EC2 does not answer."""
    file = pathlib.Path(os.environ["FAULTS"]) / step
    if file.exists() and (left := int(file.read_text())) > 0:
        file.write_text(str(left - 1))
        stop(f"{step}: no answer", 3)


def promote(arguments: list[str]) -> None:
    image, state = option(arguments, "--image"), option(arguments, "--to")
    entries = lock(image)
    if state == "vetted":
        evidence = json.loads(pathlib.Path(option(arguments, "--evidence")).read_text())
        no_answer(state)
        if evidence["workflow"] != os.environ["CIRCLE_PIPELINE_ID"] or os.environ["CIRCLE_BRANCH"] != "main":
            stop("evidence of another pipeline", 5)
        run = evidence["run"]
        entries[run] = {"state": "vetted", "digest": candidates(image)[run]["digest"]}
        git("rm", "--quiet", f"images/{image}/candidates/{run}.json")
    else:
        run = next((run for run, entry in entries.items() if entry["state"] == "vetted"), "")
        if not run:
            sys.exit(6)
        no_answer(state)
        entries = {key: entry | {"state": "retired"} if entry["state"] == "gold" else entry for key, entry in entries.items()}
        entries[run]["state"] = "gold"
    pathlib.Path("images").mkdir(exist_ok=True)
    pathlib.Path(f"images/{image}.lock.json").write_text(json.dumps(entries))
    push(f"{state} {run}", f"{image}/{state}/{run}")


def packer(arguments: list[str]) -> None:
    if not (home() / "plugin").exists():
        stop("the plugin assay is not installed")
    if not (home() / "ansible").exists():
        stop("ansible-playbook is not installed")
    if arguments[0] == "validate" and "INVALID" in pathlib.Path(arguments[1]).read_text():
        stop("invalid")


def ansible_playbook(arguments: list[str]) -> None:
    """The playbook's syntax."""
    if not (home() / "ansible").exists():
        stop("ansible-playbook is not installed")
    if "--syntax-check" not in arguments or "unknown_module" in pathlib.Path(arguments[-1]).read_text():
        stop("couldn't resolve module/action", 4)


def tool(name: str) -> pathlib.Path:
    """A program that is on nobody's PATH until somebody installs it."""
    return pathlib.Path(os.environ["INSTALLABLE"]) / name


def cargo(arguments: list[str]) -> None:
    binaries = pathlib.Path(option(arguments, "--root")) / "bin"
    binaries.mkdir(parents=True)
    shutil.copy2(tool("assay"), binaries)


def curl(arguments: list[str]) -> None:
    """HashiCorp's release server: one zip with a `packer` in it, and its checksum. GitHub's host keys."""
    if arguments[-1] == "https://api.github.com/meta":
        no_answer("meta")
        print(json.dumps({"ssh_keys": [os.environ["HOST_KEY"]]}))
        return
    script = zipfile.ZipInfo("packer", (2026, 1, 1, 0, 0, 0))
    script.external_attr = 0o755 << 16
    pathlib.Path("made.zip").unlink(missing_ok=True)
    with zipfile.ZipFile("made.zip", "w") as archive:
        archive.writestr(script, tool("packer").read_bytes())
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
        {"packer": packer, "cargo": cargo, "curl": curl, "unzip": unzip, "ansible-playbook": ansible_playbook}[program](arguments)


if __name__ == "__main__":
    main()
