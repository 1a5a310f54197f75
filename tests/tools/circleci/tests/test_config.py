"""The shipped configuration, played with stand-in programs; and every configuration from which one thing was taken away, which must not pass."""

from __future__ import annotations

import concurrent.futures
import copy
import os
import pathlib
import subprocess
import sys
from typing import Any, Iterator

import pytest
import yaml
from circleci_runner import ConfigError, check, pipeline
from circleci_runner.pipeline import Trigger
from world import RESTRICTIONS, ROOT, SCENES, World, jobs, problems, with_key

CONFIG = ROOT / ".circleci/config.yml"


# Keys of a step whose loss changes what the step does; the others are names, and what the step is made of.
OF_A_STEP = {"when", "shell", "max_auto_reruns", "method", "fingerprints"}


def mutants() -> Iterator[tuple[str, dict[str, Any]]]:
    """(what was taken away, what is left): each job of a workflow, each step, each key of a step, of an invocation and of an executor's environment, each condition."""
    whole = yaml.safe_load(CONFIG.read_text())

    def without(*path: Any) -> dict[str, Any]:
        config = copy.deepcopy(whole)
        node = config
        for key in path[:-1]:
            node = node[key]
        del node[path[-1]]
        return config

    for kind in ("jobs", "commands"):
        for name, body in whole[kind].items():
            for index, step in enumerate(body["steps"]):
                yield f"{kind}.{name}.steps[{index}] {_word(step)}", without(kind, name, "steps", index)
                for key in sorted(OF_A_STEP & set(_body(step))):
                    yield f"{kind}.{name}.steps[{index}] {_word(step)}.{key}", without(kind, name, "steps", index, _word(step), key)
    for name, body in whole["executors"].items():
        yield f"executors.{name}.environment", without("executors", name, "environment")
    for name, flow in whole["workflows"].items():
        yield f"workflows.{name}", without("workflows", name)
        yield f"workflows.{name}.when", without("workflows", name, "when")
        for index, part in enumerate(flow["when"]["and"]):
            yield f"workflows.{name}.when {part}", without("workflows", name, "when", "and", index)
        for index, job in enumerate(flow["jobs"]):
            yield f"workflows.{name}: job {_word(job)}", without("workflows", name, "jobs", index)
            for key in (next(iter(job.values())) if isinstance(job, dict) else {}):
                yield f"workflows.{name}: {_word(job)}.{key}", without("workflows", name, "jobs", index, _word(job), key)


def _body(node: Any) -> dict[str, Any]:
    body = node if isinstance(node, str) else next(iter(node.values()))
    return body if isinstance(body, dict) else {}


def _word(node: Any) -> str:
    return node if isinstance(node, str) else str(next(iter(node)))


# What plays the thing that was taken away, by the beginning of its name; the first that fits. What tells it soonest comes first.
SCENES_OF = {
    "workflows.pull-request: build.serial-group": ("two_images",),
    "workflows.pull-request.when << pipeline.git.branch >>": ("a_tag", "fork", "cleaning", "pull_request"),
    "workflows.pull-request.when": ("odd_starts", "cleaning", "a_tag", "merge_queue", "fork", "release", "pull_request", "failing", "direct_push"),
    "workflows.release.when": ("odd_starts", "cleaning", "merge_queue", "pull_request", "release", "direct_push"),
    "workflows.pull-request": ("pull_request", "fork", "merge_queue", "failing", "direct_push", "a_tag", "odd_starts", "cleaning"),
    "workflows.release": ("release", "direct_push", "cleaning", "pull_request"),
    "workflows.patch": ("quiet_schedule", "odd_starts", "cleaning", "rebuild", "pull_request", "direct_push"),
    "workflows.clean": ("cleaning", "odd_starts", "quiet_schedule", "pull_request", "direct_push"),
    "jobs.clean": ("cleaning",),
    "jobs.repair": ("cleaning",),
    "jobs.validate": ("release", "quiet_schedule", "direct_push"),
    "jobs.promote": ("release", "rerun", "direct_push"),
    "jobs.assay-binary": ("pull_request", "sources_elsewhere"),
    "jobs.lint": ("pull_request", "fork"),
    "jobs.build.steps[5]": ("no_key",),
    "jobs.build": ("pull_request", "failing"),
    "commands.push": ("pull_request", "app_project_pull_request"),
    "executors.light": ("release",),
    "": ("pull_request",),
}
# What may be missing without anybody seeing it, and why.
HARMLESS = {
    "workflows.pull-request.when << pipeline.git.branch >>": "jobs without a filter run for no tag; the condition says it where the reader looks",
    "jobs.build.steps[10] run": "the step before has committed; what this one is for, test_after_a_step_without_output_the_candidates_are_committed shows",
    "jobs.build.steps[10] run.when": "the same",
}
MUTANTS = list(mutants())


def survives(name: str, config: dict[str, Any], folder: pathlib.Path) -> bool:
    """Whether all scenes of a mutant pass."""
    scenes = next(scenes for start, scenes in SCENES_OF.items() if name.startswith(start))
    return next(problems(folder, yaml.safe_dump(config, sort_keys=False), scenes), None) is None


