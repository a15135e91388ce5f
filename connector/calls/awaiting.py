"""Calls that were there before their start: those that we had Evrotel dial, and those whose end overtook it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection as SQLConnection
from sqlalchemy import and_, bindparam, func, or_, select, update

from connector.calls.arrivals import NewStart, StartTaken
from connector.calls.matching import same_client, same_parties
from connector.calls.numbers import Parties
from connector.models import Call, CallState, Dial, DialState
from crm_adapters.events import CallKind, Direction

LONGEST_AWAITED = timedelta(minutes=20)
"""No call that we had dialled waits longer for its start; each has a time of its own (`Dial.expires_at`)."""
LATE_START = timedelta(minutes=2)
"""How long after an end that came alone its start is still taken for the same call's."""
RECORDED_LATELY = timedelta(days=2)
"""How long after a call was logged from the call records its own events may still come."""
RECORDED_APART = timedelta(minutes=2)
"""How far the times that the records and the events of one call name may be apart."""
SAME_MOMENT = timedelta(seconds=10)
"""So near they are one client's one call, also where they name different extensions."""

_CANDIDATES = (
    select(
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
        Call.linkedid,
        Dial.extensions.label("dial_extensions"),
        Dial.mediafile,
    )
    .outerjoin(Dial, Dial.call_id == Call.id)
    .where(
        Call.connection_id.in_(bindparam("connections", expanding=True)),
        or_(Call.client_number.in_(bindparam("numbers", expanding=True)), Call.client_number.is_(None)),
        or_(
            and_(
                Call.state == CallState.ENDED,
                Call.awaits_start.is_(True),
                or_(
                    Call.created_at >= bindparam("late_start"),
                    and_(Call.linkedid.is_not(None), Call.created_at >= bindparam("recorded")),
                ),
            ),
            and_(
                Call.state == CallState.OPEN,
                Call.expected.is_(True),
                Call.created_at >= bindparam("oldest"),
                Dial.state.in_([DialState.SENT, DialState.ACCEPTED]),  # before that Evrotel knows nothing of it
            ),
        ),
    )
    .order_by(Call.id)
)


def calls_without_start(db: SQLConnection, items: Sequence[NewStart]) -> Sequence[Any]:
    """Calls, not long ago, that were made from an end alone or for a request to dial, and might be these starts'."""
    at = min(item.arrival.at for item in items)
    return db.execute(
        _CANDIDATES,
        {
            "connections": list({item.connection.id for item in items}),
            "numbers": list({item.parties.client_number for item in items}),
            "late_start": at - LATE_START,
            "recorded": at - RECORDED_LATELY,
            "oldest": at - LONGEST_AWAITED,
        },
    ).all()


def take_asked_for(
    db: SQLConnection, items: Sequence[NewStart], expected: Sequence[Any]
) -> dict[tuple[int, str], StartTaken]:
    """Calls that we had Evrotel dial: their start belongs to them, once. Of several the oldest with that extension."""
    found: dict[tuple[int, str], StartTaken] = {}
    for item in sorted(items, key=lambda item: item.identity):
        fitting = [row for row in expected if item.identity not in found and _is_asked_for(item, row)]
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
                found[item.identity] = StartTaken(call_id=row.id, callid=callid)
                break
    return found


def _is_asked_for(item: NewStart, row: Any) -> bool:
    return (
        row.connection_id == item.connection.id
        and item.event.direction is Direction.OUTGOING
        and row.client_number is not None
        and row.client_number == item.parties.client_number
        and _is_rung_for(item, row)
    )


def _is_rung_for(item: NewStart, row: Any) -> bool:
    """Whether the start comes from a phone that was to ring, or from a line, which says nothing of phones."""
    extension = item.parties.extension
    if extension is None:
        return True
    if row.mediafile:
        return item.kind is CallKind.AUTODIAL
    return extension in row.dial_extensions


def take_ended(
    db: SQLConnection, items: Sequence[NewStart], orphans: Sequence[Any]
) -> dict[tuple[int, str], StartTaken]:
    """Calls whose end overtook their start: the start belongs to the call that was made from the end alone."""
    found: dict[tuple[int, str], StartTaken] = {}
    for item in items:
        for row in orphans:
            if row.id not in {taken.call_id for taken in found.values()} and _may_start(item, row):
                found[item.identity] = StartTaken(call_id=row.id, callid=row.callid or row.id)
                db.execute(
                    update(Call)
                    .where(Call.id == row.id)
                    .values(
                        start_key=item.key,
                        awaits_start=False,
                        started_at=row.started_at if row.linkedid else min(item.started_at, row.ended_at),
                        line=row.line or item.parties.line,
                        extension=row.extension or item.parties.extension,
                    )
                )
                break
    return found


def _may_start(item: NewStart, row: Any) -> bool:
    known = Parties(client_number=row.client_number, line=row.line, extension=row.extension)
    is_recorded = row.linkedid and abs(item.started_at - row.started_at) <= SAME_MOMENT
    return (
        row.connection_id == item.connection.id
        and row.direction == item.event.direction
        and (same_client if is_recorded else same_parties)(item.parties, known)
        and _fits_in_time(item, row)
    )


def _fits_in_time(item: NewStart, row: Any) -> bool:
    """Whether the start may be that of a call that has ended: one that begins later is the client's next one."""
    ended_at: datetime = row.ended_at
    is_apart = row.linkedid and abs(item.started_at - row.started_at) > RECORDED_APART
    return not is_apart and item.started_at <= ended_at + timedelta(seconds=5)
