"""Writes the ends of calls: to the call that the callid names, else the open one with its numbers, else a new one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy import Connection as SQLConnection

from connector.calls.arrivals import Arrival, keep_event, new_call_id
from connector.calls.awaiting import RECORDED_APART, RECORDED_LATELY, SAME_MOMENT
from connector.calls.keys import end_key, start_key
from connector.calls.kinds import call_kind, call_note, is_employee
from connector.calls.matching import (
    MATCHING_WINDOW,
    EndedCall,
    OpenCall,
    ended_call,
    match_end,
    same_client,
    same_parties,
    same_recording,
)
from connector.calls.numbers import Parties, is_extension, parties
from connector.calls.plans import EndedRow, plan, plan_recording
from connector.connections.store import Connection
from connector.db import insert_or_ignore, wait_for_turn
from connector.evrotel.parser import EndEvent
from connector.models import Call, CallState, Dial, DialState
from crm_adapters.events import CallKind, Direction

REPEATS_WITHIN = timedelta(minutes=2)
"""An end that has numbers alone is taken for a repeat of an equal one so long after it."""


SAME_TALK = 2
"""By so many seconds may the talk time of an end differ from that of the call records."""


class Unplaceable(ValueError):
    """An end names neither a known call nor numbers."""


@dataclass(frozen=True, kw_only=True)
class NewEnd:
    """An end to be written, and what it says in the connection's terms."""

    connection: Connection
    arrival: Arrival
    event: EndEvent
    said: EndedCall
    key: str


def new_end(connection: Connection, event: EndEvent, arrival: Arrival) -> NewEnd:
    region = connection.get("phone_region")
    said = ended_call(event, connection.zone, region, arrival.at)
    key = end_key(event, region)
    if _says_not_which(event, said):
        key = f"{key[:40]}{arrival.at.timestamp():.6f}"  # nothing tells a repeat from the client's next try
    return NewEnd(connection=connection, arrival=arrival, event=event, said=said, key=key)


def _says_not_which(event: EndEvent, said: EndedCall) -> bool:
    """Whether the end has numbers alone, which are the same at the client's next call."""
    return not (event.callid or event.recfile or said.ended_at)


def write_end(db: SQLConnection, item: NewEnd) -> str:
    """Writes one end; returns its call's ID. A repeated end changes nothing. Raises Unplaceable."""
    call_id = _ended_by(db, item)
    if call_id is None:
        call = _named(db, item) or _meant(db, item)
        call_id = _from_end_alone(db, item) if call is None else _end(db, item, call)
    keep_event(db, item.connection.id, item.arrival, call_id=call_id, reason=None)
    return call_id


def _meant(db: SQLConnection, item: NewEnd) -> Any:
    """The call of an end without a known callid; None where there is none yet."""
    wait_for_turn(db, [item.connection.id])  # or its start, or its call record, is being written at this moment
    return _matched(db, item) or _same_start(db, item) or _just_ended(db, item) or _recorded(db, item)


def call_times(date: datetime | None, billsec: int, arrived_at: datetime) -> tuple[datetime, datetime]:
    """Start and end of a call that is known from its end alone.

    The PBX's `calldate` of an end is the end's in the operator's document, and the start's in some senders. The event
    arrives when the call ends, which tells them apart; where it does not, the document counts.
    """
    talk = timedelta(seconds=billsec)
    if date is None:
        return arrived_at - talk, arrived_at
    is_start = abs(arrived_at - (date + talk)) < abs(arrived_at - date) <= talk + timedelta(minutes=5)
    return (date, date + talk) if is_start else (date - talk, date)


def _ended_by(db: SQLConnection, item: NewEnd) -> str | None:
    """The call that this very end was written to before."""
    return db.execute(
        select(Call.id).where(Call.connection_id == item.connection.id, Call.end_key == item.key)
    ).scalar_one_or_none()


_CALL = (
    Call.id,
    Call.state,
    Call.direction,
    Call.client_number,
    Call.line,
    Call.extension,
    Call.started_at,
    Call.created_at,
    Call.recfile,
    Call.kind,
    Call.expected,
)


def _named(db: SQLConnection, item: NewEnd) -> Any:
    """The call whose callid the end brings home: what we answered, our own ID or the CRM's."""
    callid = item.event.callid
    if callid is None:
        return None
    for name in (Call.callid, Call.id, Call.crm_call_id):  # one by one: for an OR SQLite reads all calls there are
        query = select(*_CALL).where(Call.connection_id == item.connection.id, name == callid)
        if call := db.execute(query.order_by(Call.id.desc()).limit(1)).first():
            return call
    return None


