"""Owns one pipeline: which workflows run, in which order their jobs run, who may use which context, which job of a serial group waits, and the record of it all.

After https://circleci.com/docs/guides/security/contexts/ (restrictions are expressions over pipeline values; what cannot be evaluated is refused) and
/guides/integration/oss/ (a fork's pull request gets neither contexts nor OIDC tokens, and caches of its own).
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import functools
import pathlib
import subprocess
import threading
import uuid
from typing import Any, Iterator

from . import ConfigError, document, keys, oidc, storage
from .compile import Job, Workflow, pipeline_scope, workflows
from .expressions import evaluate, truthy
from .keys import Key
from .machine import Machine, Place

ORGANIZATION = "0a5c3b1e-0000-4000-8000-00000000a55a"
PROJECT = "0a5c3b1e-0000-4000-8000-0000000001a9"
DEFINITION = "0a5c3b1e-0000-4000-8000-00000000def1"


@dataclasses.dataclass(frozen=True)
class Trigger:
    """What starts a pipeline: `kind` is github_oauth (a push), schedule or api; `ref` is refs/heads/…, refs/tags/… or refs/pull/N/head (a fork's).

    `config_ref` is where the configuration is from, on GitHub App projects, where whoever starts a pipeline chooses it apart; `config_source` is `api` where
    it came with the request; `ssh`: "Rerun job with SSH".
    """

    ref: str
    kind: str = "github_oauth"
    parameters: dict[str, Any] = dataclasses.field(default_factory=dict)
    schedule: str = ""
    config_ref: str = ""
    config_source: str = "github"
    ssh: bool = False

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


class SerialGroups:
    """Which pipelines' jobs are in which serial group. One runs at a time; one of an older pipeline than those that are there is skipped."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.members: dict[str, list[int]] = {}

    @contextlib.contextmanager
    def turn(self, group: str | None, number: int, waits: pathlib.Path) -> Iterator[bool]:
        """Waits for the group's turn; whether the job runs at all. `waits` is there as soon as some job waits."""
        if group is None:
            yield True
            return
        with self.changed:
            members = self.members.setdefault(group, [])
            if members and number < max(members):
                yield False
                return
            members.append(number)
            if members[0] != number:
                waits.touch()
            self.changed.wait_for(lambda: members[0] == number)
        try:
            yield True
        finally:
            with self.changed:
                members.remove(number)
                self.changed.notify_all()


@dataclasses.dataclass
class Project:
    """A project at CircleCI: its repository, contexts, caches, SSH keys and the machine that its jobs find. `kind` is how it is connected: oauth or app.

    `keys` are its additional SSH keys. A job is killed after `time_limit` seconds, or as soon as the file `cancel` is there.
    """

    remote: pathlib.Path
    state: pathlib.Path
    contexts: dict[str, dict[str, Any]]
    machine: dict[str, str]
    planted: dict[str, pathlib.Path] = dataclasses.field(default_factory=dict)
    number: int = 0
    kind: str = "oauth"
    keys: list[Key] = dataclasses.field(default_factory=list)
    time_limit: float | None = None
    cancel: pathlib.Path | None = None
    groups: SerialGroups = dataclasses.field(default_factory=SerialGroups)

    @property
    def deploy_key(self) -> Key:
        """The key that CircleCI made when the project was set up: it may only read."""
        return keys.make(self.state / "keys" / "deploy", write=False)

    def git(self, *arguments: str) -> str:
        """What git says in the remote."""
        done = subprocess.run(["git", "-C", str(self.remote), *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ConfigError(f"git {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout.strip()


def run(project: Project, trigger: Trigger, config: str | None = None) -> dict[str, Any]:
    """Runs one pipeline to its end; its record. `config` stands in for the .circleci/config.yml of the revision."""
    return _Pipeline(project, trigger, config).run()


def start(project: Project, trigger: Trigger, config: str | None = None) -> "_Pipeline":
    """A pipeline of its trigger's commit as it is now, not yet run."""
    return _Pipeline(project, trigger, config)


def rerun_from_failed(project: Project, record: dict[str, Any]) -> dict[str, Any]:
    """"Rerun workflow from failed" of a pipeline with one workflow: another workflow of that pipeline, with what its green jobs left."""
    again = _Pipeline(project, Trigger(record["ref"], record["trigger"]), record["config"])
    project.number -= 1
    again.number, again.id, again.revision = record["number"], record["id"], record["revision"]
    again.folder = project.state / f"pipeline-{again.number}"
    again.before = {job["name"]: job for flow in record["workflows"] for job in flow["jobs"] if job["status"] == "success"}
    again.attempt = record["attempt"] + 1
    return again.run()


class _Pipeline:
    def __init__(self, project: Project, trigger: Trigger, config: str | None) -> None:
        project.number += 1
        self.project, self.trigger, self.number, self.id = project, trigger, project.number, str(uuid.uuid4())
        self.revision = project.git("rev-parse", "--verify", f"{trigger.ref}^{{commit}}")
        self.folder = project.state / f"pipeline-{self.number}"
        of_config = trigger.config_ref if trigger.config_ref and project.kind == "app" else self.revision
        self.text = config if config is not None else project.git("show", f"{of_config}:.circleci/config.yml")
        self.before: dict[str, dict[str, Any]] = {}
        self.attempt = 1

    def values(self) -> dict[str, Any]:
        """The pipeline values that https://circleci.com/docs/reference/variables/#pipeline-values lists for projects on GitHub."""
        trigger, url = self.trigger, "https://github.com/acme/images"
        event = {"schedule": "schedule", "api": "api"}.get(trigger.kind, "push")
        return {
            "pipeline.id": self.id, "pipeline.number": self.number, "pipeline.project.git_url": url, "pipeline.project.type": "github",
            "pipeline.project.slug": "github/acme/images", "pipeline.git.branch": trigger.branch, "pipeline.git.tag": trigger.tag,
            "pipeline.git.branch.is_default": trigger.branch == "main", "pipeline.git.revision": self.revision,
            "pipeline.trigger.type": trigger.kind, "pipeline.event.name": event, "pipeline.schedule.name": trigger.schedule,
        } | (self.config_values() if self.project.kind == "app" else {})  # fmt: skip

    def config_values(self) -> dict[str, str]:
        """Those of `pipeline.config.*`, which GitHub App projects alone have."""
        return {"pipeline.config.ref": self.trigger.config_ref or self.trigger.ref, "pipeline.config.repository.name": keys.PATH}

    def run(self) -> dict[str, Any]:
        record: dict[str, Any] = {
            "number": self.number, "id": self.id, "ref": self.trigger.ref, "trigger": self.trigger.kind, "revision": self.revision,
            "config": self.text, "attempt": self.attempt, "workflows": [],
        }  # fmt: skip
        config = document.load(self.text)
        scope = pipeline_scope(config, self.values(), self.trigger.parameters)
        for flow in workflows(config, scope):
            record["workflows"].append(self.workflow(flow))
        bad = [flow["name"] for flow in record["workflows"] if flow["status"] != "success"]
        record["status"] = "failed" if bad else "success"
        return record

    def workflow(self, flow: Workflow) -> dict[str, Any]:
        """Runs the jobs, each as soon as all that it requires have ended, beside those that run already. The records are in the workflow's order."""
        identity, ended = str(uuid.uuid4()), {}
        workspace = storage.Workspace(self.folder / flow.name / "workspace")
        with concurrent.futures.ThreadPoolExecutor(len(flow.jobs)) as threads:
            running: dict[concurrent.futures.Future[dict[str, Any]], Job] = {}
            waiting = list(flow.jobs)
            while waiting or running:
                for job in [job for job in waiting if set(job.requires) <= set(ended)]:
                    waiting.remove(job)
                    statuses = {name: record["status"] for name, record in ended.items()}
                    running[threads.submit(self.job, flow, job, identity, workspace, statuses)] = job
                for future in concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED).done:
                    ended[running.pop(future).name] = future.result()
        records = [ended[job.name] for job in flow.jobs]
        good = all(record["status"] in ("success", "not_run", "skipped") for record in records) and any(r["status"] == "success" for r in records)
        return {"name": flow.name, "id": identity, "status": "success" if good else "failed", "jobs": records}

    def job(self, flow: Workflow, job: Job, identity: str, workspace: storage.Workspace, statuses: dict[str, str]) -> dict[str, Any]:
        """Runs one job, given how those before it have ended."""
        record: dict[str, Any] = {"name": job.name, "job": job.definition, "contexts": job.contexts, "requires": sorted(job.requires)}
        record |= {"serial_group": job.serial_group, "containers": []}
        if job.name in self.before:
            return self.before[job.name]
        if any(statuses[name] not in wanted for name, wanted in job.requires.items()):
            return record | {"status": "not_run"}
        granted, refused = self.contexts(job)
        if refused:
            return record | {"status": "unauthorized", "error": refused}
        with self.project.groups.turn(job.serial_group, self.number, self.project.state / "waits") as runs:
            if not runs:
                return record | {"status": "skipped"}
            with concurrent.futures.ThreadPoolExecutor(job.parallelism) as threads:
                one = functools.partial(self.container, flow, job, identity, workspace, granted)
                record["containers"] = list(threads.map(one, range(job.parallelism)))
        found = {container["status"] for container in record["containers"]}
        return record | {"status": next((bad for bad in ("killed", "failed") if bad in found), "success")}

    def contexts(self, job: Job) -> tuple[dict[str, str], str]:
        """(the variables of a job's contexts, why they are refused). A fork's job gets none of them; it is not refused, its secrets are withheld."""
        granted: dict[str, str] = {}
        for name in job.contexts:
            context = self.project.contexts.get(name)
            if context is None:
                return {}, f"there is no context {name}"
            lookup = ({**self.values(), "job.ssh.enabled": self.trigger.ssh, "pipeline.config_source": self.trigger.config_source}).__getitem__
            try:
                allowed = truthy(evaluate(context.get("restriction", "true"), lookup))
            except (ConfigError, KeyError) as error:
                return {}, f"context {name}: {error}"
            if not allowed:
                return {}, f"context {name} is restricted: {context['restriction']}"
            granted |= context.get("environment", {})
        return ({} if self.trigger.fork else granted), ""

    def container(
        self, flow: Workflow, job: Job, identity: str, workspace: storage.Workspace, granted: dict[str, str], index: int
    ) -> dict[str, Any]:
        folder = self.folder / flow.name / (job.name if self.attempt == 1 else f"{job.name}-{self.attempt}") / str(index)
        claims = None if self.trigger.fork else self.claims(job, identity)
        environment = self.environment(job, identity, index, claims) | granted
        caches = storage.Caches(self.project.state / ("caches-of-forks" if self.trigger.fork else "caches"), self.project.planted)
        place = Place(
            home=folder / "home", artifacts=folder, caches=caches, workspace=workspace, upstream=_upstream(flow, job),
            remote=str(self.project.remote), fork=self.trigger.fork, kind=self.project.kind, deploy_key=self.project.deploy_key,
            keys=self.project.keys, claims=claims, time_limit=self.project.time_limit, cancel=self.project.cancel,
        )  # fmt: skip
        return {"node": index, "folder": str(folder), **Machine(job, place, environment).run()}

    def environment(self, job: Job, identity: str, index: int, claims: dict[str, Any] | None) -> dict[str, str]:
        """The variables that CircleCI sets, https://circleci.com/docs/reference/variables/#built-in-environment-variables."""
        trigger, number = self.trigger, abs(hash((identity, job.name))) % 10**6
        variables = self.project.machine | {
            "CI": "true", "CIRCLECI": "true", "CIRCLE_JOB": job.name, "CIRCLE_SHA1": self.revision,
            "CIRCLE_NODE_INDEX": str(index), "CIRCLE_NODE_TOTAL": str(job.parallelism), "CIRCLE_BUILD_NUM": str(number),
            "CIRCLE_BUILD_URL": f"https://circleci.com/gh/acme/images/{number}", "CIRCLE_WORKFLOW_ID": identity,
            "CIRCLE_WORKFLOW_WORKSPACE_ID": identity, "CIRCLE_WORKFLOW_JOB_ID": str(uuid.uuid4()), "CIRCLE_PIPELINE_ID": self.id,
            "CIRCLE_ORGANIZATION_ID": ORGANIZATION, "CIRCLE_PROJECT_ID": PROJECT, "CIRCLE_PROJECT_USERNAME": "acme",
            "CIRCLE_PROJECT_REPONAME": "images", "CIRCLE_USERNAME": "somebody",
        }  # fmt: skip
        if self.project.kind == "oauth":
            variables["CIRCLE_REPOSITORY_URL"] = f"git@{keys.HOST}:{keys.PATH}.git"
        if trigger.branch:
            variables["CIRCLE_BRANCH"] = trigger.branch
        if trigger.tag:
            variables["CIRCLE_TAG"] = trigger.tag
        if trigger.fork:
            variables |= {"CIRCLE_PR_NUMBER": trigger.branch.removeprefix("pull/"), "CIRCLE_PR_USERNAME": "stranger", "CIRCLE_PR_REPONAME": "images"}
        if claims is not None:
            who = claims["sub"].partition("/vcs-origin/")[0]
            variables |= {"CIRCLE_OIDC_TOKEN": oidc.token(claims | {"sub": who}), "CIRCLE_OIDC_TOKEN_V2": oidc.token(claims)}
        return variables

    def claims(self, job: Job, identity: str) -> dict[str, Any]:
        """The claims of a job's V2 token. They name the contexts by id, and no word of AWS's can compare that."""
        trigger, origin, word = self.trigger, f"{keys.HOST}/{keys.PATH}", "oidc.circleci.com/"
        return {
            "iss": f"https://oidc.circleci.com/org/{ORGANIZATION}", "aud": ORGANIZATION,
            "sub": f"org/{ORGANIZATION}/project/{PROJECT}/user/0/vcs-origin/{origin}/vcs-ref/{trigger.ref}",
            word + "context-ids": [str(uuid.uuid5(uuid.UUID(ORGANIZATION), name)) for name in job.contexts], word + "job-id": str(uuid.uuid4()),
            word + "org-id": ORGANIZATION, word + "pipeline-definition-id": DEFINITION, word + "pipeline-id": self.id, word + "project-id": PROJECT, word + "ssh-rerun": trigger.ssh,
            word + "vcs-origin": origin, word + "vcs-ref": trigger.ref, word + "workflow-id": identity,
        }  # fmt: skip


def _upstream(flow: Workflow, job: Job) -> list[str]:
    """The jobs before this one, in the workflow's order: required directly or through others."""
    needed, stack = set(), list(job.requires)
    by_name = {other.name: other for other in flow.jobs}
    while stack:
        name = stack.pop()
        if name not in needed:
            needed.add(name)
            stack += by_name[name].requires
    return [other.name for other in flow.jobs if other.name in needed]
