"""Rules of the house that the source itself shows."""

from __future__ import annotations

import ast
import re
import tokenize
from pathlib import Path

import pytest

from tests.house import sources

ALL = sources.modules()
WITH_TESTS = [*ALL, *sources.modules("tests", "benchmarks")]

ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}
READS_ENVIRONMENT = Path("connector/settings.py")

_SECRET_NAME = re.compile(r"token|secret|password|passwd|api_?key|mac$|signature", re.IGNORECASE)
_VAGUE = ("Manager", "Helper", "Service", "Processor", "Handler", "Utils")
LONGEST_FUNCTION = 60


def test_only_the_settings_read_the_environment() -> None:
    readers = {
        path
        for path in ALL
        for node in ast.walk(sources.tree(path))
        if (isinstance(node, ast.Attribute) and node.attr in ENVIRONMENT and _name(node.value) == "os")
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and ENVIRONMENT & {a.name for a in node.names})
    }
    assert readers == {READS_ENVIRONMENT}


def test_secrets_are_not_compared_by_equals() -> None:
    """`connector.secrets.same` and `hmac.compare_digest` take the same time whatever is given."""
    assert [
        sources.where(path, node)
        for path in ALL
        for node in ast.walk(sources.tree(path))
        if isinstance(node, ast.Compare) and _compares_secrets(node)
    ] == []


def test_the_rule_about_secrets_finds_one() -> None:
    compared = [
        "given_token == kept",
        "kept != self.setup_token",
        "row.password_hash == x",
        "form.token.data == wanted",
    ]
    fine = [
        'token == "-"',
        "token is None",
        "tokens == 3",
        "same(token, kept)",
        "field.secret == True",
        "row.name == REFUSED_TOKEN",
    ]
    assert [text for text in compared if not _compares_secrets(_compare(text))] == []
    assert [
        text for text in fine if isinstance(_expression(text), ast.Compare) and _compares_secrets(_compare(text))
    ] == []


def test_imports_stand_at_the_top() -> None:
    """An import inside a function hides an arrow between two rooms."""
    assert [
        sources.where(path, node)
        for path in ALL
        for function in sources.functions(path)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ] == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [path for path in ALL if path.stat().st_size and not ast.get_docstring(sources.tree(path))]
    assert silent == []


def test_no_class_has_a_name_that_says_nothing() -> None:
    assert [
        sources.where(path, node)
        for path in ALL
        for node in ast.walk(sources.tree(path))
        if isinstance(node, ast.ClassDef) and node.name.endswith(_VAGUE)
    ] == []


def test_functions_fit_a_screen() -> None:
    assert [
        f"{path}:{function.lineno} {function.name}"
        for path in ALL
        if not path.is_relative_to("migrations/versions")  # a schema is as long as it is
        for function in sources.functions(path)
        if (function.end_lineno or 0) - function.body[0].lineno >= LONGEST_FUNCTION
    ] == []


@pytest.mark.parametrize(
    "silencer", [r"noqa(?!:)", r"noqa: [A-Z0-9, ]+$", r"type: ignore(?!\[)", r"type: ignore\[[^]]+\]$"]
)
def test_a_silenced_check_carries_its_reason(silencer: str) -> None:
    pattern = re.compile(rf"#\s*{silencer}")
    assert [
        f"{path}:{line} {comment}"
        for path in WITH_TESTS
        for line, comment in _comments(path)
        if pattern.search(comment)
    ] == []


def test_nothing_speaks_of_the_workplace() -> None:
    """No address of a package index and no absolute path of somebody's machine stands in the project's files."""
    unwanted = re.compile(
        r"pypi\.org|files\.pythonhosted|--index-url|/home/\w|/Users/\w|(?<![\w.])/work/|(?<![\w.])/root/"
    )
    papers = [path.relative_to(sources.ROOT) for path in (*sources.ROOT.glob("*.md"), *sources.ROOT.glob("docs/*.md"))]
    assert [
        str(path)
        for path in [*WITH_TESTS, *papers, Path("Makefile"), Path("pyproject.toml")]
        if not path.is_relative_to("tests/house") and unwanted.search(sources.text(path))
    ] == []


def _comments(path: Path) -> list[tuple[int, str]]:
    """Each line's comments as one text: a reason may stand in a second comment after the first."""
    with (sources.ROOT / path).open("rb") as file:
        return [
            (token.start[0], token.string)
            for token in tokenize.tokenize(file.readline)
            if token.type == tokenize.COMMENT
        ]


def _compares_secrets(node: ast.Compare) -> bool:
    if not all(isinstance(operator, ast.Eq | ast.NotEq) for operator in node.ops):
        return False
    operands = [node.left, *node.comparators]
    if any(isinstance(operand, ast.Constant) for operand in operands):
        return False  # neither a literal in the code is a secret, nor a constant of it
    names = [_name(operand) for operand in operands]
    return not any(name.isupper() for name in names) and any(_SECRET_NAME.search(name) for name in names)


def _name(node: ast.expr) -> str:
    """What an operand is called: `x` of `x`, `a.x`, `a.x.data`, `a["x"]`."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr="data" | "value"):
            return _name(value)
        case ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
    return ""


def _expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def _compare(text: str) -> ast.Compare:
    expression = _expression(text)
    assert isinstance(expression, ast.Compare)
    return expression
