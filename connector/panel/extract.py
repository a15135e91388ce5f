"""Collects for translation what the panel shows of the settings: their labels, help, and what a value should be.

An extractor of Babel's (https://babel.pocoo.org/en/latest/messages.html#writing-extraction-methods), named in
babel.cfg: it takes `Field(label=, help=)`, `matching(pattern, meaning)`, `_pairs(value, key, value, meaning)` and
`raise ValueError(text)` from source code.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import IO, Any

Message = tuple[int, str, str, list[str]]


def extract_settings(fileobj: IO[bytes], _keywords: Any, _tags: Any, options: Any) -> Iterator[Message]:  # noqa: ARG001 - Babel passes it by name
    """The texts of one file, as Babel wants them."""
    for node in ast.walk(ast.parse(fileobj.read())):
        if isinstance(node, ast.Call):
            for text in _texts(node):
                yield node.lineno, "gettext", text, []


def _texts(call: ast.Call) -> Iterator[str]:
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    candidates: list[ast.expr] = []
    if name == "Field":
        candidates = [keyword.value for keyword in call.keywords if keyword.arg in {"label", "help"}]
    elif name == "matching":
        candidates = call.args[1:2]
    elif name == "_pairs":
        candidates = call.args[3:4]
    elif name == "ValueError":
        candidates = call.args[:1]
    for candidate in candidates:
        if isinstance(candidate, ast.Constant) and isinstance(candidate.value, str) and candidate.value:
            yield candidate.value
