"""The console command, run in this process on a database of each engine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from connector.cli import cli
from tests.conftest import empty_database

Console = Callable[..., Result]


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """What commands print is the same on both engines."""
    return empty_database(request, tmp_path)


@pytest.fixture
def environment(database_url: str) -> dict[str, str]:
    """What the operator has set; tests change it."""
    return {
        "DATABASE_URL": database_url,
        "SECRET_KEY": "test-key-of-enough-length",
        "PUBLIC_URL": "https://pbx.example",
        "ALLOW_LOCAL_ADDRESSES": "1",
    }


@pytest.fixture
def connector(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logging_as_it_was: None
) -> Console:
    """`connector("connection", "list")` runs the command in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, input: str | None = None) -> Result:  # noqa: A002 - click's own name for it
        return CliRunner().invoke(cli, arguments, prog_name="connector", env=environment, input=input)

    return run


@pytest.fixture
def logging_as_it_was() -> Iterator[None]:
    """Commands set the process's logging up; here that must not outlive them."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
