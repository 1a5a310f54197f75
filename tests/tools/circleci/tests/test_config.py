"""The shipped configuration, played with stand-in programs; and every configuration from which one thing was taken away, which must not pass."""

from __future__ import annotations

import copy
import pathlib
import subprocess
from typing import Any, Iterator

import pytest
import yaml
from world import ROOT, problems

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


# A key whose absence changes nothing here, and why.
HARMLESS = {
    "workflows.release: validate.name": "only the name of the job",
}

MUTANTS = list(mutants())


def test_config_is_what_the_orb_says() -> None:
    assert subprocess.run([ROOT / "scripts/ci/pack", "--check"], check=False).returncode == 0


def test_the_shipped_configuration_has_no_problem(tmp_path: pathlib.Path) -> None:
    assert list(problems(tmp_path / "world", CONFIG.read_text())) == []


@pytest.mark.parametrize("config", [config for _, config in MUTANTS], ids=[name for name, _ in MUTANTS])
def test_without_one_thing_it_does_not_pass(config: dict[str, Any], tmp_path: pathlib.Path) -> None:
    found = next(problems(tmp_path / "world", yaml.safe_dump(config, sort_keys=False)), None)
    assert found is not None
