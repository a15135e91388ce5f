"""Writes the starts of calls: each call once, however often and by whichever process its start comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection as SQLConnection
from sqlalchemy import and_, bindparam, func, insert, or_, select, update

from connector.calls.arrivals import Arrival, event_row, keep_event, new_call_id
from connector.calls.kinds import call_note
from connector.calls.matching import same_parties
from connector.calls.numbers import Parties
from connector.connections.store import Connection
from connector.db import insert_or_ignore
from connector.delivery.outbox import delivery_row
from connector.evrotel.parser import StartEvent
from connector.models import Call, CallState, Delivery, DeliveryKind, Dial, DialState, InboundEvent
from crm_adapters.contract import Capability
from crm_adapters.events import CallKind, Direction

CARD_IS_WORTH = timedelta(seconds=60)
"""A card that comes later than this helps nobody: its start expires."""
LATE_START = timedelta(minutes=2)
"""How long after an end that came alone its start is still taken for the same call's."""


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
    def tellable(self) -> bool:
        """Whether a CRM may hear of the call."""
        return self.parties.client_number is not None and self.kind is not CallKind.INNER


@dataclass(frozen=True, kw_only=True)
class StartTaken:
    """The call that a start belongs to. `callid` is None while the request that made the call still waits for a CRM's.

    `to_tell` is true for the one request that is to tell the CRM at once.
    """

    call_id: str
    callid: str | None
    to_tell: bool = False


def write_starts(db: SQLConnection, items: Sequence[NewStart]) -> list[StartTaken]:
    known: dict[tuple[int, str], StartTaken] = {}
    awaited: dict[tuple[int, str], NewStart] = {}
    if candidates := _candidates(db, items):
        known = _known_calls(db, [_identity(item) for item in items if item.key])
        unknown = [item for item in items if _identity(item) not in known]
        asked_for = _asked_for(db, unknown, [row for row in candidates if row.expected])
        awaited = {_identity(item): item for item in unknown if _identity(item) in asked_for}
        known |= asked_for
        unknown = [item for item in unknown if _identity(item) not in known]
        known |= _ended_before_their_start(db, unknown, [row for row in candidates if row.awaits_start])
    fresh: dict[tuple[int, str], NewStart] = {}
    for item in items:
        if _identity(item) not in known:
            fresh.setdefault(_identity(item), item)
    made = _insert_calls(db, fresh)
    known |= {identity: taken for identity, (_, taken) in made.items()}
    missing = [identity for identity in fresh if identity not in made]
    if missing:
        known |= _known_calls(db, missing)
    taken = [known[_identity(item)] for item in items]
    _insert_events(db, items, taken)
    first = {id(item) for item, _ in made.values()}
    _insert_deliveries(db, [(item, taken.call_id) for item, taken in made.values()])
    first |= _register_awaited(db, awaited, known)
    return [
        StartTaken(call_id=it.call_id, callid=it.callid, to_tell=id(item) in first and item.claimed_until is not None)
        for item, it in zip(items, taken, strict=True)
    ]


def _identity(item: NewStart) -> tuple[int, str]:
    """What makes two starts the same. One without a date is like no other."""
    return item.connection.id, item.key or f"only {id(item)}"


def _insert_calls(
    db: SQLConnection, fresh: dict[tuple[int, str], NewStart]
) -> dict[tuple[int, str], tuple[NewStart, StartTaken]]:
    """Inserts what is not there yet; another process may be a moment faster, then its call counts."""
    if not fresh:
        return {}
    # One order for all processes, so that two groups with common keys wait for each other instead of deadlocking.
    rows = [(identity, item, _call_row(item)) for identity, item in sorted(fresh.items())]
    statement = insert_or_ignore(db, Call, ["connection_id", "start_key"])
    result = db.execute(statement, [row for _, _, row in rows])
    inserted = {row["id"] for _, _, row in rows}
    if result.rowcount != len(rows):
        inserted = set(db.execute(select(Call.id).where(Call.id.in_(inserted))).scalars())
    return {
        identity: (item, StartTaken(call_id=row["id"], callid=row["callid"]))
        for identity, item, row in rows
        if row["id"] in inserted
    }


def _call_row(item: NewStart) -> dict[str, Any]:
    call_id = new_call_id()
    return {
        "id": call_id,
        "connection_id": item.connection.id,
        "start_key": item.key,
        "callid": None if item.claimed_until else call_id,
        "direction": item.event.direction,
        "client_number": item.parties.client_number,
        "line": item.parties.line,
        "extension": item.parties.extension,
        "started_at": item.started_at,
        "state": CallState.OPEN,
        "source": "event",
        "awaits_start": False,
        "note": call_note(item.parties.client_number, item.kind),
        "kind": item.kind,
        "created_at": item.arrival.at,
        "updated_at": item.arrival.at,
    }


def _insert_events(db: SQLConnection, items: Sequence[NewStart], taken: Sequence[StartTaken]) -> None:
    rows = []
    for item, it in zip(items, taken, strict=True):
        if item.arrival.event_id is None:
            rows.append(event_row(item.connection.id, item.arrival, it.call_id, None))
        else:
            keep_event(db, item.connection.id, item.arrival, call_id=it.call_id, reason=None)
    if rows:
        db.execute(insert(InboundEvent), rows)


def _insert_deliveries(db: SQLConnection, made: Sequence[tuple[NewStart, str]]) -> None:
    rows = [
        _start_row(item, call_id) for item, call_id in made if item.tellable and item.connection.can(Capability.CALL_ID)
    ]
    if rows:
        db.execute(insert(Delivery), rows)


