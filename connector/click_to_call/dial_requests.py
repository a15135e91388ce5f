"""Requests to have Evrotel dial: kept once with the call that is to come of each; a worker sends them.

A request is sent at most once, because two rings are worse than none: `sent` is written before Evrotel is asked. What
comes to nothing ends its call as failed, so that the CRM, the employee and a waiting workflow hear of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection as SQLConnection
from sqlalchemy import func, insert, select, update

from connector.calls.arrivals import new_call_id
from connector.calls.numbers import dialable_number, normal_number
from connector.calls.plans import EndedRow, plan
from connector.connections.store import Connection
from connector.db import Database, insert_or_ignore, now
from connector.delivery.outbox import delivery_row
from connector.models import Call, CallState, Delivery, DeliveryKind, Dial, DialOrigin, DialState
from connector.models import Connection as ConnectionRow
from crm_adapters.contract import Capability
from crm_adapters.events import CallKind, Direction, Disposition

START_WITHIN = timedelta(minutes=2)
"""A call whose start has not come so long after it was asked for is not going to be made."""
PLAY_WITHIN = timedelta(minutes=10)
"""A message that could not be played by then is not played any more."""
SAME_WISH = timedelta(seconds=60)
"""A client who asks twice within this is called back once."""


@dataclass(frozen=True, kw_only=True)
class DialRequest:
    """Whom to call and for whom. `key` is the idempotency key within the connection.

    `crm_call_id` is set where the CRM has registered the call by itself. `user_id` is the CRM user whose phone rings
    first; None: whoever is responsible for the client, unless `extensions` are named. `routing` picks among these,
    empty: as the connection says. `mediafile`: nobody's phone rings, the client hears the file; `campaign_number_id` is
    then the campaign's number it is a try of. `asked_by` names the person or program, for people to read.
    """

    key: str
    origin: DialOrigin
    number: str
    user_id: str | None = None
    crm_call_id: str | None = None
    line: str | None = None
    mediafile: str | None = None
    extensions: tuple[str, ...] = ()
    routing: str = ""
    asked_by: str | None = None
    campaign_number_id: int | None = None
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> CallKind:
        if self.mediafile:
            return CallKind.AUTODIAL
        return CallKind.CALLBACK if self.origin in _WISHES else CallKind.NORMAL


_WISHES = frozenset({DialOrigin.CALLBACK, DialOrigin.SITE})
"""A client asked to be called."""


def ask_to_dial(database: Database, connection: Connection, wanted: DialRequest) -> str | None:
    """Keeps the request; its call's ID, None where the same was asked before. Raises what the database raises."""
    try:
        with database.write() as db:
            call_id = keep_request(db, connection, wanted, now())
            database.wake_workers(db)
            return call_id
    except AskedBefore:
        return None


class AskedBefore(Exception):
    """The same request is kept already: nothing of this one is."""


def keep_request(
    db: SQLConnection,
    connection: Connection,
    wanted: DialRequest,
    at: datetime,
    *,
    claimed_until: datetime | None = None,
) -> str:
    """Writes the request and the call that is to come of it, whose ID it returns; until `claimed_until` no worker takes
    it. Raises AskedBefore, and then nothing of the transaction may be kept."""
    number = dialable_number(wanted.number, connection.get("phone_region"))
    if wanted.origin in _WISHES:
        in_turn(db, connection)
    if is_kept(db, connection, wanted.key) or (wanted.origin in _WISHES and _wished(db, connection, number, at)):
        raise AskedBefore
    row = _call_row(connection, wanted, number, at)
    db.execute(insert(Call).values(row))
    made = insert_or_ignore(db, Dial, ["connection_id", "key"]).returning(Dial.id)
    dial = _dial_row(connection, wanted, row["id"], at) | {"claimed_until": claimed_until}
    if db.execute(made, dial).first() is None:
        raise AskedBefore  # it came to another process a moment ago
    if number is None:
        end_dial(db, connection, row["id"], "no_number", at=at)
    return str(row["id"])