def _direction(event: EndEvent) -> Direction:
    """The end's direction; where it gives none, what a short number on the calling side says."""
    return event.direction or (Direction.OUTGOING if is_extension(event.number_a) else Direction.INCOMING)


def _parties(item: NewEnd, direction: Direction) -> Parties:
    """Who is who, also where the call's direction is not the one that its end names."""
    event = item.event
    return item.said.parties.get(direction) or parties(
        direction, event.number_a, event.number_b, item.connection.get("phone_region")
    )


def _matched(db: SQLConnection, item: NewEnd) -> Any:
    """The open call with the end's numbers."""
    if not (item.event.number_a or item.event.number_b):
        return None
    rows = db.execute(
        select(*_CALL).where(
            Call.connection_id == item.connection.id,
            Call.state == CallState.OPEN,
            or_(*(_same_client(who) for who in item.said.parties.values())),
            Call.created_at >= item.arrival.at - MATCHING_WINDOW,
        )
    ).all()
    found = match_end(item.said, [_open_call(row) for row in rows])
    return next((row for row in rows if found and row.id == found.id), None)


def _same_client(who: Parties) -> ColumnElement[bool]:
    if who.client_number:
        return Call.client_number == who.client_number
    return and_(Call.client_number.is_(None), Call.line == who.line)


def _start_key(item: NewEnd, direction: Direction) -> str | None:
    event = item.event
    return start_key(direction, event.number_a, event.number_b, event.date, item.connection.get("phone_region"))


def _same_start(db: SQLConnection, item: NewEnd) -> Any:
    """A call of the same numbers, direction and date that has ended already: the end repeats its end in other words."""
    if not (item.event.number_a or item.event.number_b):
        return None
    keys = filter(None, (_start_key(item, direction) for direction in item.said.parties))
    return db.execute(
        select(*_CALL).where(Call.connection_id == item.connection.id, Call.start_key.in_(list(keys))).limit(1)
    ).first()


def _just_ended(db: SQLConnection, item: NewEnd) -> Any:
    """For an end with numbers alone: the call that ended a moment ago by one with the same words."""
    event = item.event
    if not _says_not_which(event, item.said) or not (event.number_a or event.number_b):
        return None
    query = select(*_CALL).where(
        Call.connection_id == item.connection.id,
        Call.state == CallState.ENDED,
        Call.direction.in_(list(item.said.parties)),
        or_(*(_same_client(who) for who in item.said.parties.values())),
        Call.disposition == event.disposition,
        Call.billsec == event.billsec,
        Call.created_at >= item.arrival.at - MATCHING_WINDOW,
        Call.updated_at >= item.arrival.at - REPEATS_WITHIN,
    )
    return db.execute(query.order_by(Call.updated_at.desc()).limit(1)).first()


def _recorded(db: SQLConnection, item: NewEnd) -> Any:
    """A call that was logged or ended from the call records before its own end came."""
    if not (item.event.number_a or item.event.number_b):
        return None
    query = select(*_CALL, Call.ended_at, Call.disposition, Call.billsec).where(
        Call.connection_id == item.connection.id,
        Call.state == CallState.ENDED,
        Call.linkedid.is_not(None),
        Call.end_key.is_(None),
        Call.direction.in_(list(item.said.parties)),
        or_(*(_same_client(who) for who in item.said.parties.values())),
        Call.created_at >= item.arrival.at - RECORDED_LATELY,
    )
    fitting = [(apart, row) for row in db.execute(query) if (apart := _apart_from(item, row)) is not None]
    return min(fitting, key=lambda pair: pair[0])[1] if fitting else None


def _apart_from(item: NewEnd, row: Any) -> tuple[bool, timedelta] | None:
    """How far the end is from a recorded call, those first whose words are the same; None where it is another's.

    Where the end's date or its recording says which call it is, the words may differ: of a call that went on from one
    extension to another the records name one talk of several.
    """
    said = _parties(item, Direction(row.direction))
    known = Parties(client_number=row.client_number, line=row.line, extension=row.extension)
    moments = [item.arrival.at, *([item.said.ended_at] if item.said.ended_at else [])]
    apart = min(_nearest(moment, row) for moment in moments)
    same_words = row.disposition == item.event.disposition and abs(row.billsec - item.event.billsec) <= SAME_TALK
    if same_words and apart <= RECORDED_APART and same_parties(said, known):
        return False, apart
    dated = item.said.ended_at is not None and _nearest(item.said.ended_at, row) <= SAME_MOMENT
    if same_recording(item.event.recfile, row.recfile) or (dated and same_client(said, known)):
        return True, apart
    return None


