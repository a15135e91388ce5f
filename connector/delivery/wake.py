"""Learns within moments that something is due: by LISTEN on PostgreSQL, by the file's change counter on SQLite."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from connector.db import DELIVERIES_CHANNEL, Database

logger = logging.getLogger(__name__)

LOOK_EACH = 0.2
RECONNECT_AFTER = 2.0


def watch(database: Database, wake: Callable[[], None], stop: threading.Event) -> threading.Thread:
    """Starts a thread that calls `wake` whenever there may be work, until `stop`. A clock must stand behind it."""
    body = _watch_sqlite if database.is_sqlite else _watch_postgresql
    thread = threading.Thread(target=body, args=(database, wake, stop), name="wake", daemon=True)
    thread.start()
    return thread


def _watch_sqlite(database: Database, wake: Callable[[], None], stop: threading.Event) -> None:
    """`PRAGMA data_version` changes with every commit of another connection, https://www.sqlite.org/pragma.html."""
    with database.engine.connect() as connection:
        seen = None
        while not stop.wait(LOOK_EACH):
            version = connection.execute(text("PRAGMA data_version")).scalar()
            connection.rollback()
            if version != seen:
                seen = version
                wake()


def _watch_postgresql(database: Database, wake: Callable[[], None], stop: threading.Event) -> None:
    driver_error = database.engine.dialect.loaded_dbapi.Error
    while not stop.is_set():
        try:
            _listen(database, wake, stop)
        except (driver_error, SQLAlchemyError) as error:
            logger.warning("not told of new deliveries for a moment, looking each second: %s", type(error).__name__)
            stop.wait(RECONNECT_AFTER)


def _listen(database: Database, wake: Callable[[], None], stop: threading.Event) -> None:
    """LISTEN on a connection of its own, by the driver's means: SQLAlchemy has none for notices."""
    taken = database.engine.raw_connection()
    connection: Any = taken.driver_connection
    taken.detach()
    try:
        connection.rollback()
        connection.autocommit = True
        connection.execute(f"LISTEN {DELIVERIES_CHANNEL}")
        while not stop.is_set():
            for _ in connection.notifies(timeout=LOOK_EACH, stop_after=1):
                wake()
    finally:
        taken.close()
