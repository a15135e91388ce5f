"""Who works on which connection: a lane is a lease on a row, held by one worker at a time.

A lease lapses by itself, so a killed worker's lane is taken over within LEASE; the worker renews it while it works.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection as SQLConnection
from sqlalchemy import and_, or_, select, update

from connector.db import insert_or_ignore
from connector.delivery.outbox import may_go
from connector.models import Connection, Delivery, Lane

LEASE = timedelta(seconds=10)


class LaneLost(Exception):
    """Another worker holds the lane by now: nothing of it may be settled here."""


def due(db: SQLConnection, at: datetime) -> Sequence[int]:
    """Connections with something to tell whose lane nobody holds; not those in trouble before their probe."""
    something = select(Delivery.id).where(Delivery.connection_id == Connection.id, may_go(at)).exists()
    query = (
        select(Connection.id)
        .outerjoin(Lane, Lane.connection_id == Connection.id)
        .where(
            Connection.paused_by.is_(None),
            or_(Lane.leased_until.is_(None), Lane.leased_until <= at),
            or_(Lane.next_probe_at.is_(None), Lane.next_probe_at <= at),
            something,
        )
    )
    return db.execute(query).scalars().all()


def in_trouble(db: SQLConnection, connection_id: int, at: datetime) -> bool:
    """Whether the account is left alone until its next probe."""
    query = select(Lane.connection_id).where(Lane.connection_id == connection_id, Lane.next_probe_at > at)
    return db.execute(query).first() is not None


def lease(db: SQLConnection, connection_id: int, owner: str, at: datetime) -> bool:
    """Whether the lane is now `owner`'s."""
    db.execute(insert_or_ignore(db, Lane, ["connection_id"]).values(connection_id=connection_id, probes=0))
    taken = db.execute(
        update(Lane)
        .where(
            Lane.connection_id == connection_id,
            or_(Lane.leased_until.is_(None), Lane.leased_until <= at, Lane.owner == owner),
        )
        .values(owner=owner, leased_until=at + LEASE)
    )
    return bool(taken.rowcount)


def renew(db: SQLConnection, owner: str, connection_ids: Sequence[int], at: datetime) -> None:
    """Keeps the lanes that `owner` works on; one that was taken over is not taken back."""
    db.execute(
        update(Lane)
        .where(Lane.owner == owner, Lane.connection_id.in_(connection_ids), Lane.leased_until > at)
        .values(leased_until=at + LEASE)
    )


def release(db: SQLConnection, connection_id: int, owner: str) -> None:
    """Lets the next worker in at once."""
    db.execute(
        update(Lane)
        .where(Lane.connection_id == connection_id, Lane.owner == owner)
        .values(owner=None, leased_until=None)
    )


def hold(db: SQLConnection, connection_id: int, owner: str, at: datetime) -> None:
    """Locks the lane's row for this transaction. Raises LaneLost where it is not `owner`'s any more."""
    held = db.execute(
        select(Lane.connection_id)
        .where(and_(Lane.connection_id == connection_id, Lane.owner == owner, Lane.leased_until > at))
        .with_for_update()
    ).first()
    if held is None:
        raise LaneLost
