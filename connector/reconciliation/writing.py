"""What a call record changes: a call that we never heard of is logged, an open one is ended, a recording is added."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection as SQLConnection
from sqlalchemy import func, select, update

from connector.calls.keys import start_key
from connector.calls.kinds import call_kind, call_note, is_employee
from connector.calls.plans import EndedRow, plan, plan_recording
from connector.connections.store import Connection
from connector.db import insert_or_ignore
from connector.evrotel.records import CallRecord
from connector.models import Call, CallState, Dial, DialState
from crm_adapters.events import CallKind


class Change(StrEnum):
    """What a record has changed."""

    NOTHING = "nothing"
    LOGGED = "logged"
    FINISHED = "finished"
    RECORDING = "recording"


def log_call(db: SQLConnection, connection: Connection, record: CallRecord, call_id: str, at: datetime) -> Change:
    """Writes a call that we never heard of, with a new ID, for the CRM to be told silently; nothing where somebody was
    faster."""
    who = record.parties
    inner = is_employee(db, connection, who.client_number)
    kind = call_kind(connection, record.direction, record.number_a, inner=inner)
    key = start_key(record.direction, record.number_a, record.number_b, record.date, connection.get("phone_region"))
    if key is not None and _has_start(db, connection, key):
        return Change.NOTHING  # its start came while we compared
    row = {
        "id": call_id,
        "connection_id": connection.id,
        "start_key": key,
        "callid": call_id,
        "linkedid": record.key,
        "direction": record.direction,
        "client_number": who.client_number,
        "line": who.line,
        "extension": who.extension,
        "started_at": record.started_at,
        "ended_at": record.ended_at,
        "disposition": record.disposition,
        "billsec": record.billsec,
        "recfile": record.recfile,
        "kind": kind,
        "state": CallState.ENDED,
        "source": "records",
        "awaits_start": True,
        "note": call_note(connection, who.client_number, kind),
        "created_at": at,
        "updated_at": at,
    }
    made = insert_or_ignore(db, Call, ["connection_id", "linkedid"]).returning(Call.id)
    if db.execute(made, row).first() is None:
        return Change.NOTHING
    plan(db, _ended(connection, record, call_id, kind, at, silent=True))
    return Change.LOGGED


def bring_up_to_date(
    db: SQLConnection, connection: Connection, record: CallRecord, call_id: str, at: datetime
) -> Change:
    """Ends an open call as the record says, or adds the recording that its end did not name."""
    row = db.execute(select(*_COLUMNS).where(Call.id == call_id).with_for_update()).first()
    if row is None:
        return Change.NOTHING
    taken = select(Call.id).where(Call.connection_id == connection.id, Call.linkedid == record.key).exists()
    db.execute(update(Call).where(Call.id == call_id, Call.linkedid.is_(None), ~taken).values(linkedid=record.key))
    if row.state == CallState.OPEN:
        return _finish(db, connection, record, row, at)
    if record.recfile and not row.recfile and (record.billsec or row.billsec):
        db.execute(update(Call).where(Call.id == call_id).values(recfile=record.recfile, updated_at=at))
        plan_recording(db, _ended(connection, record, call_id, CallKind(row.kind), at))
        return Change.RECORDING
    return Change.NOTHING


_COLUMNS = (
    Call.id,
    Call.state,
    Call.kind,
    Call.expected,
    Call.extension,
    Call.started_at,
    Call.recfile,
    Call.billsec,
    Call.crm_call_id,
)


def _finish(db: SQLConnection, connection: Connection, record: CallRecord, row: Any, at: datetime) -> Change:
    started_at = record.started_at if row.expected else row.started_at
    changed = db.execute(
        update(Call)
        .where(Call.id == row.id, Call.state == CallState.OPEN)
        .values(
            state=CallState.ENDED,
            callid=func.coalesce(Call.callid, Call.id),
            expected=False,
            awaits_start=row.expected,
            started_at=started_at,
            ended_at=max(record.ended_at, started_at),
            disposition=record.disposition,
            billsec=record.billsec,
            recfile=record.recfile,
            extension=record.parties.extension or row.extension,
            updated_at=at,
        )
    )
    if not changed.rowcount:
        return Change.NOTHING
    if row.expected:
        db.execute(update(Dial).where(Dial.call_id == row.id).values(state=DialState.STARTED))
    in_crm = row.crm_call_id is not None
    plan(db, _ended(connection, record, row.id, CallKind(row.kind), at, in_crm=in_crm))
    return Change.FINISHED


def _ended(
    connection: Connection, record: CallRecord, call_id: str, kind: CallKind, at: datetime, **more: bool
) -> EndedRow:
    return EndedRow(
        connection=connection,
        call_id=call_id,
        direction=record.direction,
        kind=kind,
        client_number=record.parties.client_number,
        disposition=record.disposition,
        billsec=record.billsec,
        recfile=record.recfile,
        at=at,
        **more,
    )


def _has_start(db: SQLConnection, connection: Connection, key: str) -> bool:
    known = select(Call.id).where(Call.connection_id == connection.id, Call.start_key == key)
    return db.execute(known).first() is not None
