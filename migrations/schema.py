"""Brings a database's schema up to date, by one process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

_LOCK = 7_301_118  # PostgreSQL's advisory lock of this project's migrations: any number that nobody else uses


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Runs what is missing; two starts at once run it once."""
    with _changing(engine) as connection:
        command.upgrade(_config(connection), revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Takes back everything after `revision`."""
    with _changing(engine) as connection:
        command.downgrade(_config(connection), revision)


def current(engine: Engine) -> str | None:
    """The schema's revision, None for an empty database."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head() -> str | None:
    """The newest revision that this code knows."""
    return ScriptDirectory.from_config(_config(None)).get_current_head()


@contextmanager
def _changing(engine: Engine) -> Iterator[Connection]:
    """The transaction of a change, by one process at a time.

    SQLite alters a table by making it anew and dropping the old one, which deletes its rows and, by ON DELETE CASCADE,
    what refers to them: foreign keys are off meanwhile, and looked at before the commit,
    https://www.sqlite.org/lang_altertable.html#otheralter.
    """
    with engine.connect().execution_options(immediate=True) as connection:
        is_sqlite = connection.dialect.name == "sqlite"
        try:
            if is_sqlite:
                _foreign_keys(connection, "OFF")
            with connection.begin():
                _alone(connection)
                yield connection
                if is_sqlite and (lost := connection.execute(text("PRAGMA foreign_key_check")).first()):
                    raise RuntimeError(f"a row of {lost[0]} refers to none of {lost[2]}: nothing was changed")
        finally:
            if is_sqlite:
                _foreign_keys(connection, "ON")


def _foreign_keys(connection: Connection, state: str) -> None:
    """Past SQLAlchemy, which would begin a transaction: within one SQLite does not listen to this."""
    made = connection.connection.dbapi_connection
    if made is not None:
        made.cursor().execute(f"PRAGMA foreign_keys={state}")


def _alone(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SET LOCAL lock_timeout = '60s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("version_locations", str(Path(__file__).parent / "versions"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
