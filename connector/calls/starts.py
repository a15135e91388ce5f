"""Writes the starts of calls: each call once, however often and by whichever process its start comes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection as SQLConnection
from sqlalchemy import insert, select

from connector.calls.arrivals import NewStart, StartTaken, event_row, keep_event, new_call_id
from connector.calls.awaiting import calls_without_start, take_asked_for, take_ended
from connector.calls.kinds import call_note
from connector.db import insert_or_ignore, wait_for_turn
from connector.delivery.outbox import delivery_row
from connector.models import Call, CallState, Delivery, DeliveryKind, InboundEvent
from crm_adapters.contract import Capability
from crm_adapters.events import Direction

CARD_IS_WORTH = timedelta(seconds=60)
"""A card that comes later than this helps nobody: its start expires."""
CARD_ALONE_IS_WORTH = timedelta(seconds=10)
"""The same where the card is all that a start is for: late it is only a fright."""


def write_starts(db: SQLConnection, items: Sequence[NewStart]) -> list[StartTaken]:
    # Not while an end or a call record, which may be the same call's, is being written.
    wait_for_turn(db, (item.connection.id for item in items), among_others=True)
    known, dialled = _already_there(db, items)
    fresh: dict[tuple[int, str], NewStart] = {}
    for item in items:
        if item.identity not in known:
            fresh.setdefault(item.identity, item)
    made = _insert_calls(db, fresh)
    known |= {identity: taken for identity, (_, taken) in made.items()}
    missing = [identity for identity in fresh if identity not in made]
    if missing:
        known |= _known_calls(db, missing)
    taken = [known[item.identity] for item in items]
    _insert_events(db, items, taken)
    first = {id(item) for item, _ in made.values()}
    _insert_deliveries(db, [(item, taken.call_id) for item, taken in made.values()])
    first |= _register_dialled(db, dialled, known)
    return [
        StartTaken(call_id=it.call_id, callid=it.callid, to_tell=id(item) in first and item.claimed_until is not None)
        for item, it in zip(items, taken, strict=True)
    ]


def _already_there(
    db: SQLConnection, items: Sequence[NewStart]
) -> tuple[dict[tuple[int, str], StartTaken], list[NewStart]]:
    """The calls that these starts belong to and that are there before them, and which of the starts were asked for."""
    candidates = calls_without_start(db, items)
    if not candidates:
        return {}, []  # as nearly always: what an earlier start made shows when it is made again
    known = _known_calls(db, [item.identity for item in items if item.key])
    unknown = [item for item in items if item.identity not in known]
    asked_for = take_asked_for(db, unknown, [row for row in candidates if row.expected])
    dialled = list({item.identity: item for item in unknown if item.identity in asked_for}.values())
    known |= asked_for
    unknown = [item for item in unknown if item.identity not in known]
    known |= take_ended(db, unknown, [row for row in candidates if row.awaits_start])
    return known, dialled


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
        "note": call_note(item.connection, item.parties.client_number, item.kind),
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
    rows = [_start_row(item, call_id) for item, call_id in made if item.tellable and _hears_starts(item)]
    if rows:
        db.execute(insert(Delivery), rows)


def _register_dialled(
    db: SQLConnection, dialled: Sequence[NewStart], known: dict[tuple[int, str], StartTaken]
) -> set[int]:
    """Calls that we were asked to dial and the CRM has not heard of: the starts (by `id`) that are to tell it now."""
    first: set[int] = set()
    for item in dialled:
        call_id = known[item.identity].call_id
        registered = db.execute(select(Call.crm_call_id).where(Call.id == call_id)).scalar_one()
        if registered is not None or not _hears_starts(item):
            continue
        row = _start_row(item, call_id)
        if db.execute(insert_or_ignore(db, Delivery, ["call_id", "kind"]).returning(Delivery.id), row).first():
            first.add(id(item))
    return first


def _hears_starts(item: NewStart) -> bool:
    """Whether the CRM is told of this start: to register it, or only to open a card, mostly of calls that come."""
    if item.connection.can(Capability.CALL_ID):
        return True
    outgoing = item.event.direction is Direction.OUTGOING
    return item.connection.can(Capability.OUTGOING_CARD if outgoing else Capability.CARD)


def _start_row(item: NewStart, call_id: str) -> dict[str, Any]:
    return delivery_row(
        call_id,
        item.connection.id,
        DeliveryKind.START,
        item.arrival.at,
        claimed_until=item.claimed_until,
        expires_at=_expires_at(item),
    )


def _expires_at(item: NewStart) -> datetime | None:
    if item.connection.can(Capability.EVERY_EVENT):
        return None
    return item.arrival.at + (CARD_IS_WORTH if item.connection.can(Capability.CALL_ID) else CARD_ALONE_IS_WORTH)


def _known_calls(db: SQLConnection, identities: Sequence[tuple[int, str]]) -> dict[tuple[int, str], StartTaken]:
    """The calls that earlier starts of the same keys made."""
    rows = db.execute(
        select(Call.connection_id, Call.start_key, Call.id, Call.callid).where(
            Call.connection_id.in_({connection_id for connection_id, _ in identities}),
            Call.start_key.in_([key for _, key in identities]),
        )
    )
    return {(row.connection_id, str(row.start_key)): StartTaken(call_id=row.id, callid=row.callid) for row in rows}