def _nearest(moment: datetime, row: Any) -> timedelta:
    known: tuple[datetime, datetime] = (row.started_at, row.ended_at)
    return min(abs(moment - there) for there in known)


def _open_call(row: Any) -> OpenCall:
    return OpenCall(
        id=row.id,
        direction=Direction(row.direction),
        parties=Parties(client_number=row.client_number, line=row.line, extension=row.extension),
        started_at=row.started_at,
        arrived_at=row.created_at,
        expected=row.expected,
    )


def _end(db: SQLConnection, item: NewEnd, call: Any) -> str:
    """Ends an open call. One that has ended only learns of a recording that the first end did not name."""
    call_id: str = call.id
    extension = _answering_extension(item, call)
    changed = db.execute(
        update(Call)
        .where(Call.id == call_id, Call.state == CallState.OPEN)
        .values(
            state=CallState.ENDED,
            end_key=item.key,
            ended_at=_end_time(item, call),
            disposition=item.event.disposition,
            billsec=item.event.billsec,
            recfile=item.event.recfile,
            extension=extension,
            expected=False,
            updated_at=item.arrival.at,
        )
    )
    if not changed.rowcount:  # where it was ended from the call records, what repeats this end is known by it
        db.execute(update(Call).where(Call.id == call_id, Call.end_key.is_(None)).values(end_key=item.key))
    if call.expected:
        db.execute(update(Dial).where(Dial.call_id == call_id).values(state=DialState.STARTED))
    if changed.rowcount:
        direction = Direction(call.direction)
        plan(db, _ended_call(item, call_id, direction, CallKind(call.kind), call.client_number))
    elif item.event.recfile and not call.recfile:
        db.execute(
            update(Call).where(Call.id == call_id).values(recfile=item.event.recfile, updated_at=item.arrival.at)
        )
        plan_recording(
            db, _ended_call(item, call_id, Direction(call.direction), CallKind(call.kind), call.client_number)
        )
    return call_id


def _ended_call(
    item: NewEnd, call_id: str, direction: Direction, kind: CallKind, client_number: str | None
) -> EndedRow:
    return EndedRow(
        connection=item.connection,
        call_id=call_id,
        direction=direction,
        kind=kind,
        client_number=client_number,
        disposition=item.event.disposition,
        billsec=item.event.billsec,
        recfile=item.event.recfile,
        at=item.arrival.at,
    )


def _end_time(item: NewEnd, call: Any) -> datetime:
    """The PBX's date where it is later than the start's; else the start and as long as the call lasted for us."""
    date = item.said.ended_at
    if date and date > call.started_at:
        return date
    lasted = max(item.arrival.at - call.created_at, timedelta(seconds=item.event.billsec))
    ended_at: datetime = call.started_at + lasted
    return ended_at


def _answering_extension(item: NewEnd, call: Any) -> str | None:
    """A call to a line may end with the number of the extension that answered it."""
    extension: str | None = _parties(item, Direction(call.direction)).extension
    return extension or call.extension


def _from_end_alone(db: SQLConnection, item: NewEnd) -> str:
    event = item.event
    direction = _direction(event)
    who = _parties(item, direction)
    if not (who.client_number or who.line or who.extension):
        raise Unplaceable("the end has no callid that is known and no numbers")
    started_at, ended_at = call_times(item.said.ended_at, event.billsec, item.arrival.at)
    inner = is_employee(db, item.connection, who.client_number)
    call_id, kind = new_call_id(), call_kind(item.connection, direction, event.number_a, inner=inner)
    row = {
        "id": call_id,
        "connection_id": item.connection.id,
        "start_key": _start_key(item, direction),
        "end_key": item.key,
        "callid": call_id,
        "direction": direction,
        "client_number": who.client_number,
        "line": who.line,
        "extension": who.extension,
        "started_at": started_at,
        "ended_at": ended_at,
        "disposition": event.disposition,
        "billsec": event.billsec,
        "recfile": event.recfile,
        "kind": kind,
        "state": CallState.ENDED,
        "source": "event",
        "awaits_start": True,
        "note": call_note(item.connection, who.client_number, kind),
        "created_at": item.arrival.at,
        "updated_at": item.arrival.at,
    }
    statement = insert_or_ignore(db, Call, ["connection_id", "end_key"]).returning(Call.id)
    if db.execute(statement, row).first() is None:
        return str(_ended_by(db, item))  # another process wrote the same end a moment ago
    plan(db, _ended_call(item, call_id, direction, kind, who.client_number))
    return call_id
