"""The runner: what it takes and what it refuses of a configuration, and CircleCI's conditions."""

from __future__ import annotations

import re
from typing import Any

import pytest
from circleci_runner import ConfigError, check
from circleci_runner.expressions import evaluate, logic
from circleci_runner.machine import seconds
from small import job

NAMES = {"pipeline.git.branch": "main", "pipeline.number": 7, "pipeline.git.tag": "", "yes": True}


@pytest.mark.parametrize(("text", "value"), [
    ('pipeline.git.branch == "main"', True), ("pipeline.git.branch != 'main'", False), ('pipeline.git.branch starts-with "ma"', True),
    ("pipeline.git.branch matches /^m.*n$/", True), ("pipeline.number >= 7 and pipeline.number < 8", True), ('pipeline.number == "7"', False),
    ("not yes and false", False), ("not (yes and false)", True), ("false or pipeline.number", 7), ("yes and 10 or 1", 10),
    ('pipeline.git.tag or "none"', "none"), ("false and nothing.like.it", False),
])  # fmt: skip
def test_expressions(text: str, value: Any) -> None:
    assert evaluate(text, lambda name: NAMES[name]) == value


@pytest.mark.parametrize("text", ["pipeline.number starts-with 'x'", "'a' > 1", "true > false", "(yes", "yes yes", "== 1", "yes and", "§"])
def test_expressions_that_are_errors(text: str) -> None:
    with pytest.raises(ConfigError):
        evaluate(text, NAMES.__getitem__)


def test_logic_statements() -> None:
    assert logic({"and": ["x", {"not": ""}, {"or": [False, 1]}, {"equal": ["main", "main"]}]}, NAMES.__getitem__)
    assert logic({"matches": {"pattern": "^v[0-9]+$", "value": "v12"}}, NAMES.__getitem__)
    assert not logic({"matches": {"pattern": "v", "value": "v12"}}, NAMES.__getitem__)
    assert not logic({"equal": [1, True]}, NAMES.__getitem__)
    for wrong in ({"and": []}, {"xor": [1]}, {"and": [1], "or": [1]}, []):
        with pytest.raises(ConfigError):
            logic(wrong, NAMES.__getitem__)


GOOD = job("checkout", "run: {name: n, command: 'true'}")


@pytest.mark.parametrize(("old", "new", "why"), [
    ("version: 2.1", "version: 2", "reads 2.1"),
    ("version: 2.1", "version: 2.1\nsetup: true", "'setup' is not known"),
    ("version: 2.1", "version: 2.1\njobs: {}", "written twice"),
    ("docker: [{image: none}]", "docker: []\n    retention: {}", "'retention' is not known"),
    ("docker: [{image: none}]", "resource_class: large", "neither executor, docker nor machine"),
    ("docker: [{image: none}]", "executor: nowhere", "there is no 'nowhere'"),
    ("docker: [{image: none}]", "docker: []\n    parallelism: 0", "no number from 1 on"),
    ("docker: [{image: none}]", "docker: []\n    parameters: {name: {type: string}}", "keeps this name for itself"),
    ("docker: [{image: none}]", "docker: []\n    parameters: {x: {type: string}}", "the parameter 'x' is missing"),
    ("docker: [{image: none}]", "docker: []\n    parameters: {x: {type: float}}", "'float' is not known"),
    ("docker: [{image: none}]", "docker: []\n    parameters: {x: {type: integer, default: a}}", "is no integer"),
    ("- checkout", "- checkout: {depth: 1}", "'depth' is not known"),
    ("- checkout", "- check-out", "no command 'check-out'"),
    ("- checkout", "- setup_remote_docker", "no command 'setup_remote_docker'"),
    ("- checkout", "- run: {name: x}", "'command' is missing"),
    ("- checkout", "- restore_cache: {}", "either key or keys"),
    ("command: 'true'", "command: 'true', max_auto_reruns: 6", "max_auto_reruns is 1 to 5"),
    ("command: 'true'", "command: 'true', auto_rerun_delay: 1m", "goes with max_auto_reruns only"),
    ("command: 'true'", "command: 'wc <<< a'", "unclosed '<<'"),
    ("- checkout", "- add_ssh_keys: {keys: [a]}", "'keys' is not known"),
    ("docker: [{image: none}]", "docker: []\n    parameters: {x: {type: steps, default: a}}", "is no steps"),
    ("docker: [{image: none}]", "docker: []\n    parameters: {x: {type: executor, default: 1}}", "is no executor"),
    ("jobs: [j]", "jobs: [j: {serial-group: 'a b'}]", "has other characters"),
    ("jobs: [j]", "jobs: [j: {serial-group: x}, j: {name: k, serial-group: x}]", "is of several jobs"),
    ("command: 'true'", "command: 'true', when: never", "'never'"),
    ("command: 'true'", "command: echo << parameters.x >>", "nothing is called 'parameters.x'"),
    ("command: 'true'", "command: echo << pipeline.git.brunch >>", "nothing is called 'pipeline.git.brunch'"),
    ("jobs: [j]", "jobs: [j: {colour: red}]", "no parameter is called 'colour'"),
    ("jobs: [j]", "jobs: [j: {requires: [k]}]", "requires 'k'"),
    ("jobs: [j]", "jobs: [j: {requires: [j]}]", "require each other"),
    ("jobs: [j]", "jobs: [j: {requires: [j: done]}]", "is no status"),
    ("jobs: [j]", "jobs: [j, j]", "two jobs have one name"),
    ("jobs: [j]", "jobs: [k]", "no workflow runs it"),
    ("jobs: [j]", "jobs: [j]\n    triggers: []", "'triggers' is not known"),
    ("jobs: [j]", "jobs: [j: {filters: {branches: {only: main}}}]", "filters that are expressions"),
    ("jobs: [j]", "jobs: [j]\n    when: {always: true}", "no logic statement"),
    ("    jobs: [j]", "    jobs: [j", "no YAML"),
])  # fmt: skip
def test_what_is_not_known_is_an_error(old: str, new: str, why: str) -> None:
    check.summary(GOOD)
    assert old in GOOD
    with pytest.raises(ConfigError, match=re.escape(why)):
        check.summary(GOOD.replace(old, new, 1))


def test_durations() -> None:
    assert (seconds("30m"), seconds("1m30s"), seconds("1.5h")) == (1800, 90, 5400)
    with pytest.raises(ConfigError):
        seconds("soon")
