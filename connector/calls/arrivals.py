"""A request of Evrotel's as it is kept, whatever becomes of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import uuid_utils
from sqlalchemy import Connection as SQLConnection
from sqlalchemy import insert, update

from connector.models import InboundEvent

INCOMPLETE = "the body is incomplete"
"""How the reason of such an event begins: what is left of it must never be taken for the whole."""


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A request of Evrotel's: its raw body, when it came, and the kept event's ID where it is run through again."""

    body: bytes
    content_type: str
    at: datetime
    event_id: int | None = None


def keep_event(
    db: SQLConnection, connection_id: int, arrival: Arrival, *, call_id: str | None, reason: str | None
) -> None:
    """Inserts the event as it came, or notes on a kept one what became of it this time."""
    if arrival.event_id is None:
        db.execute(insert(InboundEvent), [event_row(connection_id, arrival, call_id, reason)])
    else:
        db.execute(
            update(InboundEvent).where(InboundEvent.id == arrival.event_id).values(call_id=call_id, reason=reason)
        )


def event_row(connection_id: int, arrival: Arrival, call_id: str | None, reason: str | None) -> dict[str, Any]:
    return {
        "connection_id": connection_id,
        "received_at": arrival.at,
        "content_type": arrival.content_type[:200],
        "body": arrival.body,
        "reason": reason,
        "call_id": call_id,
    }


def new_call_id() -> str:
    """Ours: sorts by time, fits Evrotel's callid."""
    return uuid_utils.uuid7().hex
