"""Compares a day of Evrotel's call records with our calls, and mends what is missing on our side.

Each record is a transaction of its own: who dies in the middle has done some of them, and the next comparison goes on.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Connection as SQLConnection
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, IntegrityError

from connector.calls.arrivals import first_call_id, new_call_id
from connector.calls.numbers import Parties
from connector.connections.store import Connection
from connector.db import MOST_TRIES, met_another, now, wait_for_turn
from connector.deployment import Deployment
from connector.evrotel.client import EvrotelClient, RecordsAnswer, Verdict
from connector.evrotel.records import CallRecord, SkippedRow, call_records
from connector.log import about
from connector.models import Call, CallState
from connector.reconciliation.matching import OurCall, match_records
from connector.reconciliation.writing import Change, bring_up_to_date, log_call
from crm_adapters.events import Direction

logger = logging.getLogger(__name__)

MARGIN = timedelta(hours=15)
"""So far apart may the records' time of a call and ours be, where the connection's time zone is set wrong."""

CLOCKS_APART = timedelta(minutes=1)
"""So far apart may be the clocks of our machines, by which calls get their IDs."""


class NoRecords(Exception):
    """The records can't be read; the message says why, for people."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What a day's comparison found: `rows` of the records, `calls` they are, and what was done about them."""

    day: date
    rows: int
    calls: int
    known: int
    logged: int
    finished: int
    recordings: int
    fresh: int
    skipped: Sequence[SkippedRow]


@dataclass(frozen=True, kw_only=True)
class _OurCalls:
    by_id: Mapping[str, OurCall]
    read_at: datetime


def compare(deployment: Deployment, connection: Connection, day: date, *, grace: timedelta = timedelta()) -> Comparison:
    """Compares one day of the PBX's zone. Calls that ended less than `grace` ago are left to their events.

    Raises NoRecords and what the database raises.
    """
    rows = _rows(EvrotelClient(deployment.settings, connection), connection, day)
    at = now()
    records, skipped = call_records(rows, connection.zone, connection.get("phone_region"), at)
    old = [record for record in records if not grace or record.ended_at <= at - grace]
    ours = _our_calls(deployment, connection, day)
    found = match_records(old, list(ours.by_id.values()))
    changes: Counter[Change] = Counter()
    for record in old:
        call_id = found.get(record.key)
        is_done = call_id is not None and _says_nothing_new(record, ours.by_id[call_id])
        changes[Change.NOTHING if is_done else _mend(deployment, connection, record, call_id, ours)] += 1
    for row in skipped:
        logger.info("connection %s: the record %s was skipped: %s", connection.name, row.name, row.why)
    return Comparison(
        day=day,
        rows=len(rows),
        calls=len(records),
        known=changes[Change.NOTHING],
        logged=changes[Change.LOGGED],
        finished=changes[Change.FINISHED],
        recordings=changes[Change.RECORDING],
        fresh=len(records) - len(old),
        skipped=skipped,
    )


def _rows(client: EvrotelClient, connection: Connection, day: date) -> list[Any]:
    """The rows of both lists; the autodial's own may be missing where Evrotel has none for this account."""
    if not connection.get("evrotel_billcode"):
        raise NoRecords("the connection has no billcode: connector connection set NAME evrotel_billcode=...")
    calls, autodial = client.records(day), client.records(day, auto=True)
    if calls.verdict is not Verdict.ACCEPTED:
        raise NoRecords(_why(calls))
    if autodial.verdict is not Verdict.ACCEPTED:
        logger.info("connection %s: there are no autodial records: %s", connection.name, _why(autodial))
    return [*calls.rows, *autodial.rows]


def _why(answer: RecordsAnswer) -> str:
    match answer.verdict:
        case Verdict.UNREACHABLE | Verdict.UNCLEAR:
            return f"Evrotel's call records can't be reached: {answer.text}"
        case _:
            return f"Evrotel gave no call records: {answer.text[:100] or 'an empty answer'}"


def _our_calls(deployment: Deployment, connection: Connection, day: date) -> _OurCalls:
    """Calls of the day and a little around it."""
    read_at = now()
    begin = datetime.combine(day, time.min, connection.zone)
    query = select(*_COLUMNS).where(
        Call.connection_id == connection.id,
        Call.started_at.between(begin - MARGIN, begin + timedelta(days=1) + MARGIN),
    )
    with deployment.database.read() as db:
        return _OurCalls(by_id={row.id: _our_call(row) for row in db.execute(query)}, read_at=read_at)


_COLUMNS = (
    Call.id,
    Call.direction,
    Call.client_number,
    Call.line,
    Call.extension,
    Call.started_at,
    Call.ended_at,
    Call.billsec,
    Call.recfile,
    Call.linkedid,
    Call.expected,
    Call.state,
    Call.created_at,
)


def _came_meanwhile(db: SQLConnection, connection: Connection, record: CallRecord, ours: _OurCalls) -> str | None:
    """The record's call, where its event came after our calls were read."""
    query = select(*_COLUMNS).where(
        Call.connection_id == connection.id,
        Call.client_number == record.parties.client_number,  # IS NULL where it is withheld
        Call.id >= first_call_id(ours.read_at - CLOCKS_APART),
    )
    fresh = [_our_call(row) for row in db.execute(query) if row.id not in ours.by_id]
    return match_records([record], fresh).get(record.key)


def _says_nothing_new(record: CallRecord, call: OurCall) -> bool:
    """Whether all that the record could change was done before: as nearly always, so that nothing need be written."""
    has_recording = call.recfile or not record.recfile or not (record.billsec or call.billsec)
    return call.key == record.key and call.ended_at is not None and bool(has_recording)


def _our_call(row: Any) -> OurCall:
    return OurCall(
        id=row.id,
        direction=Direction(row.direction),
        parties=Parties(client_number=row.client_number, line=row.line, extension=row.extension),
        started_at=row.started_at,
        ended_at=row.ended_at if row.state == CallState.ENDED else None,
        billsec=row.billsec,
        recfile=row.recfile,
        key=row.linkedid,
        expected=row.expected,
        arrived_at=row.created_at,
    )


def _mend(
    deployment: Deployment,
    connection: Connection,
    record: CallRecord,
    call_id: str | None,
    ours: _OurCalls,
) -> Change:
    """What the record changes. Where others write the same call at this moment it is looked at again with theirs."""
    for _ in range(MOST_TRIES):
        try:
            with deployment.database.write() as db:
                change, mended = _write(db, connection, record, call_id, ours)
                if change is not Change.NOTHING:
                    deployment.database.wake_workers(db)
        except DBAPIError as error:
            if not (met_another(error) or isinstance(error, IntegrityError)):
                raise
        else:
            if change is not Change.NOTHING:
                logger.info("from the call records: %s", change, extra=about(mended))
            return change
    return Change.NOTHING  # the next comparison does what is left


def _write(
    db: SQLConnection,
    connection: Connection,
    record: CallRecord,
    call_id: str | None,
    ours: _OurCalls,
) -> tuple[Change, str]:
    """What was changed, and the ID of the call."""
    if call_id is None:
        wait_for_turn(db, [connection.id])
        call_id = _came_meanwhile(db, connection, record, ours)
    if call_id is None:
        new = new_call_id()
        return log_call(db, connection, record, new, now()), new
    return bring_up_to_date(db, connection, record, call_id, now()), call_id
