"""Recordings that were not found: which they are, and having them looked for again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection as SQLConnection
from sqlalchemy import select, update

from connector.db import Database, now
from connector.models import Call, Connection, Delivery, DeliveryKind, DeliveryState, Recording, RecordingState

MOST_SHOWN = 500


def recordings(database: Database, *states: RecordingState, connection_id: int | None = None) -> Sequence[Any]:
    """Recordings in these states, all where none is given, the newest calls first, at most MOST_SHOWN.

    Rows: call_id, connection (name), state, attempts, due_at, error, size, started_at, client_number.
    """
    query = (
        select(
            Recording.call_id,
            Connection.name.label("connection"),
            Recording.state,
            Recording.attempts,
            Recording.due_at,
            Recording.error,
            Recording.size,
            Call.started_at,
            Call.client_number,
        )
        .join(Connection, Connection.id == Recording.connection_id)
        .join(Call, Call.id == Recording.call_id)
        .order_by(Call.started_at.desc(), Call.id.desc())
        .limit(MOST_SHOWN)
    )
    if states:
        query = query.where(Recording.state.in_(states))
    if connection_id is not None:
        query = query.where(Recording.connection_id == connection_id)
    with database.read() as db:
        rows: Sequence[Any] = db.execute(query).all()
    return rows


def retry_missing(database: Database, call_ids: Sequence[str]) -> int:
    """Has recordings that are missing, or still waited for, looked for at once, with all tries before them; how many.

    What the CRM was to be told of a missing one waits for it again.
    """
    with database.write() as db:
        count = look_again(db, call_ids)
        db.execute(
            update(Delivery)
            .where(
                Delivery.call_id.in_(call_ids),
                Delivery.call_id.in_(select(Recording.call_id).where(Recording.state == RecordingState.PENDING)),
                Delivery.kind == DeliveryKind.RECORDING,
                Delivery.state == DeliveryState.DEAD,
            )
            .values(state=DeliveryState.WAITING, attempts=0, settled_at=None, error=None)
        )
        database.wake_workers(db)
    return count


def look_again(db: SQLConnection, call_ids: Sequence[str]) -> int:
    """The same for the recordings alone."""
    found = db.execute(
        update(Recording)
        .where(
            Recording.call_id.in_(call_ids),
            Recording.state.in_([RecordingState.MISSING, RecordingState.PENDING]),
        )
        .values(state=RecordingState.PENDING, attempts=0, due_at=now())
    )
    return found.rowcount
