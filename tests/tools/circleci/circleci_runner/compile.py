"""Owns what CircleCI's compiler does: commands, executors, parameters and matrices become plain jobs with plain steps, once for each place of a workflow.

Refuses unknown names at every place, a job that nobody runs (dead text looks tested), and a command that calls itself.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from typing import Any

from . import ConfigError, document
from .expressions import evaluate, logic, truthy
from .values import Scope, resolve

STATUSES = {"success", "failed", "canceled", "unauthorized", "not_run"}


@dataclasses.dataclass
class Step:
    """One plain step."""

    kind: str
    body: dict[str, Any]

    @property
    def name(self) -> str:
        """What CircleCI's page shows."""
        if self.kind == "run":
            return str(self.body.get("name") or self.body["command"].strip().splitlines()[0])
        return str(self.body.get("name") or self.kind)


@dataclasses.dataclass
class Job:
    """One job at one place of a workflow, with everything resolved."""

    name: str
    definition: str
    steps: list[Step]
    environment: dict[str, str]
    working_directory: str
    shell: list[str]
    parallelism: int
    contexts: list[str]
    requires: dict[str, set[str]]
    serial_group: str | None


@dataclasses.dataclass
class Workflow:
    """The jobs that one workflow runs in this pipeline, each after those that it requires."""

    name: str
    jobs: list[Job]


def pipeline_scope(config: dict[str, Any], values: dict[str, Any], given: dict[str, Any]) -> Scope:
    """The names of a whole pipeline: its values and its parameters."""
    parameters = document.arguments(config.get("parameters"), given, "the pipeline's parameters")
    return Scope(values).with_values("pipeline.parameters", parameters)


def workflows(config: dict[str, Any], scope: Scope) -> list[Workflow]:
    """The workflows that run, in the order of the file."""
    compiler = _Compiler(config, scope)
    compiler.check_every_job_is_run()
    return [flow for name, body in config["workflows"].items() if (flow := compiler.workflow(name, body)) is not None]


