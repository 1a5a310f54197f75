"""Owns a small world for a configuration: a bare remote, contexts as docs/circleci.md sets them up, the stand-in programs, and the flow that is played.

Each scene (pull request, fork, merge, schedule, …) starts from a world of its own in which an image is gold, and says what was not as it must be. For the
shipped configuration that is nothing; for one from which something was taken away it must be something.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
from typing import Any, Callable, Iterator

import programs
from circleci_runner import ConfigError, document, follow, pipeline
from circleci_runner.pipeline import Project, Trigger

ROOT = pathlib.Path(__file__).resolve().parents[4]
MAIN_ONLY = 'pipeline.git.branch == "main" and not job.ssh.enabled and not (pipeline.config_source starts-with "api")'
CONTEXTS = {
    f"assay-{role}": {"environment": {"AWS_ROLE_ARN": f"arn:aws:iam::123456789012:role/{role}"}} | ({} if role == "builder" else {"restriction": MAIN_ONLY})
    for role in ("builder", "tester", "promoter", "sweeper")
}
# Short for the loop that renews tokens: at once the first time, then for long.
SLEEP = '#!/bin/sh\n[ -e "$HOME/slept" ] && exec /bin/sleep 60\n: > "$HOME/slept"\n'


class World:
    """A repository, its remote and its project at CircleCI."""

    def __init__(self, folder: pathlib.Path, config: str) -> None:
        self.config, self.folder, self.work, self.remote = config, folder, folder / "work", folder / "remote.git"
        self.calls_file = folder / "calls"
        tools = folder / "tools"
        tools.mkdir(parents=True)
        self.calls_file.touch()
        for name in ("cargo", "curl", "unzip"):
            (tools / name).write_text(f'#!/bin/sh\nexec {sys.executable} -S {programs.__file__} {name} "$@"\n')
        (tools / "sleep").write_text(SLEEP)
        (tools / "sudo").write_text('#!/bin/sh\n: > "$HOME/ansible"\n')
        (tools / "dpkg").write_text("#!/bin/sh\necho amd64\n")
        for tool in tools.iterdir():
            tool.chmod(0o755)
        machine = {"PATH": f"{tools}:/usr/bin:/bin", "CALLS": str(self.calls_file), "GIT_CONFIG_NOSYSTEM": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        self.project = Project(remote=self.remote, state=folder / "circleci", contexts=CONTEXTS, machine=machine)
        self.publish(config)

    def git(self, *arguments: str) -> str:
        """git in the developer's clone."""
        identity = {f"GIT_{who}_{what}": "dev@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        environment = os.environ | identity | {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(["git", *arguments], cwd=self.work, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def publish(self, config: str) -> None:
        self.work.mkdir()
        self.git("init", "-q", "-b", "main", ".")
        self.write("packer/base.pkr.hcl", "one\n")
        self.write("images/base.lock.json", json.dumps({"first": {"state": "gold", "digest": programs.digest(b"one\n")}}))
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

    def change(self, branch: str, text: str, push_to: str | None = None, candidate: bool = False) -> None:
        """A branch from main's newest commit with another template, pushed; with `candidate` as if its pipeline had built it."""
        self.git("fetch", "-q", "origin")
        self.git("switch", "-q", "-C", branch, "origin/main")
        self.write("packer/base.pkr.hcl", text)
        if candidate:
            entry = {"run": "second", "state": "candidate", "digest": programs.digest(text.encode())}
            self.write("images/base/candidates/second.json", json.dumps(entry))
        self.commit(f"Change by {branch}")
        self.git("push", "-q", "--force", "origin", f"HEAD:{push_to or 'refs/heads/' + branch}")

    def merge(self, branch: str) -> None:
        """What the merge button does."""
        self.git("fetch", "-q", "origin")
        self.git("switch", "-q", "-C", "main", "origin/main")
        self.git("merge", "-q", "--no-ff", "-m", f"Merge {branch}", f"origin/{branch}")
        self.git("push", "-q", "origin", "main")

    def run(self, ref: str, kind: str = "github_oauth", **parameters: str) -> list[dict[str, Any]]:
        """Pipelines until nothing is pushed any more. The calls are forgotten before."""
        self.calls_file.write_text("")
        return follow.run(self.project, Trigger(ref, kind, parameters), 8)

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

    def lock(self) -> dict[str, str]:
        """Run → state on main."""
        return {run: entry["state"] for run, entry in json.loads(self.shown("images/base.lock.json") or "{}").items()}

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
            yield from SCENES[name](World(folder / name, config))
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
    for verb in ("assay lint", "assay verify", "packer validate", "assay plan", "assay build"):
        yield from expect(f"pull request: {verb}", verbs.count(verb), 2)
    yield from expect("one candidate is committed", verbs.count("assay commit"), 1)
    order = [verb for verb in verbs[: verbs.index("assay commit") + 1] if verb in ("assay lint", "packer validate", "assay plan", "assay build")]
    yield from expect("the order", order, ["assay lint", "packer validate", "assay plan", "assay build"])
    yield from expect("who promotes from a branch", verbs.count("assay promote"), 0)
    yield from expect("tags", world.tags(), ["base/candidate"])
    first = jobs(records[:1]).get("pull-request/build")
    if first is None:
        yield "no build"
        return
    steps = [step["name"] for step in first["containers"][0]["steps"]]
    wanted = ["store_test_results", "store_artifacts", "Commit the candidates, good or bad"]
    yield from expect("results are kept before the push, which may cancel the job", sorted((step for step in {*steps} & {*wanted}), key=steps.index), wanted)
    yield from stored(first, "artifacts/diff/base.md", "artifacts/diff/app.md", "artifacts/reports/junit.xml", "test-results/junit.xml")


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
    yield from expect("serial groups", groups, {"release/build": "github/acme/images/build"})
    verbs = world.verbs()
    yield from expect("lint on main", (verbs.count("assay lint"), verbs.count("packer validate")), (2, 2))


def quiet_schedule(world: World) -> Iterator[str]:
    """The schedule, with nothing due: no build, no commit."""
    before = world.project.git("rev-parse", "main")
    records = world.run("refs/heads/main", "schedule", task="patch")
    yield from green("schedule, nothing due", records, "patch")
    yield from expect("main", world.project.git("rev-parse", "main"), before)
    plans = [call["arguments"] for call in world.calls() if call["arguments"][:1] in (["plan"], ["build"])]
    yield from expect("how old gold may be", plans, [["plan", "--max-age", "7d"], ["build", "--max-age", "7d"]])


def rebuild(world: World) -> Iterator[str]:
    """The schedule, with gold too old: built, committed to main, and from there on like a merge."""
    records = world.run("refs/heads/main", "schedule", **{"task": "patch", "max-age": "0s"})
    yield from green("rebuild", records, "patch", "release", "release")
    yield from expect("the lock", sorted(world.lock().values()), ["gold", "retired"])
    yield from expect("assay is built once", world.verbs().count("cargo install"), 1)
    groups = [job["serial_group"] for name, job in jobs(records).items() if name == "patch/build"]
    yield from expect("serial group", groups, ["github/acme/images/patch"])


def cleaning(world: World) -> Iterator[str]:
    """The other schedule."""
    records = world.run("refs/heads/main", "schedule", task="clean")
    yield from green("clean", records, "clean")
    found = [(" ".join(call["arguments"]), call["role"]) for call in world.calls() if call["role"]]
    yield from expect("clean", found, [("sweep --yes", "sweeper"), ("prune --yes", "sweeper"), ("status --repair", "promoter")])
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
    yield from stored(build, "test-results/junit.xml", "artifacts/reports/junit.xml")
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
    scene.__name__: scene for scene in (pull_request, fork, release, quiet_schedule, rebuild, cleaning, failing, direct_push, a_tag, odd_starts, sources_elsewhere)
}
