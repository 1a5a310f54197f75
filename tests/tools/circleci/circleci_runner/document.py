"""Owns what may stand where in a configuration: which keys each construct has, and that no key is written twice.

After https://circleci.com/docs/reference/configuration-reference/. A key that is not in these tables is an error, also where CircleCI would know it: what
the runner does not run must not look as if it had been tested.
"""

from __future__ import annotations

import copy
import functools
from typing import Any

import yaml

from . import ConfigError

TOP = {"version", "parameters", "executors", "commands", "jobs", "workflows"}
EXECUTOR = {"docker", "machine", "resource_class", "environment", "working_directory", "shell", "parameters", "description"}
COMMAND = {"description", "parameters", "steps"}
JOB = {"description", "parameters", "executor", "docker", "machine", "resource_class", "environment", "working_directory", "shell", "parallelism", "steps"}
WORKFLOW = {"when", "unless", "jobs"}
INVOCATION = {"name", "requires", "context", "filters", "matrix", "serial-group"}
PARAMETER = {"type", "default", "description", "enum"}
TYPES = {"string", "boolean", "integer", "enum", "steps", "executor"}
STEPS: dict[str, set[str]] = {
    "run": {"name", "command", "environment", "working_directory", "no_output_timeout", "background", "when", "shell", "max_auto_reruns", "auto_rerun_delay"},
    "checkout": {"method", "path"},
    "add_ssh_keys": {"name", "fingerprints"},
    "persist_to_workspace": {"root", "paths"},
    "attach_workspace": {"at"},
    "save_cache": {"name", "key", "paths", "when"},
    "restore_cache": {"name", "key", "keys"},
    "store_artifacts": {"path", "destination"},
    "store_test_results": {"path"},
    "when": {"condition", "steps"},
    "unless": {"condition", "steps"},
}
RESERVED = {"name", "requires", "context", "type", "filters", "matrix", "serial-group", "pre-steps", "post-steps"}


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Safe YAML that refuses a key written twice."""


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    seen: set[str] = set()
    for key, _ in node.value:
        if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
            raise ConfigError(f"line {key.start_mark.line + 1}: {key.value!r} is written twice")
        seen.add(key.value)
    loader.flatten_mapping(node)
    return {loader.construct_object(key, deep=True): loader.construct_object(value, deep=True) for key, value in node.value}


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def parse(text: str) -> Any:
    """The YAML of a text."""
    return copy.deepcopy(_parsed(text))


@functools.lru_cache(maxsize=16)
def _parsed(text: str) -> Any:
    # Pipelines of one project mostly read one text, and PyYAML is slow.
    try:
        return yaml.load(text, _Loader)  # noqa: S506: a safe one
    except yaml.YAMLError as error:
        raise ConfigError(f"no YAML: {error}") from None


def only(node: Any, keys: set[str], place: str) -> dict[str, Any]:
    """`node` as a map that has no other keys."""
    if not isinstance(node, dict):
        raise ConfigError(f"at {place}: a map is expected, not {node!r}")
    for key in node:
        if key not in keys:
            raise ConfigError(f"at {place}: {key!r} is not known here; there are: {', '.join(sorted(keys))}")
    return node


def names(node: Any, place: str) -> dict[str, Any]:
    """`node` as a map with any keys; nothing is an empty one."""
    if node is None:
        return {}
    if not isinstance(node, dict):
        raise ConfigError(f"at {place}: a map is expected, not {node!r}")
    return node


def items(node: Any, place: str) -> list[Any]:
    """`node` as a list that is not empty."""
    if not isinstance(node, list) or not node:
        raise ConfigError(f"at {place}: a list is expected, not {node!r}")
    return node


def load(text: str) -> dict[str, Any]:
    """A configuration whose outer shape is right."""
    config = only(parse(text), TOP, "the file")
    if str(config.get("version")) != "2.1":
        raise ConfigError("at version: this runner reads 2.1")
    for key in ("jobs", "workflows"):
        if not names(config.get(key), key):
            raise ConfigError(f"at {key}: nothing is there")
    for key, keys in (("executors", EXECUTOR), ("commands", COMMAND), ("jobs", JOB), ("workflows", WORKFLOW)):
        for name, body in names(config.get(key), key).items():
            only(body, keys, f"{key}.{name}")
            declared(body.get("parameters"), f"{key}.{name}")
    declared(config.get("parameters"), "the file")
    return config


def declared(node: Any, place: str) -> dict[str, Any]:
    """Declarations of parameters, checked."""
    for name, body in names(node, f"{place}.parameters").items():
        at = f"{place}.parameters.{name}"
        only(body, PARAMETER, at)
        if name in RESERVED:
            raise ConfigError(f"at {at}: CircleCI keeps this name for itself")
        if body.get("type") not in TYPES:
            raise ConfigError(f"at {at}: the type {body.get('type')!r} is not known; there are: {', '.join(sorted(TYPES))}")
        if (body["type"] == "enum") != ("enum" in body):
            raise ConfigError(f"at {at}: an enum, and only an enum, lists its values")
        if "default" in body:
            fits(body, body["default"], at)
    return names(node, place)


def fits(declaration: dict[str, Any], value: Any, place: str) -> None:
    """Refuses a value of another type than declared."""
    kind = declaration["type"]
    right = {
        "string": isinstance(value, str),
        "boolean": isinstance(value, bool),
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "enum": value in declaration.get("enum", []),
        "steps": isinstance(value, list),
        "executor": isinstance(value, str) or (isinstance(value, dict) and "name" in value),
    }[kind]
    if not right:
        raise ConfigError(f"at {place}: {value!r} is no {kind}" + (f" of {declaration['enum']}" if kind == "enum" else ""))


def arguments(declarations: Any, given: dict[str, Any], place: str) -> dict[str, Any]:
    """The values of declared parameters; an unknown one or one without a value is an error."""
    known = names(declarations, place)
    for name in given:
        if name not in known:
            raise ConfigError(f"at {place}: no parameter is called {name!r}; there are: {', '.join(sorted(known)) or 'none'}")
    values = {}
    for name, declaration in known.items():
        if name not in given and "default" not in declaration:
            raise ConfigError(f"at {place}: the parameter {name!r} is missing")
        values[name] = given.get(name, declaration.get("default"))
        fits(declaration, values[name], f"{place}.{name}")
    return values


def step(node: Any, place: str) -> tuple[str, Any]:
    """(kind or command's name, its map) of one step, written short or long."""
    if isinstance(node, str):
        return node, {}
    if not isinstance(node, dict) or len(node) != 1:
        raise ConfigError(f"at {place}: a step is a name or a map of one name, not {node!r}")
    ((kind, body),) = node.items()
    if kind == "run" and isinstance(body, str):
        body = {"command": body}
    if kind == "steps":
        return kind, body
    return kind, names(body, f"{place}.{kind}")
