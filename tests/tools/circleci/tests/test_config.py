"""The shipped configuration, played with stand-in programs; and every configuration from which one thing was taken away, which must not pass."""

from __future__ import annotations

import concurrent.futures
import copy
import os
import pathlib
import subprocess
from typing import Any, Iterator

import pytest
import yaml
from circleci_runner import check
from world import ROOT, SCENES, problems

CONFIG = ROOT / ".circleci/config.yml"


def mutants() -> Iterator[tuple[str, dict[str, Any]]]:
    """(what was taken away, what is left): each job of a workflow, each step, each key of an invocation, each condition."""
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
    for name, flow in whole["workflows"].items():
        yield f"workflows.{name}", without("workflows", name)
        yield f"workflows.{name}.when", without("workflows", name, "when")
        for index, part in enumerate(flow["when"]["and"]):
            yield f"workflows.{name}.when {part}", without("workflows", name, "when", "and", index)
        for index, job in enumerate(flow["jobs"]):
            yield f"workflows.{name}: job {_word(job)}", without("workflows", name, "jobs", index)
            for key in (next(iter(job.values())) if isinstance(job, dict) else {}):
                yield f"workflows.{name}: {_word(job)}.{key}", without("workflows", name, "jobs", index, _word(job), key)


def _word(node: Any) -> str:
    return node if isinstance(node, str) else str(next(iter(node)))


# What plays the thing that was taken away, by the beginning of its name; the first that fits.
SCENES_OF = {
    "workflows.pull-request": ("pull_request", "fork", "failing", "direct_push", "a_tag", "odd_starts", "cleaning"),
    "workflows.release": ("release", "direct_push", "cleaning", "pull_request"),
    "workflows.patch": ("rebuild", "quiet_schedule", "odd_starts", "pull_request", "direct_push"),
    "workflows.clean": ("cleaning", "odd_starts", "pull_request", "direct_push"),
    "jobs.clean": ("cleaning",),
    "jobs.repair": ("cleaning",),
    "jobs.validate": ("release", "quiet_schedule", "direct_push"),
    "jobs.promote": ("release", "direct_push"),
    "jobs.assay-binary": ("pull_request", "sources_elsewhere"),
    "jobs.lint": ("pull_request", "fork"),
    "jobs.build": ("pull_request", "failing"),
    "": ("pull_request",),
}
# What may be missing without anybody seeing it, and why.
HARMLESS = {
    "workflows.pull-request.when << pipeline.git.branch >>": "jobs without a filter run for no tag; the condition says it where the reader looks",
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


def test_a_serial_group_is_of_one_job() -> None:
    """CircleCI wants a key once in a workflow, and skips an older pipeline's job for a newer one's: which must then do the same work."""
    text = CONFIG.read_text()
    assert shared_groups(text) == {}
    assert check.summary(text)["release"]["build"]["serial_group"]
    in_a_matrix = text.replace("requires: [\"validate-<< matrix.image >>\"]", "requires: [\"validate-<< matrix.image >>\"]\n          serial-group: x", 1)
    assert shared_groups(in_a_matrix) == {"x": ["release/promote-base", "release/promote-app"]}
    assert shared_groups(text.replace("slug >>/patch", "slug >>/build")) == {"github/acme/images/build": ["release/build", "patch/build"]}


@pytest.mark.parametrize("scene", SCENES)
def test_the_shipped_configuration_has_no_problem(scene: str, tmp_path: pathlib.Path) -> None:
    assert list(problems(tmp_path, CONFIG.read_text(), (scene,))) == []


@pytest.mark.parametrize("name", [name for name, _ in MUTANTS])
def test_without_one_thing_it_does_not_pass(name: str, survivors: set[str]) -> None:
    assert (name in survivors) == (name in HARMLESS)