def _register_awaited(
    db: SQLConnection, awaited: dict[tuple[int, str], NewStart], known: dict[tuple[int, str], StartTaken]
) -> set[int]:
    """Calls that we were asked to dial and the CRM has not heard of: the starts (by `id`) that are to tell it now."""
    first: set[int] = set()
    for identity, item in awaited.items():
        call_id = known[identity].call_id
        registered = db.execute(select(Call.crm_call_id).where(Call.id == call_id)).scalar_one()
        if registered is not None or not item.connection.can(Capability.CALL_ID):
            continue
        row = _start_row(item, call_id)
        if db.execute(insert_or_ignore(db, Delivery, ["call_id", "kind"]).returning(Delivery.id), row).first():
            first.add(id(item))
    return first


def _start_row(item: NewStart, call_id: str) -> dict[str, Any]:
    return delivery_row(
        call_id,
        item.connection.id,
        DeliveryKind.START,
        item.arrival.at,
        claimed_until=item.claimed_until,
        expires_at=item.arrival.at + CARD_IS_WORTH,
    )


def _known_calls(db: SQLConnection, identities: Sequence[tuple[int, str]]) -> dict[tuple[int, str], StartTaken]:
    """The calls that earlier starts of the same keys made."""
    rows = db.execute(
        select(Call.connection_id, Call.start_key, Call.id, Call.callid).where(
            Call.connection_id.in_({connection_id for connection_id, _ in identities}),
            Call.start_key.in_([key for _, key in identities]),
        )
    )
    return {(row.connection_id, str(row.start_key)): StartTaken(call_id=row.id, callid=row.callid) for row in rows}


_CANDIDATES = select(
    Call.id,
    Call.callid,
    Call.connection_id,
    Call.direction,
    Call.client_number,
    Call.line,
    Call.extension,
    Call.started_at,
    Call.ended_at,
    Call.expected,
    Call.awaits_start,
).where(
    Call.connection_id.in_(bindparam("connections", expanding=True)),
    or_(Call.client_number.in_(bindparam("numbers", expanding=True)), Call.client_number.is_(None)),
    Call.created_at >= bindparam("oldest"),
    or_(
        and_(Call.state == CallState.ENDED, Call.awaits_start.is_(True)),
        and_(Call.state == CallState.OPEN, Call.expected.is_(True)),
    ),
)


def _candidates(db: SQLConnection, items: Sequence[NewStart]) -> Sequence[Any]:
    """Calls, not long ago, that were made from an end alone or for a request to dial, and might be these starts'."""
    return db.execute(
        _CANDIDATES.order_by(Call.id),
        {
            "connections": list({item.connection.id for item in items}),
            "numbers": list({item.parties.client_number for item in items}),
            "oldest": min(item.arrival.at for item in items) - LATE_START,
        },
    ).all()


def _asked_for(
    db: SQLConnection, items: Sequence[NewStart], expected: Sequence[Any]
) -> dict[tuple[int, str], StartTaken]:
    """Calls that we had Evrotel dial: their start belongs to them, once. Of several the oldest with that extension."""
    found: dict[tuple[int, str], StartTaken] = {}
    for item in sorted(items, key=_identity):
        fitting = [row for row in expected if _identity(item) not in found and _is_asked_for(item, row)]
        for row in sorted(fitting, key=lambda row: row.extension != item.parties.extension):
            taken = db.execute(
                update(Call)
                .where(Call.id == row.id, Call.expected.is_(True), Call.state == CallState.OPEN)
                .values(
                    expected=False,
                    # Where nobody tries to register it now, there is no use in waiting for an ID of the CRM's.
                    callid=Call.callid if item.claimed_until else func.coalesce(Call.callid, Call.id),
                    start_key=item.key,
                    started_at=item.started_at,
                    line=row.line or item.parties.line,
                    extension=row.extension or item.parties.extension,
                    updated_at=item.arrival.at,
                )
            )
            if taken.rowcount:
                db.execute(update(Dial).where(Dial.call_id == row.id).values(state=DialState.STARTED))
                callid = db.execute(select(Call.callid).where(Call.id == row.id)).scalar_one()
                found[_identity(item)] = StartTaken(call_id=row.id, callid=callid)
                break
    return found


def _is_asked_for(item: NewStart, row: Any) -> bool:
    theirs, ours = item.parties.extension, row.extension
    return (
        row.connection_id == item.connection.id
        and item.event.direction is Direction.OUTGOING
        and row.client_number is not None
        and row.client_number == item.parties.client_number
        and (theirs is None or ours is None or theirs == ours)
    )


def _ended_before_their_start(
    db: SQLConnection, items: Sequence[NewStart], orphans: Sequence[Any]
) -> dict[tuple[int, str], StartTaken]:
    """Calls whose end overtook their start: the start belongs to the call that was made from the end alone."""
    found: dict[tuple[int, str], StartTaken] = {}
    for item in items:
        for row in orphans:
            if row.id not in {taken.call_id for taken in found.values()} and _may_start(item, row):
                found[_identity(item)] = StartTaken(call_id=row.id, callid=row.callid or row.id)
                db.execute(
                    update(Call)
                    .where(Call.id == row.id)
                    .values(
                        start_key=item.key,
                        awaits_start=False,
                        started_at=min(item.started_at, row.ended_at),
                        line=row.line or item.parties.line,
                        extension=row.extension or item.parties.extension,
                    )
                )
                break
    return found


def _may_start(item: NewStart, row: Any) -> bool:
    return (
        row.connection_id == item.connection.id
        and row.direction == item.event.direction
        and same_parties(item.parties, Parties(client_number=row.client_number, line=row.line, extension=row.extension))
        and item.started_at <= row.ended_at + timedelta(seconds=5)
    )
