"""The schema: what migrations make is what the models say, both ways, on both engines."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import HeadMaintainer, MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from connector.db import Database
from connector.models import Base
from migrations import schema
from tests.house import sources


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.dispose()


def _tables(database: Database) -> set[str]:
    return set(inspect(database.engine).get_table_names()) - {"alembic_version"}


def test_the_models_are_what_the_migrations_make(database: Database) -> None:
    schema.upgrade(database.engine)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_down_to_nothing_and_up_again(database: Database) -> None:
    schema.upgrade(database.engine)
    schema.downgrade(database.engine, "base")
    assert _tables(database) == set()
    assert schema.current(database.engine) is None
    schema.upgrade(database.engine)
    assert _tables(database) == set(Base.metadata.tables)
    assert schema.current(database.engine) == schema.head()


def test_every_step_can_be_taken_back(database: Database) -> None:
    for number in range(1, len(_numbers()) + 1):
        schema.upgrade(database.engine, f"{number:04d}")
        schema.downgrade(database.engine, f"{number - 1:04d}" if number > 1 else "base")
        schema.upgrade(database.engine, f"{number:04d}")
    assert schema.current(database.engine) == schema.head()


def test_a_table_that_is_made_anew_keeps_what_refers_to_it(database: Database) -> None:
    """The tries of deliveries from before outlive the step that makes `deliveries` anew, and its way back."""
    schema.upgrade(database.engine, "0008")
    with database.engine.begin() as db:
        for row in (
            "connections VALUES (1, 'acme', 'journal', '{}', '', NULL, NULL, NULL, :at)",
            (
                "calls (id, connection_id, direction, started_at, state, source, awaits_start, created_at, updated_at)"
                " VALUES ('c', 1, 'incoming', :at, 'open', 'event', false, :at, :at)"
            ),
            "deliveries VALUES (1, 1, 'c', 'start', 1, 'dead', :at, NULL, NULL, 1, '{}', NULL, NULL, :at, NULL)",
            "attempts VALUES (1, 1, :at, 5, 'Refused', 'q', 'a', NULL)",
        ):
            db.execute(text(f"INSERT INTO {row}"), {"at": datetime.now(UTC)})
    for move, revision in ((schema.upgrade, "head"), (schema.downgrade, "0008"), (schema.upgrade, "head")):
        move(database.engine, revision)
        with database.engine.begin() as db:
            assert db.execute(text("SELECT delivery_id, answer FROM attempts")).all() == [(1, "a")]
    with database.engine.begin() as db:  # and rows still refer to rows
        db.execute(text("DELETE FROM connections"))
        assert not db.execute(text("SELECT id FROM attempts")).all()


def test_starts_at_the_same_time_upgrade_once(database_url: str) -> None:
    databases = [Database(database_url) for _ in range(4)]
    failures: list[Exception] = []

    def start(database: Database) -> None:
        try:
            schema.upgrade(database.engine)
        except Exception as error:  # noqa: BLE001 - shown by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=start, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert _tables(databases[0]) == set(Base.metadata.tables)
    for database in databases:
        database.dispose()


def test_an_interrupted_upgrade_leaves_nothing_half_made(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both engines take a schema's change back with its transaction."""

    class PowerCut(Exception):
        pass

    def cut(*_: object) -> None:
        raise PowerCut

    monkeypatch.setattr(HeadMaintainer, "update_to_step", cut)
    with pytest.raises(PowerCut):
        schema.upgrade(database.engine)
    assert _tables(database) == set()
    monkeypatch.undo()
    schema.upgrade(database.engine)
    assert schema.current(database.engine) == schema.head()


def test_migrations_are_numbered_one_after_the_other() -> None:
    """The folder reads as history, and `connector` tells an older schema from a newer one by the number."""
    assert _numbers() == list(range(1, len(_numbers()) + 1))
    scripts = list(ScriptDirectory.from_config(schema._config(None)).walk_revisions())
    by_number = {int(script.revision): script.down_revision for script in scripts}
    assert by_number == {number: f"{number - 1:04d}" if number > 1 else None for number in _numbers()}


def test_every_migration_repeats_the_rule_of_running_code() -> None:
    rule = "Old code still runs while this applies"
    files = sorted((sources.ROOT / "migrations/versions").glob("[0-9]*.py"))
    assert [file.name for file in files if rule not in file.read_text()] == []


def _numbers() -> list[int]:
    files = (sources.ROOT / "migrations/versions").glob("[0-9]*.py")
    return sorted(int(re.sub(r"_.*", "", file.name)) for file in files)
