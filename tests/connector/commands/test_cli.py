"""What every command has in common: help, exit statuses, clear errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from connector.cli import COMMANDS
from tests.connector.commands.conftest import Console

LIGHT = "import sys, connector.cli; sys.exit(len({'sqlalchemy', 'flask', 'gunicorn', 'requests'} & set(sys.modules)))"


def test_help_names_every_command(connector: Console) -> None:
    result = connector("--help")
    assert result.exit_code == 0
    assert all(f"  {name} " in result.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_own_help(connector: Console, name: str) -> None:
    result = connector(name, "--help")
    assert (result.exit_code, result.stderr) == (0, "")


def test_the_command_itself_imports_nothing_heavy() -> None:
    assert subprocess.run([sys.executable, "-c", LIGHT], check=False).returncode == 0


def test_an_unknown_command_is_wrong_usage(connector: Console) -> None:
    assert connector("dance").exit_code == 2


def test_a_wrong_setting_is_one_clear_line(connector: Console, environment: dict[str, str]) -> None:
    environment["LOG_FORMAT"] = "xml"
    result = connector("connection", "list")
    assert result.exit_code == 1
    assert result.stderr == "Error: LOG_FORMAT should be one of text, json, not 'xml'\n"


def test_the_wrong_key_is_one_clear_line(connector: Console, environment: dict[str, str]) -> None:
    connector("connection", "add", "--crm", "journal")
    environment["SECRET_KEY"] = "another-key-of-enough-length"
    for command in (
        "connection list",
        "connection add b --crm journal",
        "admin create x",
        "worker",
        "db upgrade",
    ):
        result = connector(*command.split())
        assert result.exit_code == 1, command
        assert result.stderr.startswith("Error: SECRET_KEY is not the key")
        assert result.stderr.count("\n") == 1


def test_a_database_that_is_away_is_one_clear_line(connector: Console, environment: dict[str, str]) -> None:
    environment["DATABASE_URL"] = "postgresql://nobody:s3cret@127.0.0.1:1/none"
    result = connector("connection", "list")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: the database can't be used:")
    assert result.stderr.count("\n") == 1
    assert "s3cret" not in result.stderr


def test_a_schema_that_is_behind_says_what_to_do(connector: Console, database_url: str) -> None:
    connector("db", "upgrade")
    _set_revision(database_url, "0000")
    result = connector("connection", "list")
    assert result.exit_code == 1
    assert "connector db upgrade" in result.stderr


def test_a_schema_that_is_ahead_is_left_alone(connector: Console, database_url: str) -> None:
    connector("db", "upgrade")
    _set_revision(database_url, "9999")
    assert connector("connection", "list").exit_code == 0


def test_upgrade_sets_up_an_empty_database_and_is_harmless_again(connector: Console) -> None:
    first, again = connector("db", "upgrade"), connector("db", "upgrade")
    assert (first.exit_code, again.exit_code) == (0, 0)
    assert "The schema is now" in first.stdout
    assert "The schema is up to date" in again.stdout


def test_upgrade_applies_the_environments_connection(connector: Console, environment: dict[str, str]) -> None:
    environment["CRM"] = "journal"
    environment["EVROTEL_TOKEN"] = "token-from-the-environment"
    assert connector("db", "upgrade").exit_code == 0
    assert connector("connection", "list").stdout == "default  journal  active\n"


def test_a_wrong_value_in_the_environment_is_named(connector: Console, environment: dict[str, str]) -> None:
    environment["EVROTEL_TIMEZONE"] = "Europe/Atlantis"
    result = connector("db", "upgrade")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: EVROTEL_TIMEZONE should be")


def _set_revision(database_url: str, revision: str) -> None:
    engine = create_engine(database_url)
    with engine.begin() as db:
        db.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
    engine.dispose()


def test_the_release_of_an_older_version_leaves_a_newer_schema_alone(connector: Console, database_url: str) -> None:
    connector("db", "upgrade")
    engine = create_engine(database_url)
    with engine.begin() as db:
        db.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    result = connector("db", "upgrade")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "The schema is up to date: 9999\n"


def test_a_file_that_is_no_database_is_one_clear_line(
    connector: Console, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "broken.db").write_text("This is a text, and not a short one: a database begins otherwise. " * 100)
    environment["DATABASE_URL"] = f"sqlite:///{tmp_path}/broken.db"
    result = connector("connection", "list")
    assert result.exit_code == 1
    assert result.stderr == "Error: the database can't be used: file is not a database\n"
