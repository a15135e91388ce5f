"""Numbers that no campaign of a connection calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, select

from connector.connections.store import Connection
from connector.db import Database, insert_or_ignore, now
from connector.models import DoNotCall

LONGEST_REASON = 200


def add(database: Database, connection: Connection, numbers: Sequence[str], reason: str, by: str) -> int:
    """Puts numbers (E.164) on the list; how many were not there yet."""
    rows = [
        {
            "connection_id": connection.id,
            "number": number,
            "reason": reason[:LONGEST_REASON],
            "created_by": by[:200],
            "created_at": now(),
        }
        for number in numbers
    ]
    if not rows:
        return 0
    with database.write() as db:
        added = insert_or_ignore(db, DoNotCall, ["connection_id", "number"]).returning(DoNotCall.number)
        return len(db.execute(added, rows).all())


def remove(database: Database, connection: Connection, number: str) -> bool:
    """Takes a number off the list; whether it was there."""
    mine = (DoNotCall.connection_id == connection.id, DoNotCall.number == number)
    with database.write() as db:
        return bool(db.execute(delete(DoNotCall).where(*mine)).rowcount)


def listed(database: Database, connection: Connection) -> Sequence[Any]:
    """The list, the newest first: number, reason, created_by, created_at."""
    columns = (DoNotCall.number, DoNotCall.reason, DoNotCall.created_by, DoNotCall.created_at)
    query = select(*columns).where(DoNotCall.connection_id == connection.id)
    with database.read() as db:
        return db.execute(query.order_by(DoNotCall.created_at.desc(), DoNotCall.number)).all()