class _Compiler:
    def __init__(self, config: dict[str, Any], scope: Scope) -> None:
        self.config, self.scope = config, scope

    def check_every_job_is_run(self) -> None:
        used = set()
        for flow in self.config["workflows"].values():
            used |= {document.step(item, "workflows")[0] for item in document.items(flow.get("jobs"), "workflows.jobs")}
        for unused in set(self.config["jobs"]) - used:
            raise ConfigError(f"at jobs.{unused}: no workflow runs it")
        for unknown in used - set(self.config["jobs"]):
            raise ConfigError(f"at workflows: there is no job {unknown!r}")

    def holds(self, statement: Any, place: str) -> bool:
        """Whether a workflow's condition is true: an expression, or a logic statement with holes."""
        try:
            if isinstance(statement, str) and "<<" not in statement:
                return truthy(evaluate(statement, self.scope.lookup))
            return logic(resolve(statement, self.scope, place), self.scope.lookup)
        except ConfigError as error:
            raise ConfigError(f"at {place}: {error}") from None

    def workflow(self, name: str, body: dict[str, Any]) -> Workflow | None:
        place = f"workflows.{name}"
        if "when" in body and not self.holds(body["when"], place + ".when"):
            return None
        if "unless" in body and self.holds(body["unless"], place + ".unless"):
            return None
        candidates = []
        for index, item in enumerate(document.items(body.get("jobs"), place + ".jobs")):
            candidates += self.invocations(item, f"{place}.jobs[{index}]")
        every = {job.name for job, _ in candidates}
        if len(every) != len(candidates):
            raise ConfigError(f"at {place}: two jobs have one name: {sorted(job.name for job, _ in candidates)}")
        for job, _ in candidates:
            for needed in set(job.requires) - every:
                raise ConfigError(f"at {place}: {job.name} requires {needed!r}, which this workflow has not")
        groups = [job.serial_group for job, _ in candidates if job.serial_group is not None]
        for group in groups:
            if groups.count(group) > 1:
                raise ConfigError(f"at {place}: the serial group {group!r} is of several jobs; CircleCI wants a key once in a workflow")
        kept = _without_filtered(candidates)
        return Workflow(name, _ordered(kept, place)) if kept else None

    def invocations(self, item: Any, place: str) -> list[tuple[Job, bool]]:
        """(job, whether its filters let it run), once or for each member of a matrix."""
        name, body = document.step(item, place)
        matrix = document.only(body.get("matrix", {"parameters": {}}), {"parameters", "exclude", "alias"}, place + ".matrix")
        if {"exclude", "alias"} & set(matrix):
            raise ConfigError(f"at {place}.matrix: this runner knows parameters only")
        axes = document.names(matrix["parameters"], place + ".matrix")
        rest = {key: value for key, value in body.items() if key != "matrix"}
        found = []
        for combination in itertools.product(*[document.items(values, place + ".matrix") for values in axes.values()]):
            member = dict(zip(axes, combination, strict=True))
            scope = self.scope.with_values("matrix", member)
            found.append(self.invocation(name, resolve(rest, scope, place), member, place))
        return found

    def invocation(self, name: str, body: dict[str, Any], member: dict[str, Any], place: str) -> tuple[Job, bool]:
        own = {key: value for key, value in body.items() if key in document.INVOCATION}
        given = {key: value for key, value in body.items() if key not in document.INVOCATION} | member
        job = self.job(name, given, own.get("name") or name)
        job.requires = _requires(own.get("requires", []), place)
        context = own.get("context", [])
        job.contexts = [context] if isinstance(context, str) else list(context)
        job.serial_group = own.get("serial-group")
        if job.serial_group is not None and not re.fullmatch(r"[A-Za-z0-9._/-]{1,512}", str(job.serial_group)):
            raise ConfigError(f"at {place}.serial-group: {job.serial_group!r} has other characters than letters, digits and ._-/, or not 1 to 512 of them")
        return job, self.passes(own.get("filters"), place + ".filters")

    def passes(self, filters: Any, place: str) -> bool:
        """Whether an expression filter lets a job run; without one it runs for branches only."""
        if filters is None:
            return truthy(self.scope.lookup("pipeline.git.branch"))
        if not isinstance(filters, str):
            raise ConfigError(f"at {place}: this runner knows filters that are expressions; those of branches and tags are deprecated")
        return self.holds(filters, place)

    def job(self, name: str, given: dict[str, Any], shown: str) -> Job:
        body, place = self.config["jobs"][name], f"jobs.{name}"
        values = document.arguments(body.get("parameters"), given, place)
        scope = self.scope.with_values("parameters", values)
        plain = resolve({key: value for key, value in body.items() if key not in ("parameters", "steps")}, scope, place)
        executor = self.executor(plain, place)
        environment = {**document.names(executor.get("environment"), place), **document.names(plain.get("environment"), place)}
        parallelism = plain.get("parallelism", 1)
        if not isinstance(parallelism, int) or isinstance(parallelism, bool) or parallelism < 1:
            raise ConfigError(f"at {place}.parallelism: {parallelism!r} is no number from 1 on")
        return Job(
            name=shown,
            definition=name,
            steps=self.steps(body.get("steps"), scope, place + ".steps", ()),
            environment={key: _environment_text(value, place) for key, value in environment.items()},
            working_directory=plain.get("working_directory") or executor.get("working_directory") or "~/project",
            shell=str(plain.get("shell") or executor.get("shell") or "/bin/bash -eo pipefail").split(),
            parallelism=parallelism,
            contexts=[],
            requires={},
            serial_group=None,
        )

    def executor(self, job: dict[str, Any], place: str) -> dict[str, Any]:
        """The executor of a job, its parameters filled; a job must say on what it runs."""
        if "executor" not in job:
            if not {"docker", "machine"} & set(job):
                raise ConfigError(f"at {place}: neither executor, docker nor machine")
            return {}
        reference = job["executor"]
        reference = {"name": reference} if isinstance(reference, str) else dict(document.names(reference, place))
        name = reference.pop("name", None)
        executors = document.names(self.config.get("executors"), "executors")
        if name not in executors:
            raise ConfigError(f"at {place}.executor: there is no {name!r}; there are: {', '.join(sorted(executors))}")
        body = executors[name]
        values = document.arguments(body.get("parameters"), reference, f"executors.{name}")
        plain = {key: value for key, value in body.items() if key != "parameters"}
        return resolve(plain, self.scope.with_values("parameters", values), f"executors.{name}")

    def steps(self, nodes: Any, scope: Scope, place: str, callers: tuple[str, ...]) -> list[Step]:
        found = []
        for index, node in enumerate(document.items(nodes, place)):
            found += self.step(node, scope, f"{place}[{index}]", callers)
        return found

    def step(self, node: Any, scope: Scope, place: str, callers: tuple[str, ...]) -> list[Step]:
        kind, body = document.step(node, place)
        if kind in ("when", "unless"):
            document.only(body, document.STEPS[kind], place)
            truth = logic(resolve(body.get("condition"), scope, place), scope.lookup)
            return self.steps(body.get("steps"), scope, place, callers) if truth == (kind == "when") else []
        if kind == "steps":
            given = resolve(body, scope, place)
            return self.steps(given, scope, place, callers) if given != [] else []
        body = resolve(body, scope, place)
        if kind in document.STEPS:
            return [_checked(kind, document.only(body, document.STEPS[kind], f"{place}.{kind}"), place)]
        commands = document.names(self.config.get("commands"), "commands")
        if kind not in commands:
            raise ConfigError(f"at {place}: there is no step and no command {kind!r}")
        if kind in callers:
            raise ConfigError(f"at {place}: the command {kind!r} calls itself")
        values = document.arguments(commands[kind].get("parameters"), body, f"commands.{kind}")
        inner = self.scope.with_values("parameters", values)
        return self.steps(commands[kind].get("steps"), inner, f"commands.{kind}.steps", (*callers, kind))


