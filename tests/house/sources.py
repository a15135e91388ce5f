"""The project's own files, read for the tests of the house rules."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("connector", "crm_adapters", "migrations")


def modules(*rooms: str) -> list[Path]:
    """The Python files of these rooms, by default of all that is installed; paths are relative to the project."""
    return sorted(path.relative_to(ROOT) for room in rooms or ROOMS for path in (ROOT / room).rglob("*.py"))


def text(path: Path | str) -> str:
    return (ROOT / path).read_text()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(text(path), filename=str(path))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions and methods of a module."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def where(path: Path, node: ast.expr | ast.stmt) -> str:
    return f"{path}:{node.lineno}"
