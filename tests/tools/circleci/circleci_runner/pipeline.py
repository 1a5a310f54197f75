"""Owns one pipeline: which workflows run, in which order their jobs run, who may use which context, and the record of it all.

After https://circleci.com/docs/guides/security/contexts/ (restrictions are expressions over pipeline values; what cannot be evaluated is refused) and
/guides/integration/oss/ (a fork's pull request gets neither contexts nor OIDC tokens, and caches of its own).
"""

from __future__ import annotations

import base64
import dataclasses
import json
import pathlib
import platform
import subprocess
import uuid
from typing import Any

from . import ConfigError, document, storage
from .compile import Job, Workflow, pipeline_scope, workflows
from .expressions import evaluate, truthy
from .machine import Machine, Place

ORGANIZATION = "0a5c3b1e-0000-4000-8000-00000000a55a"
PROJECT = "0a5c3b1e-0000-4000-8000-0000000001a9"


@dataclasses.dataclass(frozen=True)
class Trigger:
    """What starts a pipeline: `kind` is github_oauth (a push), schedule or api; `ref` is refs/heads/…, refs/tags/… or refs/pull/N/head (a fork's)."""

    ref: str
    kind: str = "github_oauth"
    parameters: dict[str, Any] = dataclasses.field(default_factory=dict)
    schedule: str = ""

    @property
    def fork(self) -> bool:
        return self.ref.startswith("refs/pull/")

    @property
    def branch(self) -> str:
        if self.fork:
            return self.ref.removeprefix("refs/").removesuffix("/head")
        return self.ref.removeprefix("refs/heads/") if self.ref.startswith("refs/heads/") else ""

    @property
    def tag(self) -> str:
        return self.ref.removeprefix("refs/tags/") if self.ref.startswith("refs/tags/") else ""


