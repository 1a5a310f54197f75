"""Owns CircleCI's conditions: the expression language (`pipeline.git.branch == "main" and not job.ssh.enabled`) and the older logic statements.

After https://circleci.com/docs/reference/configuration-reference/#using-expressions-in-your-configuration and #logic-statements. `and` and `or` give
the value of an operand, as documented for `<< pipeline.git.branch == "main" and 10 or 1 >>`. A name without a value is an error (CircleCI's context
restrictions fail closed on it), and so is an operand of the wrong type where the documentation says so.
"""

from __future__ import annotations

import re
from typing import Any, Callable

from . import ConfigError

Lookup = Callable[[str], Any]

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<pattern>/(?:[^/\\]|\\.)+/)
    | (?P<number>-?\d+(?:\.\d+)?)
    | (?P<operator>==|!=|>=|<=|>|<|\(|\))
    | (?P<word>[A-Za-z][A-Za-z0-9_.-]*)
    )""",
    re.VERBOSE,
)
_COMPARISONS = ("==", "!=", ">=", "<=", ">", "<", "starts-with", "matches")


def truthy(value: Any) -> bool:
    """What counts as true: not false, null, 0 or an empty text."""
    return value not in (False, None, 0, "")


def tokens(text: str) -> list[tuple[str, str]]:
    """(kind, text) of each token; an error names what is no token."""
    found, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ConfigError(f"no expression: {text!r}, at {text[position:]!r}")
        kind = match.lastgroup or ""
        found.append((kind, match.group(kind)))
        position = match.end()
    return found


class _Parser:
    """Recursive descent: or, and, comparison, not, operand; weakest first."""

    def __init__(self, text: str, lookup: Lookup) -> None:
        self.text, self.lookup, self.rest = text, lookup, tokens(text)

    def fail(self, why: str) -> ConfigError:
        return ConfigError(f"expression {self.text!r}: {why}")

    def peek(self) -> tuple[str, str]:
        return self.rest[0] if self.rest else ("end", "")

    def take(self) -> tuple[str, str]:
        if not self.rest:
            raise self.fail("ends too early")
        return self.rest.pop(0)

    def whole(self) -> Any:
        value = self.disjunction()
        if self.rest:
            raise self.fail(f"{self.rest[0][1]!r} is not expected here")
        return value()

    def disjunction(self) -> Callable[[], Any]:
        left = self.conjunction()
        while self.peek() == ("word", "or"):
            self.take()
            left = self._either(left, self.conjunction())
        return left

    def conjunction(self) -> Callable[[], Any]:
        left = self.comparison()
        while self.peek() == ("word", "and"):
            self.take()
            left = self._both(left, self.comparison())
        return left

    @staticmethod
    def _either(left: Callable[[], Any], right: Callable[[], Any]) -> Callable[[], Any]:
        return lambda: value if truthy(value := left()) else right()

    @staticmethod
    def _both(left: Callable[[], Any], right: Callable[[], Any]) -> Callable[[], Any]:
        return lambda: right() if truthy(value := left()) else value

    def comparison(self) -> Callable[[], Any]:
        left = self.negation()
        kind, word = self.peek()
        if kind in ("operator", "word") and word in _COMPARISONS:
            self.take()
            right = self.negation()
            return lambda: self.compare(word, left(), right())
        return left

    def negation(self) -> Callable[[], Any]:
        if self.peek() == ("word", "not"):
            self.take()
            inner = self.negation()
            return lambda: not truthy(inner())
        return self.operand()

    def operand(self) -> Callable[[], Any]:
        kind, word = self.take()
        if (kind, word) == ("operator", "("):
            inner = self.disjunction()
            if self.take() != ("operator", ")"):
                raise self.fail("a parenthesis is not closed")
            return inner
        if kind == "text":
            text = re.sub(r"\\(.)", r"\1", word[1:-1])
            return lambda: text
        if kind == "number":
            number = float(word) if "." in word else int(word)
            return lambda: number
        if kind == "pattern":
            return lambda: re.compile(word[1:-1])
        if kind == "word" and word in ("true", "false"):
            return lambda: word == "true"
        if kind == "word" and word not in ("and", "or", *_COMPARISONS):
            return lambda: self.lookup(word)
        raise self.fail(f"{word!r} is not expected here")

    def compare(self, operator: str, left: Any, right: Any) -> bool:
        if operator in ("==", "!="):
            same = type(left) is type(right) and left == right
            return same if operator == "==" else not same
        if operator == "starts-with":
            if not (isinstance(left, str) and isinstance(right, str)):
                raise self.fail(f"starts-with takes texts, not {left!r} and {right!r}")
            return left.startswith(right)
        if operator == "matches":
            if not (isinstance(left, str) and isinstance(right, re.Pattern)):
                raise self.fail(f"matches takes a text and a /pattern/, not {left!r} and {right!r}")
            return right.search(left) is not None
        numeric = (int, float)
        if isinstance(left, bool) or isinstance(right, bool) or not (isinstance(left, numeric) and isinstance(right, numeric)):
            raise self.fail(f"{operator} takes numbers, not {left!r} and {right!r}")
        return {">=": left >= right, ">": left > right, "<=": left <= right, "<": left < right}[operator]


def evaluate(text: str, lookup: Lookup) -> Any:
    """The value of an expression; `lookup` gives the value of a name or raises."""
    return _Parser(text, lookup).whole()


def logic(statement: Any, lookup: Lookup) -> bool:
    """The truth of a logic statement whose `<< >>` are resolved already; a text is an expression when it is one of several tokens."""
    if isinstance(statement, list):
        raise ConfigError(f"a list is no condition: {statement!r}")
    if not isinstance(statement, dict):
        return truthy(statement)
    if len(statement) != 1:
        raise ConfigError(f"a logic statement has one key: {statement!r}")
    ((word, arguments),) = statement.items()
    if word == "not":
        return not logic(arguments, lookup)
    if word == "matches":
        if not isinstance(arguments, dict) or set(arguments) != {"pattern", "value"}:
            raise ConfigError(f"matches takes pattern and value: {arguments!r}")
        return re.fullmatch(str(arguments["pattern"]), str(arguments["value"] or "")) is not None
    if word not in ("and", "or", "equal") or not isinstance(arguments, list) or not arguments:
        raise ConfigError(f"no logic statement: {statement!r}")
    if word == "equal":
        return all(type(a) is type(arguments[0]) and a == arguments[0] for a in arguments)
    answers = [logic(argument, lookup) for argument in arguments]
    return all(answers) if word == "and" else any(answers)
