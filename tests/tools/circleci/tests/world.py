"""Owns a small world for a configuration: a bare remote, contexts as docs/circleci.md sets them up, the stand-in programs, and the flow that is played.

Each scene (pull request, fork, merge, schedule, …) starts from a world of its own in which an image is gold, and says what was not as it must be. For the
shipped configuration that is nothing; for one from which something was taken away it must be something.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
from typing import Any, Callable, Iterator

import programs
from circleci_runner import ConfigError, document, follow, keys, pipeline, program_server
from circleci_runner.keys import Key
from circleci_runner.pipeline import Project, Trigger

ROOT = pathlib.Path(__file__).resolve().parents[4]
# As docs/circleci.md says them, for the two kinds of project; test_config.py compares.
MAIN_ONLY = 'pipeline.git.branch == "main" and not job.ssh.enabled and not (pipeline.config_source starts-with "api")'
RESTRICTIONS = {
    "oauth": {"builder": 'not job.ssh.enabled and not (pipeline.config_source starts-with "api")', "others": MAIN_ONLY},
    "app": {
        "builder": 'not job.ssh.enabled and not (pipeline.config_source starts-with "api")',
        "others": MAIN_ONLY + ' and pipeline.config.ref == "refs/heads/main"',
    },
}
# Short for the loop that renews tokens: at once the first time, then for long. Whoever would sleep past the token's life never wakes.
SLEEP = '#!/bin/sh\n[ "$1" -le 1800 ] && [ ! -e "$HOME/slept" ] || exec /bin/sleep 60\n: > "$HOME/slept"\n'
# Nothing here lives long enough to be tidied up.
NO_MAINTENANCE = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "maintenance.auto", "GIT_CONFIG_VALUE_0": "false"}
# Installs Ansible, which is a stand-in too.
SUDO = '#!/bin/sh\n: > "$HOME/ansible"\nmkdir -p "$HOME/assay/bin"\ncp "%s" "$HOME/assay/bin/ansible-playbook"\n'


def contexts(kind: str) -> dict[str, dict[str, Any]]:
    """The contexts that docs/circleci.md asks for."""

    def context(role: str) -> dict[str, Any]:
        environment = {"AWS_ROLE_ARN": f"arn:aws:iam::123456789012:role/{role}", "AWS_REGION": "us-east-1"}
        return {"environment": environment, "restriction": RESTRICTIONS[kind].get(role, RESTRICTIONS[kind]["others"])}

    return {f"assay-{role}": context(role) for role in ("builder", "tester", "promoter", "sweeper")}


_MAKING_KEYS = threading.Lock()


def write_key() -> Key:
    """One for all worlds: making them takes longer than most scenes' steps."""
    with _MAKING_KEYS:
        return _keys()[0]


def deploy_key() -> Key:
    """The project's own."""
    with _MAKING_KEYS:
        return _keys()[1]


