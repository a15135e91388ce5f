"""What a person does about deliveries: sees the failed ones, has them tried again, or gives them up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, update

from connector.db import Database, now
from connector.models import Call, Connection, Delivery, DeliveryKind, DeliveryState, Recording, RecordingState
from connector.recordings.looking_again import look_again

_FAILED = (DeliveryState.DEAD, DeliveryState.GIVEN_UP)


def failed(database: Database, connection_id: int | None = None) -> Sequence[Any]:
    """Deliveries that are dead, and pending ones that have failed by themselves; the oldest first.

    Rows: id, connection (name), call_id (None where it is about no call), kind, state, attempts, error, due_at,
    client_number, created_at.
    """
    query = (
        select(
            Delivery.id,
            Connection.name.label("connection"),
            Delivery.call_id,
            Delivery.kind,
            Delivery.state,
            Delivery.attempts,
            Delivery.error,
            Delivery.due_at,
            Call.client_number,
            Delivery.created_at,
        )
        .join(Connection, Connection.id == Delivery.connection_id)
        .outerjoin(Call, Call.id == Delivery.call_id)
        .where(
            (Delivery.state == DeliveryState.DEAD)
            | ((Delivery.state == DeliveryState.PENDING) & (Delivery.attempts > 0))
        )
        .order_by(Delivery.id)
    )
    if connection_id is not None:
        query = query.where(Delivery.connection_id == connection_id)
    with database.read() as db:
        return db.execute(query).all()


def retry(database: Database, ids: Sequence[int]) -> int:
    """Has failed deliveries told again at once, with all their tries before them; returns how many there were.

    A recording that was never found is looked for again.
    """
    with database.write() as db:
        at = now()
        forgotten = select(Recording.call_id).where(Recording.state == RecordingState.FORGOTTEN)
        again = (
            Delivery.id.in_(ids)
            & Delivery.state.in_([*_FAILED, DeliveryState.PENDING])
            & ~((Delivery.kind == DeliveryKind.RECORDING) & Delivery.call_id.in_(forgotten))
        )
        without_file = db.execute(
            select(Delivery.id, Delivery.call_id)
            .join(Recording, Recording.call_id == Delivery.call_id)
            .where(again, Delivery.kind == DeliveryKind.RECORDING, Recording.state == RecordingState.MISSING)
        ).all()
        look_again(db, [row.call_id for row in without_file])
        fresh = {"attempts": 0, "due_at": at, "settled_at": None, "error": None}
        changed = db.execute(update(Delivery).where(again).values(fresh | {"state": DeliveryState.PENDING}))
        db.execute(
            update(Delivery)
            .where(Delivery.id.in_([row.id for row in without_file]))
            .values(state=DeliveryState.WAITING)
        )
        database.wake_workers(db)
    return int(changed.rowcount)


def give_up(database: Database, ids: Sequence[int]) -> int:
    """Ends deliveries that are not done: the CRM is not told, and later steps of the call go on."""
    with database.write() as db:
        changed = db.execute(
            update(Delivery)
            .where(
                Delivery.id.in_(ids),
                Delivery.state.in_([DeliveryState.PENDING, DeliveryState.WAITING, DeliveryState.DEAD]),
            )
            .values(state=DeliveryState.GIVEN_UP, settled_at=now())
        )
        database.wake_workers(db)
    return int(changed.rowcount)