def _checked(kind: str, body: dict[str, Any], place: str) -> Step:
    needed = {
        "run": {"command"}, "persist_to_workspace": {"root", "paths"}, "attach_workspace": {"at"},
        "save_cache": {"key", "paths"}, "store_artifacts": {"path"}, "store_test_results": {"path"},
    }  # fmt: skip
    for key in needed.get(kind, set()) - set(body):
        raise ConfigError(f"at {place}.{kind}: {key!r} is missing")
    if kind == "restore_cache" and ("key" in body) == ("keys" in body):
        raise ConfigError(f"at {place}.restore_cache: either key or keys")
    if "auto_rerun_delay" in body and "max_auto_reruns" not in body:
        raise ConfigError(f"at {place}.run: auto_rerun_delay goes with max_auto_reruns only")
    if "max_auto_reruns" in body and body["max_auto_reruns"] not in range(1, 6):
        raise ConfigError(f"at {place}.run: max_auto_reruns is 1 to 5, not {body['max_auto_reruns']!r}")
    if body.get("when", "on_success") not in ("on_success", "on_fail", "always"):
        raise ConfigError(f"at {place}: when is on_success, on_fail or always, not {body['when']!r}")
    return Step(kind, body)


def _environment_text(value: Any, place: str) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ConfigError(f"at {place}.environment: {value!r} is neither a text nor a number")
    return str(value)


def _requires(node: Any, place: str) -> dict[str, set[str]]:
    """The required jobs and the statuses that will do."""
    found = {}
    for item in node:
        name, statuses = (item, "success") if isinstance(item, str) else next(iter(document.names(item, place).items()))
        wanted = {statuses} if isinstance(statuses, str) else set(statuses)
        found[name] = STATUSES if wanted == {"terminal"} else wanted
        if not found[name] <= STATUSES:
            raise ConfigError(f"at {place}.requires: {sorted(wanted - STATUSES)} is no status; there are: {', '.join(sorted(STATUSES))}")
    return found


def _without_filtered(candidates: list[tuple[Job, bool]]) -> list[Job]:
    """Without jobs that are filtered; they no longer count as required, but who required only such jobs goes too."""
    kept = {job.name: job for job, passes in candidates if passes}
    while True:
        orphans = [job.name for job in kept.values() if job.requires and not set(job.requires) & set(kept)]
        if not orphans:
            break
        for name in orphans:
            del kept[name]
    for job in kept.values():
        job.requires = {name: statuses for name, statuses in job.requires.items() if name in kept}
    return list(kept.values())


def _ordered(jobs: list[Job], place: str) -> list[Job]:
    """Each job after those that it requires, otherwise in the file's order."""
    ordered: list[Job] = []
    waiting = list(jobs)
    while waiting:
        done = {job.name for job in ordered}
        ready = next((job for job in waiting if set(job.requires) <= done), None)
        if ready is None:
            raise ConfigError(f"at {place}: these jobs require each other: {', '.join(job.name for job in waiting)}")
        ordered.append(ready)
        waiting.remove(ready)
    return ordered
