"""PHP's ways with form bodies, casts and JSON, which Bitrix24 inherits."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlencode

KEY = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")


def parse_form(text: str) -> dict[str, Any]:
    """`a[b][0]=1&c=2` as nested values, the way PHP fills $_POST."""
    tree: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        match = KEY.match(name)
        if match:
            _plant(tree, [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])], value)
    return {key: as_lists(value) for key, value in tree.items()}


def _plant(tree: dict[str, Any], path: list[str], value: str) -> None:
    head, *rest = path
    if head == "":
        head = str(len(tree))
    if not rest:
        tree[head] = value
        return
    branch = tree.get(head)
    if not isinstance(branch, dict):
        branch = tree[head] = {}
    _plant(branch, rest, value)


def parse_json(body: bytes) -> dict[str, Any] | None:
    """A JSON object; None where it is malformed (Bitrix24 then sees an empty parameter list)."""
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        return None
    if isinstance(value, list):
        value = {str(index): item for index, item in enumerate(value)}
    return {key: as_lists(item) for key, item in value.items()} if isinstance(value, dict) else None


def as_lists(value: Any) -> Any:
    """Maps keyed 0..n-1 are lists: to PHP both are one kind of array."""
    if isinstance(value, list):
        return [as_lists(item) for item in value]
    if not isinstance(value, dict):
        return value
    if list(value) == [str(index) for index in range(len(value))]:
        return [as_lists(item) for item in value.values()]
    return {key: as_lists(item) for key, item in value.items()}


def as_map(value: Any) -> dict[str, Any]:
    """Any PHP array by its keys."""
    if isinstance(value, list):
        return {str(index): item for index, item in enumerate(value)}
    return value if isinstance(value, dict) else {}


def build_form(values: dict[str, Any]) -> str:
    """http_build_query: brackets for nesting, null and empty arrays vanish, booleans are 1 and 0."""
    return urlencode(_flatten(values))


def _flatten(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}[{key}]" if prefix else key
        if isinstance(value, dict | list):
            pairs += _flatten(as_map(value), name)
        elif isinstance(value, bool):
            pairs.append((name, "1" if value else "0"))
        elif value is not None:
            pairs.append((name, str(value)))
    return pairs


def truth(value: Any) -> bool:
    """(bool): only null, false, 0, "", "0" and the empty array are false, so the string "False" is true."""
    return value not in (None, False, 0, 0.0, "", "0") and value not in ([], {})


def integer(value: Any) -> int:
    """(int): the leading digits of a string, else 0."""
    if isinstance(value, int | float):
        return int(value)
    match = re.match(r"\s*[+-]?\d+", value) if isinstance(value, str) else None
    return int(match[0]) if match else 0
