"""Owns `<< … >>`: what stands between is an expression over pipeline values, parameters and the matrix. Refuses names that nobody declared.

What is left of a `<<` is an error, as with CircleCI ("Unclosed '<<' tag"): the shell's must be written `\\<<`. A scalar that is one `<< … >>` and nothing else keeps its value's type; inside a longer text the value is written out. `\\<<` is a literal `<<`.
"""

from __future__ import annotations

import re
from typing import Any

from . import ConfigError
from .expressions import Lookup, evaluate

# What is escaped is taken first: `\\<<<` is `<<<`, and no parameter begins in it.
_HOLE = re.compile(r"\\<<|<<\s*(.+?)\s*>>", re.DOTALL)


class Scope:
    """The names that may be used at one place, and their values. `open_words` are left as they are, to be resolved later."""

    def __init__(self, values: dict[str, Any], later: tuple[str, ...] = ()) -> None:
        self.values, self.later = values, later

    def with_values(self, prefix: str, values: dict[str, Any]) -> "Scope":
        """The same names and `prefix.NAME` for each of `values`; those of that prefix before are gone."""
        kept = {name: value for name, value in self.values.items() if not name.startswith(prefix + ".")}
        kept.update({f"{prefix}.{name}": value for name, value in values.items()})
        return Scope(kept, tuple(word for word in self.later if word != prefix))

    def lookup(self, name: str) -> Any:
        """The value of a name."""
        if name not in self.values:
            known = ", ".join(sorted(self.values))
            raise ConfigError(f"nothing is called {name!r} here; there are: {known}")
        return self.values[name]

    def is_later(self, expression: str) -> bool:
        """Whether the expression uses names that are known only later."""
        return any(re.search(rf"(?<![\w.-]){re.escape(word)}\.", expression) for word in self.later)


def written(value: Any) -> str:
    """A value inside a text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise ConfigError(f"{value!r} cannot stand inside a text")


def resolve_text(text: str, scope: Scope) -> Any:
    """A text with its holes filled."""
    whole = _HOLE.fullmatch(text.strip())
    if whole and whole.group(1) and "<<" not in whole.group(1):
        return text if scope.is_later(whole.group(1)) else evaluate(whole.group(1), scope.lookup)

    if "<<" in _HOLE.sub("", text):
        raise ConfigError("unclosed '<<'; one that is no parameter must be escaped as '\\<<'")

    def fill(match: re.Match[str]) -> str:
        if match.group(1) is None:
            return match.group(0) if scope.later else "<<"
        if scope.is_later(match.group(1)):
            return match.group(0)
        return written(evaluate(match.group(1), scope.lookup))

    return _HOLE.sub(fill, text)


def resolve(node: Any, scope: Scope, place: str) -> Any:
    """A YAML node with every hole in it filled, keys included."""
    try:
        if isinstance(node, str):
            return resolve_text(node, scope)
        if isinstance(node, list):
            return [resolve(item, scope, f"{place}[{index}]") for index, item in enumerate(node)]
        if isinstance(node, dict):
            return {resolve(key, scope, place): resolve(value, scope, f"{place}.{key}") for key, value in node.items()}
    except ConfigError as error:
        text = str(error)
        raise ConfigError(text if text.startswith("at ") else f"at {place}: {text}") from None
    return node

