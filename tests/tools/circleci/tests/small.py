"""Owns small made-up projects for the tests of the runner itself."""

from __future__ import annotations

import pathlib
import subprocess
from typing import Any

from circleci_runner import follow, pipeline
from circleci_runner.pipeline import Project, Trigger

IDENTITY = {f"GIT_{who}_{what}": "t@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


class Small:
    """A project with one commit on main."""

    def __init__(self, folder: pathlib.Path, contexts: dict[str, dict[str, Any]] | None = None) -> None:
        self.work, remote = folder / "work", folder / "remote.git"
        self.work.mkdir()
        machine = {"PATH": "/usr/bin:/bin", "GIT_CONFIG_NOSYSTEM": "1", **IDENTITY}
        self.project = Project(remote=remote, state=folder / "state", contexts=contexts or {}, machine=machine)
        (self.work / "file").write_text("one\n")
        for arguments in (("init", "-qb", "main"), ("add", "-A"), ("commit", "-qm", "one"), ("init", "-q", "--bare", "-b", "main", str(remote))):
            self.git(*arguments)
        self.git("remote", "add", "origin", str(remote))
        self.git("push", "-q", "origin", "main", "main:topic", "main:refs/pull/3/head", "main:refs/tags/v1")

    def git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=self.work, env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **IDENTITY}, check=True)

    def run(self, config: str, ref: str = "refs/heads/main", kind: str = "github_oauth", **parameters: Any) -> dict[str, Any]:
        """The record of one pipeline."""
        return pipeline.run(self.project, Trigger(ref, kind, parameters), config)

    def follow(self, config: str, limit: int) -> list[dict[str, Any]]:
        """Pipelines until nothing is pushed, with the configuration committed."""
        (self.work / ".circleci").mkdir()
        (self.work / ".circleci/config.yml").write_text(config)
        self.git("add", "-A")
        self.git("commit", "-qm", "config")
        self.git("push", "-q", "origin", "main")
        return follow.run(self.project, Trigger("refs/heads/main"), limit)


def shape(record: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Workflow → job → status."""
    return {flow["name"]: {job["name"]: job["status"] for job in flow["jobs"]} for flow in record["workflows"]}


def output(record: dict[str, Any], job: str, container: int = 0) -> str:
    """What the steps of a job wrote, one after the other."""
    found = next(j for flow in record["workflows"] for j in flow["jobs"] if j["name"] == job)
    steps = found["containers"][container]["steps"]
    return "".join(pathlib.Path(step["output"]).read_text() for step in steps if step["kind"] == "run" and "output" in step)


def job(*steps: str, head: str = "") -> str:
    """A job named j, its steps given as YAML lines."""
    lines = "".join(f"      - {step}\n" for step in steps)
    return f"version: 2.1\njobs:\n  j:\n    docker: [{{image: none}}]\n{head}    steps:\n{lines}workflows:\n  w:\n    jobs: [j]\n"