@dataclasses.dataclass
class Project:
    """A project at CircleCI: its repository, contexts, caches and the machine that its jobs find."""

    remote: pathlib.Path
    state: pathlib.Path
    contexts: dict[str, dict[str, Any]]
    machine: dict[str, str]
    planted: dict[str, pathlib.Path] = dataclasses.field(default_factory=dict)
    number: int = 0

    def git(self, *arguments: str) -> str:
        """What git says in the remote."""
        done = subprocess.run(["git", "-C", str(self.remote), *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ConfigError(f"git {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout.strip()


def run(project: Project, trigger: Trigger, config: str | None = None) -> dict[str, Any]:
    """Runs one pipeline to its end; its record. `config` stands in for the .circleci/config.yml of the revision."""
    return _Pipeline(project, trigger, config).run()


class _Pipeline:
    def __init__(self, project: Project, trigger: Trigger, config: str | None) -> None:
        project.number += 1
        self.project, self.trigger, self.number, self.id = project, trigger, project.number, str(uuid.uuid4())
        self.revision = project.git("rev-parse", "--verify", f"{trigger.ref}^{{commit}}")
        self.folder = project.state / f"pipeline-{self.number}"
        self.text = config if config is not None else project.git("show", f"{self.revision}:.circleci/config.yml")
        self.statuses: dict[str, str] = {}

    def values(self) -> dict[str, Any]:
        """The pipeline values that https://circleci.com/docs/reference/variables/#pipeline-values lists for projects on GitHub."""
        trigger, url = self.trigger, "https://github.com/acme/images"
        event = {"schedule": "schedule", "api": "api"}.get(trigger.kind, "push")
        return {
            "pipeline.id": self.id, "pipeline.number": self.number, "pipeline.project.git_url": url, "pipeline.project.type": "github",
            "pipeline.project.slug": "github/acme/images", "pipeline.git.branch": trigger.branch, "pipeline.git.tag": trigger.tag,
            "pipeline.git.branch.is_default": trigger.branch == "main", "pipeline.git.revision": self.revision,
            "pipeline.trigger.type": trigger.kind, "pipeline.event.name": event, "pipeline.schedule.name": trigger.schedule,
        }  # fmt: skip

    def run(self) -> dict[str, Any]:
        record: dict[str, Any] = {
            "number": self.number, "ref": self.trigger.ref, "trigger": self.trigger.kind, "revision": self.revision, "workflows": [],
        }  # fmt: skip
        config = document.load(self.text)
        scope = pipeline_scope(config, self.values(), self.trigger.parameters)
        for flow in workflows(config, scope):
            record["workflows"].append(self.workflow(flow))
        bad = [flow["name"] for flow in record["workflows"] if flow["status"] != "success"]
        record["status"] = "failed" if bad else "success"
        return record

    def workflow(self, flow: Workflow) -> dict[str, Any]:
        identity, self.statuses, records = str(uuid.uuid4()), {}, []
        workspace = storage.Workspace(self.folder / flow.name / "workspace")
        for job in flow.jobs:
            record = self.job(flow, job, identity, workspace)
            self.statuses[job.name] = record["status"]
            records.append(record)
        good = all(record["status"] in ("success", "not_run") for record in records) and any(r["status"] == "success" for r in records)
        return {"name": flow.name, "id": identity, "status": "success" if good else "failed", "jobs": records}

    def job(self, flow: Workflow, job: Job, identity: str, workspace: storage.Workspace) -> dict[str, Any]:
        record: dict[str, Any] = {"name": job.name, "job": job.definition, "contexts": job.contexts, "requires": sorted(job.requires)}
        record |= {"serial_group": job.serial_group, "containers": []}
        if any(self.statuses[name] not in wanted for name, wanted in job.requires.items()):
            return record | {"status": "not_run"}
        granted, refused = self.contexts(job)
        if refused:
            return record | {"status": "unauthorized", "error": refused}
        statuses = set()
        for index in range(job.parallelism):
            container = self.container(flow, job, identity, workspace, index, granted)
            record["containers"].append(container)
            statuses.add(container["status"])
        return record | {"status": "failed" if "failed" in statuses else "success"}

    def contexts(self, job: Job) -> tuple[dict[str, str], str]:
        """(the variables of a job's contexts, why they are refused). A fork's job gets none of them; it is not refused, its secrets are withheld."""
        granted: dict[str, str] = {}
        for name in job.contexts:
            context = self.project.contexts.get(name)
            if context is None:
                return {}, f"there is no context {name}"
            lookup = ({**self.values(), "job.ssh.enabled": False, "pipeline.config_source": "github"}).__getitem__
            try:
                allowed = truthy(evaluate(context.get("restriction", "true"), lookup))
            except (ConfigError, KeyError) as error:
                return {}, f"context {name}: {error}"
            if not allowed:
                return {}, f"context {name} is restricted: {context['restriction']}"
            granted |= context.get("environment", {})
        return ({} if self.trigger.fork else granted), ""

    def container(
        self, flow: Workflow, job: Job, identity: str, workspace: storage.Workspace, index: int, granted: dict[str, str]
    ) -> dict[str, Any]:
        folder = self.folder / flow.name / job.name / str(index)
        environment = self.environment(job, identity, index) | granted
        caches = storage.Caches(self.project.state / ("caches-of-forks" if self.trigger.fork else "caches"), self.project.planted)
        place = Place(
            home=folder / "home", artifacts=folder, caches=caches, workspace=workspace, upstream=_upstream(flow, job),
            remote=str(self.project.remote), fork=self.trigger.fork,
        )  # fmt: skip
        return {"node": index, "folder": str(folder), **Machine(job, place, environment).run()}

    def environment(self, job: Job, identity: str, index: int) -> dict[str, str]:
        """The variables that CircleCI sets, https://circleci.com/docs/reference/variables/#built-in-environment-variables."""
        trigger, number = self.trigger, abs(hash((identity, job.name))) % 10**6
        variables = self.project.machine | {
            "CI": "true", "CIRCLECI": "true", "CIRCLE_JOB": job.name, "CIRCLE_SHA1": self.revision,
            "CIRCLE_NODE_INDEX": str(index), "CIRCLE_NODE_TOTAL": str(job.parallelism), "CIRCLE_BUILD_NUM": str(number),
            "CIRCLE_BUILD_URL": f"https://circleci.com/gh/acme/images/{number}", "CIRCLE_WORKFLOW_ID": identity,
            "CIRCLE_WORKFLOW_WORKSPACE_ID": identity, "CIRCLE_WORKFLOW_JOB_ID": str(uuid.uuid4()), "CIRCLE_PIPELINE_ID": self.id,
            "CIRCLE_ORGANIZATION_ID": ORGANIZATION, "CIRCLE_PROJECT_ID": PROJECT, "CIRCLE_PROJECT_USERNAME": "acme",
            "CIRCLE_PROJECT_REPONAME": "images", "CIRCLE_REPOSITORY_URL": str(self.project.remote), "CIRCLE_USERNAME": "somebody",
        }  # fmt: skip
        if trigger.branch:
            variables["CIRCLE_BRANCH"] = trigger.branch
        if trigger.tag:
            variables["CIRCLE_TAG"] = trigger.tag
        if trigger.fork:
            variables |= {"CIRCLE_PR_NUMBER": trigger.branch.removeprefix("pull/"), "CIRCLE_PR_USERNAME": "stranger", "CIRCLE_PR_REPONAME": "images"}
        else:
            variables["CIRCLE_OIDC_TOKEN_V2"] = variables["CIRCLE_OIDC_TOKEN"] = self.token(trigger)
        return variables

    def token(self, trigger: Trigger) -> str:
        """A token of the shape that CircleCI's have; nobody has signed it."""
        origin = "github.com/acme/images"
        subject = f"org/{ORGANIZATION}/project/{PROJECT}/user/0/vcs-origin/{origin}/vcs-ref/{trigger.ref}"
        claims = {"iss": f"https://oidc.circleci.com/org/{ORGANIZATION}", "aud": ORGANIZATION, "sub": subject, "host": platform.node()}
        parts = [json.dumps({"alg": "none"}), json.dumps(claims), "unsigned"]
        return ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts)


def _upstream(flow: Workflow, job: Job) -> list[str]:
    """The jobs before this one, in the order in which they ran: required directly or through others."""
    needed, stack = set(), list(job.requires)
    by_name = {other.name: other for other in flow.jobs}
    while stack:
        name = stack.pop()
        if name not in needed:
            needed.add(name)
            stack += by_name[name].requires
    return [other.name for other in flow.jobs if other.name in needed]
