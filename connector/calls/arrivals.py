"""Requests of Evrotel's as they are kept, whatever becomes of them, and what a start says in the connection's terms."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import uuid_utils
from sqlalchemy import Connection as SQLConnection
from sqlalchemy import insert, update

from connector.calls.kinds import tellable
from connector.calls.numbers import Parties
from connector.connections.store import Connection
from connector.evrotel.parser import StartEvent
from connector.models import InboundEvent
from crm_adapters.events import CallKind

INCOMPLETE = "the body is incomplete"
"""How the reason of such an event begins: what is left of it must never be taken for the whole."""


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A request of Evrotel's: its raw body, when it came, and the kept event's ID where it is run through again."""

    body: bytes
    content_type: str
    at: datetime
    event_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class NewStart:
    """A start to be written. `kind` is that of a call that nobody asked us for; `claimed_until` is set where this
    request tries to tell the CRM at once."""

    connection: Connection
    arrival: Arrival
    event: StartEvent
    parties: Parties
    started_at: datetime
    key: str | None
    kind: CallKind
    claimed_until: datetime | None

    @property
    def identity(self) -> tuple[int, str]:
        """What makes two starts the same. One without a date is like no other."""
        return self.connection.id, self.key or f"only {id(self)}"

    @property
    def tellable(self) -> bool:
        """Whether a CRM may hear of the call."""
        return tellable(self.connection, self.parties.client_number, self.kind)


@dataclass(frozen=True, kw_only=True)
class StartTaken:
    """The call that a start belongs to. `callid` is None while the request that made the call still waits for a CRM's.

    `to_tell` is true for the one request that is to tell the CRM at once.
    """

    call_id: str
    callid: str | None
    to_tell: bool = False


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


def first_call_id(at: datetime) -> str:
    """What no ID sorts before that `new_call_id` has made since."""
    return f"{int(at.timestamp() * 1000):012x}"  # https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-7
