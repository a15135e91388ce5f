"""Requests that are refused: why, and how many, by connection and reason."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from sqlalchemy import Connection as SQLConnection
from sqlalchemy import select, update

from connector.callback.texts import REFUSALS
from connector.connections.store import Connection
from connector.db import Database, insert_or_ignore
from connector.models import Counter

logger = logging.getLogger(__name__)
PREFIX = "callback:"


class Refused(Exception):
    """A request is refused. `reason` is a key of REFUSALS; `seconds`: when it may be repeated, 0 where that is no
    question of time."""

    def __init__(self, reason: str, seconds: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.seconds = seconds


def count_refusal(database: Database, connection: Connection, reason: str) -> None:
    """Adds one to the connection's count for this reason."""
    name = PREFIX + reason
    with database.write() as db:
        db.execute(insert_or_ignore(db, Counter, ["connection_id", "name"]).values(_row(connection, name)))
        mine = (Counter.connection_id == connection.id, Counter.name == name)
        db.execute(update(Counter).where(*mine).values(value=Counter.value + 1))
    logger.info("connection %s: a request for a call was refused: %s", connection.name, reason)


def _row(connection: Connection, name: str) -> dict[str, object]:
    return {"connection_id": connection.id, "name": name, "value": 0}


def refusals_of(database: Database, connection_id: int) -> Mapping[str, int]:
    """How many requests were refused, by reason, the most frequent first."""
    with database.read() as db:
        return _counted(db, connection_id)


def _counted(db: SQLConnection, connection_id: int) -> dict[str, int]:
    query = (
        select(Counter.name, Counter.value)
        .where(Counter.connection_id == connection_id, Counter.name.in_([PREFIX + each for each in REFUSALS]))
        .order_by(Counter.value.desc())
    )
    return {name.removeprefix(PREFIX): value for name, value in db.execute(query)}