def end_dial(
    db: SQLConnection,
    connection: Connection,
    call_id: str,
    reason: str,
    *,
    at: datetime,
    disposition: Disposition = Disposition.FAILED,
    answer: str | None = None,
) -> bool:
    """Ends a call that was asked for and whose start does not come; False where it came first.

    `reason` is a key of `texts.DIAL_REASONS`. `disposition` is answered where a message was played without any event.
    """
    ended = db.execute(
        update(Call)
        .where(Call.id == call_id, Call.expected.is_(True), Call.state == CallState.OPEN)
        .values(
            state=CallState.ENDED,
            expected=False,
            ended_at=at,
            disposition=disposition,
            billsec=0,
            callid=func.coalesce(Call.callid, Call.id),
            updated_at=at,
        )
        .returning(Call.client_number, Call.kind, Call.crm_call_id)
    ).first()
    if ended is None:
        return False
    failed = disposition is not Disposition.ANSWERED
    changes = {"state": DialState.FAILED if failed else DialState.STARTED, "reason": reason if failed else None}
    asked = db.execute(
        update(Dial)
        .where(Dial.call_id == call_id)
        .values(changes | ({"answer": answer} if answer is not None else {}))
        .returning(Dial.user_id, Dial.origin)
    ).one()
    plan(
        db,
        EndedRow(
            connection=connection,
            call_id=call_id,
            direction=Direction.OUTGOING,
            kind=CallKind(ended.kind),
            client_number=ended.client_number,
            disposition=disposition,
            billsec=0,
            recfile=None,
            at=at,
            in_crm=ended.crm_call_id is not None,
        ),
    )
    if failed and asked.user_id and asked.origin != DialOrigin.ROBOT and connection.can(Capability.NOTICE):
        db.execute(insert(Delivery).values(delivery_row(call_id, connection.id, DeliveryKind.NOTICE, at)))
    return True


def is_kept(db: SQLConnection, connection: Connection, key: str) -> bool:
    """Whether there is a request with this idempotency key."""
    query = select(Dial.id).where(Dial.connection_id == connection.id, Dial.key == key)
    return db.execute(query).first() is not None


def in_turn(db: SQLConnection, connection: Connection) -> None:
    """Two requests for one number at once do not pass each other: they have no key in common for the database."""
    row = select(ConnectionRow.id).where(ConnectionRow.id == connection.id)
    db.execute(row.with_for_update(key_share=True))


def _wished(db: SQLConnection, connection: Connection, number: str | None, at: datetime) -> bool:
    """Whether this client asked to be called back a moment ago."""
    query = (
        select(Dial.id)
        .join(Call, Call.id == Dial.call_id)
        .where(
            Call.connection_id == connection.id,
            Call.client_number == number,
            Call.created_at >= at - SAME_WISH,
            Dial.origin.in_(_WISHES),
        )
    )
    return number is not None and db.execute(query).first() is not None


def _call_row(connection: Connection, wanted: DialRequest, number: str | None, at: datetime) -> dict[str, Any]:
    return {
        "id": new_call_id(),
        "connection_id": connection.id,
        "callid": wanted.crm_call_id,
        "crm_call_id": wanted.crm_call_id,
        "crm_user_id": wanted.user_id,
        "crm_notes": wanted.notes,
        "direction": Direction.OUTGOING,
        "client_number": number,
        "extension": wanted.extensions[0] if len(wanted.extensions) == 1 else None,
        "line": normal_number(wanted.line, connection.get("phone_region")) if wanted.line else None,
        "kind": wanted.kind,
        "started_at": at,
        "state": CallState.OPEN,
        "expected": True,
        "source": "event",
        "awaits_start": False,
        "created_at": at,
        "updated_at": at,
    }


def _dial_row(connection: Connection, wanted: DialRequest, call_id: str, at: datetime) -> dict[str, Any]:
    return {
        "id": new_call_id(),
        "connection_id": connection.id,
        "key": wanted.key,
        "call_id": call_id,
        "origin": wanted.origin,
        "user_id": wanted.user_id,
        "extensions": list(wanted.extensions),
        "mediafile": wanted.mediafile,
        "routing": wanted.routing or None,
        "asked_by": wanted.asked_by,
        "campaign_number_id": wanted.campaign_number_id,
        "state": DialState.PENDING,
        "due_at": at,
        "expires_at": at + (PLAY_WITHIN if wanted.mediafile else START_WITHIN),
        "created_at": at,
    }