@functools.cache
def _keys() -> tuple[Key, Key]:
    folder = pathlib.Path(tempfile.mkdtemp(prefix="assay-circleci-key-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return keys.make(folder / "write", write=True), keys.make(folder / "deploy", write=False)


def with_key(config: str, fingerprint: str) -> str:
    """The configuration with the fingerprint where docs/circleci.md says that it belongs; one that was taken apart keeps what it has."""
    return config.replace('push_key: &push-key ""', f'push_key: &push-key "{fingerprint}"').replace("push_key: ''", f"push_key: '{fingerprint}'")


class World:
    """A repository, its remote and its project at CircleCI."""

    def __init__(self, folder: pathlib.Path, config: str, kind: str = "oauth", key: str | None = None) -> None:
        self.config = with_key(config, write_key().fingerprint if key is None else key)
        self.folder, self.work, self.remote = folder, folder / "work", folder / "remote.git"
        self.calls_file, self.cancel = folder / "calls", folder / "cancel"
        tools, installable, faults, state = folder / "tools", folder / "installable", folder / "faults", folder / "circleci"
        folder.mkdir(parents=True, exist_ok=True)
        faults.mkdir()
        self.calls_file.touch()
        for place, names in ((tools, ("cargo", "curl", "unzip")), (installable, ("assay", "packer", "ansible-playbook"))):
            place.mkdir(parents=True)
            for name in names:
                (place / name).write_text(program_server.server().script(programs.__file__, name))
        (tools / "sleep").write_text(SLEEP)
        (tools / "sudo").write_text(SUDO % (installable / "ansible-playbook"))
        (tools / "dpkg").write_text("#!/bin/sh\necho amd64\n")
        for tool in [*tools.iterdir(), *installable.iterdir()]:
            tool.chmod(0o755)
        for half in ("deploy", "deploy.pub"):
            (state / "keys").mkdir(parents=True, exist_ok=True)
            shutil.copy2(deploy_key().file.with_name(half), state / "keys" / half)
        machine = {
            "PATH": f"{tools}:/usr/bin:/bin", "CALLS": str(self.calls_file), "FAULTS": str(faults), "CANCEL": str(self.cancel), "INSTALLABLE": str(installable),
            "WAITS": str(state / "waits"), "HOST_KEY": deploy_key().public, "GIT_CONFIG_NOSYSTEM": "1",
        } | NO_MAINTENANCE  # fmt: skip
        self.project = Project(
            remote=self.remote, state=state, contexts=contexts(kind), machine=machine, kind=kind, keys=[write_key()], cancel=self.cancel
        )
        self.publish(self.config)

    def git(self, *arguments: str) -> str:
        """git in the developer's clone."""
        identity = {f"GIT_{who}_{what}": "dev@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        environment = os.environ | identity | NO_MAINTENANCE | {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(["git", *arguments], cwd=self.work, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def publish(self, config: str) -> None:
        self.work.mkdir()
        self.git("init", "-q", "-b", "main", ".")
        for image in programs.IMAGES:
            self.write(f"packer/{image}.pkr.hcl", "one\n")
            self.write(f"images/{image}.lock.json", json.dumps({"first": {"state": "gold", "digest": programs.digest(b"one\n")}}))
        self.write("packer/app/ansible/site.yml", "- hosts: all\n")
        self.write("Cargo.lock", "locked\n")
        self.write(".gitignore", "build/\ntarget/\n")
        self.write(".circleci/config.yml", config)
        self.commit("Images")
        self.git("init", "-q", "--bare", "-b", "main", str(self.remote))
        self.git("remote", "add", "origin", str(self.remote))
        self.git("push", "-q", "origin", "main")

    def write(self, name: str, text: str) -> None:
        """A file of the developer's clone."""
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def commit(self, message: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)

    def change(self, branch: str, text: str, push_to: str | None = None, candidate: bool = False, app: str = "", run: str = "second") -> None:
        """A branch from main's newest commit with another template, pushed; with `candidate` as if its pipeline had built it."""
        self.git("fetch", "-q", "origin")
        self.git("switch", "-q", "-C", branch, "origin/main")
        self.write("packer/base.pkr.hcl", text)
        if app:
            self.write("packer/app.pkr.hcl", app)
        if candidate:
            entry = {"image": "base", "run": run, "state": "candidate", "digest": programs.digest(text.encode())}
            self.write(f"images/base/candidates/{run}.json", json.dumps(entry))
        self.commit(f"Change by {branch}")
        self.git("push", "-q", "--force", "origin", f"HEAD:{push_to or 'refs/heads/' + branch}")

    def merge(self, branch: str) -> None:
        """What the merge button does."""
        self.git("fetch", "-q", "origin")
        self.git("switch", "-q", "-C", "main", "origin/main")
        self.git("merge", "-q", "--no-ff", "-m", f"Merge {branch}", f"origin/{branch}")
        self.git("push", "-q", "origin", "main")

    def fail(self, step: str, times: int) -> None:
        """Lets a step of the promotion, or GitHub's API (`meta`), end without an answer, so many times."""
        (self.folder / "faults" / step).write_text(str(times))

    def built(self) -> list[str]:
        """The images that Packer made, in order."""
        return [call["arguments"][2] for call in self.calls() if call["arguments"][:1] == ["build"]]

    def run(self, ref: str, kind: str = "github_oauth", **parameters: str) -> list[dict[str, Any]]:
        """Pipelines until nothing is pushed any more, or one is red: what comes then proves nothing. The calls are forgotten before."""
        self.calls_file.write_text("")
        return follow.run(self.project, Trigger(ref, kind, parameters), 8, stop_at_red=True)

    def calls(self) -> list[dict[str, Any]]:
        """The calls since `run` began."""
        return [json.loads(line) for line in self.calls_file.read_text().splitlines()]

    def verbs(self) -> list[str]:
        """`program verb` of each call."""
        return [f"{call['program']} {' '.join(call['arguments'][:1])}".strip() for call in self.calls()]

    def shown(self, path: str, ref: str = "main") -> str:
        """A file in the remote, or nothing."""
        done = subprocess.run(["git", "-C", str(self.remote), "show", f"{ref}:{path}"], capture_output=True, text=True, check=False)
        return done.stdout

    def lock(self, image: str = "base") -> dict[str, str]:
        """Run → state on main."""
        return {run: entry["state"] for run, entry in json.loads(self.shown(f"images/{image}.lock.json") or "{}").items()}

    def tags(self) -> list[str]:
        """The tags of the remote, without their runs."""
        return sorted(tag.rpartition("/")[0] for tag in self.project.git("tag").splitlines())


def jobs(records: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """`WORKFLOW/JOB` → its newest record."""
    return {f"{flow['name']}/{job['name']}": job for record in records for flow in record["workflows"] for job in flow["jobs"]}


def stored(job: dict[str, Any], *names: str) -> list[str]:
    """Of files that a job should have stored, those that are missing."""
    folder = pathlib.Path(job["containers"][0]["folder"]) if job["containers"] else pathlib.Path("/nothing")
    return [f"{job['name']} did not store {name}" for name in names if not (folder / name).exists()]


def problems(folder: pathlib.Path, config: str, scenes: tuple[str, ...]) -> Iterator[str]:
    """What is wrong in the named scenes, as it is found."""
    for name in scenes:
        try:
            yield from SCENES[name](World(folder / name, config, kind="app" if name.startswith("app_project") else "oauth"))
        except (ConfigError, KeyError) as error:
            yield f"{name}: {error!r}"
        finally:
            shutil.rmtree(folder / name, ignore_errors=True)


def expect(what: str, found: Any, wanted: Any) -> Iterator[str]:
    """A line when two things differ."""
    if found != wanted:
        yield f"{what}: {found!r} instead of {wanted!r}"


def green(what: str, records: list[dict[str, Any]], *wanted: str) -> Iterator[str]:
    """The workflows that ran, in order, all of them green."""
    ran = [flow["name"] for record in records for flow in record["workflows"]]
    yield from expect(f"{what}: workflows", ran, list(wanted))
    for name, job in jobs(records).items():
        if job["status"] != "success":
            yield f"{what}: {name} is {job['status']}"


def pull_request(world: World) -> Iterator[str]:
    """A push to a branch: checked, built, tested, committed, compared; the commit's own pipeline finds nothing due."""
    world.change("policy", "two\n")
    records = world.run("refs/heads/policy")
    yield from green("pull request", records, "pull-request", "pull-request")
    verbs = world.verbs()
    yield from expect("assay is built once", verbs.count("cargo install"), 1)
    for verb in ("assay lint", "assay verify", "assay doctor"):
        yield from expect(f"pull request: {verb}", verbs.count(verb), 2)
    yield from expect("every template is looked at", verbs.count("packer validate"), 4)
    yield from expect("the playbook is looked at", verbs.count("ansible-playbook --syntax-check"), 2)
    yield from expect("what is built", world.built(), ["base"])
    order = [verb for verb in verbs[: verbs.index("assay commit") + 1] if verb in ("assay lint", "assay doctor", "assay plan", "assay build", "assay commit")]
    yield from expect("the order", order, ["assay lint", "assay doctor", "assay plan", "assay plan", "assay build", "assay commit"])
    yield from expect("who promotes from a branch", verbs.count("assay promote"), 0)
    yield from expect("tags", world.tags(), ["base/candidate"])
    yield from no_tokens(world)
    yield from expect("who commits", {call["who"] for call in world.calls() if call["job"] == "build"}, {"assay@localhost.invalid"})
    first = jobs(records[:1]).get("pull-request/build")
    if first is None:
        yield "no build"
        return
    yield from stored(first, "artifacts/diff/base.md", "artifacts/diff/app.md", "artifacts/reports/base/junit.xml", "test-results/base/junit.xml")


def no_tokens(world: World) -> Iterator[str]:
    """What templates, playbooks and build scripts run finds no token in its environment."""
    programs_of_others = {"packer", "cargo", "ansible-playbook"}
    holders = {call["program"] for call in world.calls() if call["tokens"] and call["program"] in programs_of_others}
    yield from expect("programs with a token in their environment", holders, set())


def app_project_pull_request(world: World) -> Iterator[str]:
    """The same on a GitHub App project, whose checkout is by https and gives no right to push. GitHub's API refuses once to tell its host keys."""
    world.change("policy", "two\n")
    world.fail("meta", 1)
    yield from green("App project: pull request", world.run("refs/heads/policy"), "pull-request", "pull-request")
    yield from expect("App project: tags", world.tags(), ["base/candidate"])


def app_project_release(world: World) -> Iterator[str]:
    """On a GitHub App project main's roles are for main's own configuration, whatever is checked out."""
    world.change("policy", "two\n", candidate=True)
    world.git("push", "-q", "origin", "policy:refs/heads/evil")
    world.merge("policy")
    trigger = Trigger("refs/heads/main", "api", {}, config_ref="refs/heads/evil")
    refused = {name: job["status"] for name, job in jobs([pipeline.run(world.project, trigger)]).items() if "validate" in name or "promote" in name}
    wanted = {f"release/{job}-{image}": status for job, status in (("validate", "unauthorized"), ("promote", "not_run")) for image in programs.IMAGES}
    yield from expect("main's code with another branch's configuration", refused, wanted)
    yield from green("App project: release", world.run("refs/heads/main"), "release", "release")
    yield from expect("App project: the lock", world.lock(), {"first": "retired", "second": "gold"})


def two_images(world: World) -> Iterator[str]:
    """Two images are due. The first one's commit starts a pipeline, which must leave the second one to the job that is about to build it."""
    world.change("both", "two\n", app="SLOW\n")
    world.calls_file.write_text("")
    records = follow.run_at_once(world.project, Trigger("refs/heads/both"), 8)
    yield from expect("two images: pipelines", [record["status"] for record in records if record["workflows"]], ["success"] * 3)
    yield from expect("each image is built once", sorted(world.built()), ["app", "base"])
    yield from expect("two images: tags", world.tags(), ["app/candidate", "base/candidate"])


def killed(world: World) -> Iterator[str]:
    """A job is cancelled while it builds its second image: the first one is in git, and the next pipeline goes on with the second."""
    world.change("both", "two\n", app="HANG\n")
    records = world.run("refs/heads/both")
    yield from expect("a cancelled job", jobs(records[:1])["pull-request/build"]["status"], "killed")
    yield from expect("what it had built is in git", world.tags(), ["base/candidate"])
    world.cancel.unlink()
    world.git("switch", "-q", "both")
    world.git("pull", "-q", "origin", "both")
    world.write("packer/app.pkr.hcl", "three\n")
    world.commit("It does not hang any more")
    world.git("push", "-q", "origin", "both")
    world.run("refs/heads/both")
    yield from expect("the next pipeline goes on", world.built(), ["app"])
    yield from expect("both are in git", world.tags(), ["app/candidate", "base/candidate"])


def rerun(world: World) -> Iterator[str]:
    """A promotion without an answer is tried again by itself; after more of that, "Rerun workflow from failed" goes on, with evidence that nobody signed."""
    world.change("policy", "two\n", candidate=True)
    world.merge("policy")
    world.fail("vetted", 1)
    world.fail("gold", 1)
    yield from green("one missing answer at each step", world.run("refs/heads/main")[:1], "release")
    world.change("again", "five\n", candidate=True, run="third")
    world.merge("again")
    world.fail("vetted", 3)
    first = world.run("refs/heads/main")[0]
    yield from expect("three missing answers", jobs([first])["release/promote-base"]["status"], "failed")
    again = pipeline.rerun_from_failed(world.project, first)
    yield from green("the rerun", [again], "release")
    yield from expect("the validation is not made again", again["workflows"][0]["id"] != first["workflows"][0]["id"], True)
    yield from expect("the lock after a rerun", world.lock(), {"first": "retired", "second": "retired", "third": "gold"})


def no_key(world: World) -> Iterator[str]:
    """Without the fingerprint in its place, or with that of a key that may only read: the jobs say so, and build and promote nothing."""
    for name, key in (("none", ""), ("wrong", "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")):
        other = World(world.folder / name, world.config.replace(write_key().fingerprint, key), key=key)
        other.change("policy", "two\n")
        records = other.run("refs/heads/policy")
        yield from expect(f"{name}: a build without the right to push", jobs(records)["pull-request/build"]["status"], "failed")
        yield from expect(f"{name}: what was built", other.built(), [])
        other.change("other", "three\n", candidate=True)
        other.merge("other")
        found = {job["name"]: job["status"] for job in jobs(other.run("refs/heads/main")).values()}
        wanted = {"lint": "success", "validate-base": "success", "build": "failed", "promote-base": "failed"}
        yield from expect(f"{name}: on main", {job: found[job] for job in wanted}, wanted)
        yield from expect(f"{name}: the lock", other.lock(), {"first": "gold"})


def who_may(world: World) -> Iterator[str]:
    """What keeps main's roles from others: SSH into a rerun, a configuration from a request, another branch."""
    world.git("push", "-q", "origin", "main:topic")
    for what, trigger in (
        ("a rerun with SSH", Trigger("refs/heads/main", "api", {"task": "clean"}, ssh=True)),
        ("a configuration in the request", Trigger("refs/heads/main", "api", {"task": "clean"}, config_source="api_v2")),
    ):
        found = {name: job["status"] for name, job in jobs([pipeline.run(world.project, trigger)]).items()}
        yield from expect(what, found, {"clean/assay-binary": "success", "clean/clean": "unauthorized", "clean/repair": "unauthorized"})
    names = set(document.parse(world.config).get("parameters", {}))
    yield from expect("what whoever starts a pipeline may choose", names, {"task"})


def merge_queue(world: World) -> Iterator[str]:
    """GitHub's merge queue tests a branch of its own: checked, and no job commits to it."""
    world.change("queued", "two\n", push_to="refs/heads/gh-readonly-queue/main/pr-7-0123")
    yield from green("merge queue", world.run("refs/heads/gh-readonly-queue/main/pr-7-0123"), "pull-request")
    yield from expect("merge queue: jobs", {call["job"] for call in world.calls()}, {"assay-binary", "lint"})


def fork(world: World) -> Iterator[str]:
    """A stranger's pull request: checked without credentials, green, nothing built."""
    world.change("stranger", "three\n", push_to="refs/pull/7/head")
    yield from green("fork", world.run("refs/pull/7/head"), "pull-request")
    yield from expect("a fork's jobs", {call["job"] for call in world.calls()}, {"assay-binary", "lint"})
    yield from expect("a fork's roles", {call["role"] for call in world.calls()}, {""})
    world.change("stranger", "INVALID\n", push_to="refs/pull/7/head")
    records = world.run("refs/pull/7/head")
    yield from expect("a template that Packer refuses", jobs(records)["pull-request/lint"]["status"], "failed")


def release(world: World) -> Iterator[str]:
    """The merge: validated, then promoted, in one workflow; the commits' own pipelines find nothing to do."""
    world.change("policy", "two\n", candidate=True)
    world.merge("policy")
    records = world.run("refs/heads/main")
    yield from green("release", records, "release", "release")
    yield from expect("the lock", world.lock(), {"first": "retired", "second": "gold"})
    yield from expect("tags", world.tags(), ["base/gold", "base/vetted"])
    yield from no_tokens(world)
    calls = [call for call in world.calls() if call["program"] == "assay" and call["arguments"][0] in ("validate", "report", "promote")]
    asked = {call["arguments"][0] for call in calls if "app" in call["arguments"]}
    yield from expect("the other image", asked, {"validate", "promote"})
    calls = [call for call in calls if "app" not in call["arguments"]]
    yield from expect("the order", [(c["arguments"][0], c["job"]) for c in calls[:4]], [
        ("validate", "validate-base"), ("report", "promote-base"), ("promote", "promote-base"), ("promote", "promote-base"),
    ])  # fmt: skip
    yield from expect("roles", [call["role"] for call in calls[:4]], ["tester", "promoter", "promoter", "promoter"])
    first = jobs(records[:1])
    yield from stored(first["release/validate-base"], "artifacts/validation/base/0/evidence.json", "test-results/base/0/junit.xml")
    yield from stored(first["release/promote-base"], "artifacts/evidence/base/evidence.json")
    groups = {name: job["serial_group"] for name, job in first.items() if job["serial_group"]}
    yield from expect("serial groups", groups, {"release/build": "github/acme/images/build/main"})
    verbs = world.verbs()
    looked = [verbs.count(verb) for verb in ("assay lint", "packer validate", "ansible-playbook --syntax-check")]
    yield from expect("lint on main", looked, [2, 4, 2])
    asked = {(call["job"], call["arguments"][-1]) for call in world.calls() if call["arguments"][:1] == ["doctor"]}
    yield from expect("who asks what it may do", asked, {("build", "builder"), ("promote-base", "promoter"), ("promote-app", "promoter")})
    yield from expect("who promotes", {call["who"] for call in world.calls() if call["job"].startswith("promote")}, {"assay@localhost.invalid"})


def quiet_schedule(world: World) -> Iterator[str]:
    """The schedule, with nothing due: no build, no commit."""
    before = world.project.git("rev-parse", "main")
    records = world.run("refs/heads/main", "schedule", task="patch")
    yield from green("schedule, nothing due", records, "patch")
    yield from expect("main", world.project.git("rev-parse", "main"), before)
    plans = [call["arguments"] for call in world.calls() if call["arguments"][:1] in (["plan"], ["build"])]
    yield from expect("how old gold may be", plans, [["plan", "--max-age", "7d"], ["plan", "--max-age", "7d", "--format", "json"]])
    groups = [job["serial_group"] for name, job in jobs(records).items() if name == "patch/build"]
    yield from expect("serial group", groups, ["github/acme/images/build/main"])


def rebuild(world: World) -> Iterator[str]:
    """The schedule, with gold too old: built, committed to main, and from there on like a merge."""
    world.git("switch", "-q", "main")
    old = world.config.replace("max_age: 7d", "max_age: 0s")
    yield from expect("the age in the configuration", old != world.config, True)
    world.write(".circleci/config.yml", old)
    world.commit("All gold is too old")
    world.git("push", "-q", "origin", "main")
    records = world.run("refs/heads/main", "schedule", task="patch")
    yield from green("rebuild", records, "patch", "release", "release")
    yield from expect("the lock", sorted(world.lock().values()), ["gold", "retired"])
    yield from expect("assay is built once", world.verbs().count("cargo install"), 1)
    plans = {tuple(call["arguments"]) for call in world.calls() if call["role"] == "builder" and call["arguments"][:1] == ["build"]}
    yield from expect("the age of the plan is the age of the build", plans, {("build", "--image", "base", "--max-age", "0s")})


def cleaning(world: World) -> Iterator[str]:
    """The other schedule."""
    records = world.run("refs/heads/main", "schedule", task="clean")
    yield from green("clean", records, "clean")
    for job, wanted in (("clean", [("sweep --yes", "sweeper"), ("prune --yes", "sweeper")]), ("repair", [("status --repair", "promoter")])):
        found = [(" ".join(call["arguments"]), call["role"]) for call in world.calls() if call["role"] and call["job"] == job]
        yield from expect(job, found, wanted)
    groups = [job["serial_group"] for job in jobs(records).values() if job["name"] == "repair"]
    yield from expect("serial group", groups, [None])


def failing(world: World) -> Iterator[str]:
    """An image that fails its tests: red, kept as rejected in git, gold as it was."""
    gold = world.lock()
    world.change("broken", "BAD\n")
    records = world.run("refs/heads/broken")[:1]
    build = jobs(records)["pull-request/build"]
    yield from expect("a failing image", build["status"], "failed")
    yield from expect("its record", world.tags().count("base/rejected"), 1)
    yield from expect("gold", world.lock(), gold)
    yield from stored(build, "test-results/base/junit.xml", "artifacts/reports/base/junit.xml")
    # Rejected is not due again and red, and what else is due is built all the same.
    world.git("switch", "-q", "broken")
    world.git("pull", "-q", "origin", "broken")
    world.write("packer/app.pkr.hcl", "two\n")
    world.commit("The other image")
    world.git("push", "-q", "origin", "broken")
    records = world.run("refs/heads/broken")[:1]
    yield from expect("a rejected image", jobs(records)["pull-request/build"]["status"], "failed")
    yield from expect("beside a rejected image", world.built(), ["app"])
    world.change("unknown", "six\n")
    world.write("packer/app/ansible/site.yml", "unknown_module\n")
    world.commit("A playbook that Ansible refuses")
    world.git("push", "-q", "origin", "unknown")
    yield from expect("a playbook that Ansible refuses", jobs(world.run("refs/heads/unknown"))["pull-request/lint"]["status"], "failed")
    world.change("invalid", "INVALID\n")
    records = world.run("refs/heads/invalid")
    yield from expect("what comes after a failed lint", jobs(records)["pull-request/build"]["status"], "not_run")


def direct_push(world: World) -> Iterator[str]:
    """A change that no branch has built: main builds it, and the candidate's commit brings it to gold. Invalid things stop before they cost."""
    world.change("direct", "four\n", push_to="refs/heads/main")
    records = world.run("refs/heads/main")
    yield from green("direct push", records, "release", "release", "release")
    yield from expect("the lock", sorted(world.lock().values()), ["gold", "retired"])
    world.change("direct", "INVALID\n", push_to="refs/heads/main")
    records = world.run("refs/heads/main")
    statuses = {job["name"]: job["status"] for job in jobs(records).values()}
    wanted = {"assay-binary": "success", "lint": "failed", "build": "not_run", "validate-base": "not_run", "promote-base": "not_run"}
    wanted |= {"validate-app": "not_run", "promote-app": "not_run"}
    yield from expect("after a failed lint on main", statuses, wanted)


def a_tag(world: World) -> Iterator[str]:
    """A pushed tag starts a pipeline, as a host's webhook would; no workflow is for it."""
    world.git("push", "-q", "origin", "main:refs/tags/v1")
    yield from expect("a pipeline of a tag", world.run("refs/tags/v1")[0]["workflows"], [])


def odd_starts(world: World) -> Iterator[str]:
    """Who may start pipelines by the API starts the schedule's tasks on main only."""
    world.git("push", "-q", "origin", "main:topic")
    for task in ("patch", "clean"):
        yield from expect(f"{task} on a branch", world.run("refs/heads/topic", "api", task=task)[0]["workflows"], [])


def sources_elsewhere(world: World) -> Iterator[str]:
    """Another repository's configuration: assay is built from a repository of its own, at a version."""
    world.git("switch", "-qc", "assay")
    world.write("Cargo.lock", "of another repository\n")
    world.commit("assay")
    world.git("tag", "v9")
    world.git("push", "-q", "origin", "v9")
    config = document.parse(world.config)
    for flow in config["workflows"].values():
        flow["jobs"] = [{"assay-binary": {"repository": str(world.remote), "version": "v9"}} if job == "assay-binary" else job for job in flow["jobs"]]
    world.change("policy", "two\n")
    record = pipeline.run(world.project, Trigger("refs/heads/policy"), json.dumps(config))
    yield from green("sources elsewhere", [record], "pull-request")
    built = [call["sources"] for call in world.calls() if call["program"] == "cargo"]
    yield from expect("the sources", built, ["of another repository"])


SCENES: dict[str, Callable[[World], Iterator[str]]] = {
    scene.__name__: scene
    for scene in (
        pull_request, app_project_pull_request, fork, release, app_project_release, two_images, killed, rerun, no_key, who_may, merge_queue, quiet_schedule,
        rebuild, cleaning, failing, direct_push, a_tag, odd_starts, sources_elsewhere,
    )  # fmt: skip
}