@pytest.fixture(scope="session")
def survivors(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The mutants that no scene tells from the shipped configuration. Jobs are processes of their own, so threads use every core."""
    folder = tmp_path_factory.mktemp("mutants")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda item: survives(item[1][0], item[1][1], folder / str(item[0])), enumerate(MUTANTS))
        return {name for (name, _), alive in zip(MUTANTS, found, strict=True) if alive}


def test_config_is_what_the_orb_says() -> None:
    assert subprocess.run([ROOT / "scripts/ci/pack", "--check"], check=False).returncode == 0


def shared_groups(text: str) -> dict[str, list[str]]:
    """Serial groups with the jobs that are in them, where these are several; members of a matrix are jobs of their own."""
    groups: dict[str, list[str]] = {}
    for flow, jobs in check.summary(text).items():
        for name, job in jobs.items():
            if job["serial_group"]:
                groups.setdefault(job["serial_group"], []).append(f"{flow}/{name}")
    return {group: members for group, members in groups.items() if len(members) > 1}


def test_a_serial_group_is_of_one_job_of_a_pipeline() -> None:
    """CircleCI wants a key once in a workflow, and skips an older pipeline's job for a newer one's: which must then do the same work."""
    text = CONFIG.read_text()
    # One group of a branch: the three builders of images, of which two pipelines' never run side by side.
    groups = shared_groups(text)
    assert groups == {"github/acme/images/build/main": ["pull-request/build", "release/build", "patch/build"]}
    in_a_matrix = text.replace("requires: [\"validate-<< matrix.image >>\"]", "requires: [\"validate-<< matrix.image >>\"]\n          serial-group: x", 1)
    with pytest.raises(ConfigError, match="of several jobs"):
        check.summary(in_a_matrix)


def test_circleci_s_published_schema_takes_the_configuration_and_the_example() -> None:
    """The schema as check-jsonschema ships it (SchemaStore's copy of CircleCI's own); it is no dependency of anything else."""
    files = [CONFIG]
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.circle-ci", *map(str, files)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # The schema does look: a key that CircleCI has not is refused.
    wrong = CONFIG.read_text().replace("no_output_timeout: 30m", "no_output_time_out: 30m", 1)
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.circle-ci", "-"], input=wrong, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0


def test_the_restrictions_are_those_of_the_page_and_of_the_other_tests() -> None:
    page = (ROOT / "docs/circleci.md").read_text()
    for kind in RESTRICTIONS.values():
        for expression in kind.values():
            assert expression in page
    rust = (ROOT / "tests/integration/support/circleci.rs").read_text()
    for expression in RESTRICTIONS["oauth"].values():
        assert expression in rust


def test_nothing_is_pasted_into_a_shell() -> None:
    """Parameters reach scripts as environment: whatever stands in one is a value there and never a command."""
    whole = yaml.safe_load(CONFIG.read_text())
    commands = [
        step["run"]["command"] for kind in ("jobs", "commands") for body in whole[kind].values() for step in every_step(body["steps"]) if "run" in step
    ]
    assert len(commands) > 15
    assert [command for command in commands if "<<" in command.replace("\\<<", "")] == []


def every_step(steps: list[Any]) -> Iterator[dict[str, Any]]:
    """All steps, those of conditions too."""
    for step in steps:
        if isinstance(step, dict):
            yield step
            for kind in ("when", "unless"):
                yield from every_step(step.get(kind, {}).get("steps", []))


def test_a_key_that_may_push_is_in_two_jobs_alone() -> None:
    text = with_key(CONFIG.read_text(), "SHA256:x")
    holders = {job["job"] for flow in check.summary(text).values() for job in flow.values() if "add_ssh_keys" in job["steps"]}
    assert holders == {"build", "promote"}


def test_after_a_step_without_output_the_candidates_are_committed(tmp_path: pathlib.Path) -> None:
    """`no_output_timeout` ends a step, not the job: what was built until then is committed by the step behind it."""
    config = CONFIG.read_text().replace("no_output_timeout: 30m", "no_output_timeout: 20s")
    world = World(tmp_path, config)
    world.project.cancel = None
    world.change("both", "two\n", app="HANG\n")
    record = pipeline.run(world.project, Trigger("refs/heads/both"))
    steps = {step["name"]: step["status"] for step in jobs([record])["pull-request/build"]["containers"][0]["steps"]}
    assert (steps["Build what is due, and commit each"], steps["Commit the candidates, good or bad"]) == ("failed", "success")
    assert world.tags() == ["base/candidate"]


def test_tokens_are_renewed_beside_the_work() -> None:
    """In the foreground the loop would be the job's last step; a mutant would have to wait for that."""
    bodies = [body for flow in check.summary(CONFIG.read_text()).values() for job in flow.values() for body in job["bodies"]]
    assert {body.get("background") for body in bodies if "oidc get" in body.get("command", "")} == {True}


def test_builds_that_last_are_waited_for() -> None:
    """A build says nothing for minutes, and a validation neither: ten minutes are CircleCI's default."""
    for flow in check.summary(CONFIG.read_text()).values():
        for job in flow.values():
            for body in job["bodies"]:
                if any(word in body.get("command", "") for word in ("assay build", "assay validate", "cargo install")):
                    assert body["no_output_timeout"] == "30m"


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Scene → what is wrong in it with the shipped configuration."""
    folder, text = tmp_path_factory.mktemp("shipped"), CONFIG.read_text()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(SCENES, pool.map(lambda scene: list(problems(folder, text, (scene,))), SCENES), strict=True))


@pytest.mark.parametrize("scene", SCENES)
def test_the_shipped_configuration_has_no_problem(scene: str, shipped: dict[str, list[str]]) -> None:
    assert shipped[scene] == []


@pytest.mark.parametrize("name", [name for name, _ in MUTANTS])
def test_without_one_thing_it_does_not_pass(name: str, survivors: set[str]) -> None:
    assert (name in survivors) == (name in HARMLESS)
