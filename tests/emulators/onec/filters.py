"""`$filter` as 1C understands it: comparisons, `and`, `or`, `not`, brackets and a few functions of texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Row = Mapping[str, Any]
Condition = Callable[[Row], bool]
_TOKEN = re.compile(
    r"\s*(?:(?P<text>(?:datetime|guid)?'(?:[^']|'')*')|(?P<word>[\w/]+)|(?P<sign>[(),])|(?P<number>-?\d+))", re.UNICODE
)
FUNCTIONS: Mapping[str, Callable[[str, str], bool]] = {
    "endswith": lambda where, what: where.endswith(what),
    "startswith": lambda where, what: where.startswith(what),
    "substringof": lambda what, where: what in where,
}


class Wrong(Exception):
    """The filter can't be read."""


def read_filter(text: str, properties: Mapping[str, str]) -> Condition:
    """The condition of a filter. Raises Wrong, also for a property that the set does not have or may not compare."""
    parser = _Parser(_tokens(text), properties)
    condition = parser.either()
    if parser.tokens:
        raise Wrong(f"{parser.tokens[0]} is left over")
    return condition


def _tokens(text: str) -> list[str]:
    found, at = [], 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None:
            raise Wrong(text[at:])
        found.append(match.group().strip())
        at = match.end()
    return found


class _Parser:
    def __init__(self, tokens: list[str], properties: Mapping[str, str]) -> None:
        self.tokens = tokens
        self._properties = properties

    def either(self) -> Condition:
        conditions = [self._all()]
        while self._take("or"):
            conditions.append(self._all())
        return lambda row: any(each(row) for each in conditions)

    def _all(self) -> Condition:
        conditions = [self._one()]
        while self._take("and"):
            conditions.append(self._one())
        return lambda row: all(each(row) for each in conditions)

    def _one(self) -> Condition:
        if self._take("("):
            inner = self.either()
            self._must(")")
            return inner
        if self.tokens and self.tokens[0] in FUNCTIONS:
            return self._function(FUNCTIONS[self.tokens.pop(0)])
        name = self._name()
        operator = self._next()
        if operator not in {"eq", "ne"}:
            raise Wrong(operator)
        value = _value(self._next())
        equal: Condition = lambda row: str(row.get(name, "")) == value  # noqa: E731 - one line says it
        return equal if operator == "eq" else lambda row: not equal(row)

    def _function(self, function: Callable[[str, str], bool]) -> Condition:
        self._must("(")
        first = self._operand()
        self._must(",")
        second = self._operand()
        self._must(")")
        return lambda row: function(first(row), second(row))

    def _operand(self) -> Callable[[Row], str]:
        if self.tokens and self.tokens[0].endswith("'"):
            value = _value(self._next())
            return lambda _: value
        name = self._name()
        return lambda row: str(row.get(name, ""))

    def _name(self) -> str:
        name = self._next()
        if name not in self._properties:
            raise Wrong(f"there is no {name}")
        if self._properties[name] == "text":
            raise Wrong(f"{name} is of unlimited length")
        return name

    def _take(self, token: str) -> bool:
        if self.tokens and self.tokens[0] == token:
            self.tokens.pop(0)
            return True
        return False

    def _must(self, token: str) -> None:
        if not self._take(token):
            raise Wrong(f"{token} is missing")

    def _next(self) -> str:
        if not self.tokens:
            raise Wrong("it ends too early")
        return self.tokens.pop(0)


def _value(token: str) -> str:
    found = re.fullmatch(r"(?:datetime|guid)?'(.*)'", token, re.DOTALL)
    if found is None:
        raise Wrong(token)
    return found[1].replace("''", "'")
