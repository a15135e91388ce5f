"""What becomes of requests: the visitor is told, those that are due begin, those that nobody picked up are tried again.

A worker's work; each step is claimed in the database, so that two workers make one call.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, func, select, update

from connector.callback.announcing import finished
from connector.callback.button import Button, button_of
from connector.callback.requests import dial_request
from connector.click_to_call.dial_requests import AskedBefore, keep_request
from connector.connections.store import Connection
from connector.db import now
from connector.delivery.announcements import CALLBACK_FINISHED, announce
from connector.deployment import Deployment
from connector.log import about
from connector.models import Call, CallbackRequest, CallbackState, CallState, Dial, DialState
from crm_adapters.events import Disposition

logger = logging.getLogger(__name__)

TRY_AGAIN_AFTER = timedelta(minutes=5)
SPACING_SECONDS = 60.0
"""Between scheduled calls of a connection: all that waited for its opening must not ring at once."""
LOOKED_AT = 200
SHOWN = 100
CALLING_OPERATOR, CALLING_CLIENT = "calling_operator", "calling_client"


@dataclass(frozen=True, kw_only=True)
class Status:
    """What a visitor is told: the state, and when the call comes where that is not now."""

    id: str
    state: str
    due_at: datetime | None


def status_of(here: Deployment, connection: Connection, request_id: str) -> Status | None:
    """What has become of a request, None where this connection has none of this ID."""
    query = _ROWS.where(CallbackRequest.connection_id == connection.id, CallbackRequest.id == request_id)
    with here.database.read() as db:
        row = db.execute(query).first()
    if row is None:
        return None
    if row.state == CallbackState.CALLING and _is_over(row):
        _settle(here, connection, row)
        return status_of(here, connection, request_id)
    due_at = row.due_at.astimezone(connection.zone) if row.state == CallbackState.SCHEDULED else None
    return Status(id=row.id, state=shown_state(row), due_at=due_at)


def latest_requests(here: Deployment, connection: Connection) -> Sequence[Any]:
    """A connection's requests with the states of their calls, the newest first."""
    query = _ROWS.where(CallbackRequest.connection_id == connection.id)
    with here.database.read() as db:
        return db.execute(query.order_by(CallbackRequest.created_at.desc()).limit(SHOWN)).all()


def shown_state(row: Any) -> str:
    """The state of a request as people are told of it."""
    if row.state == CallbackState.SCHEDULED and row.attempts:
        return CallbackState.NO_OPERATOR  # and it is tried once more
    if row.state != CallbackState.CALLING or _is_over(row):
        return str(row.state)
    return CALLING_OPERATOR if row.expected else CALLING_CLIENT


def outcome_of(row: Any) -> CallbackState:
    """How a try ended whose call is over."""
    if row.disposition == Disposition.ANSWERED:
        return CallbackState.CONNECTED
    if row.dial_state == DialState.FAILED:
        return CallbackState.NO_OPERATOR if row.reason == "no_start" else CallbackState.FAILED
    return CallbackState.NO_CLIENT if row.disposition else CallbackState.FAILED


def work_callbacks(here: Deployment) -> None:
    """Settles the requests whose calls are over, and begins those that are due."""
    with here.database.read() as db:
        over = db.execute(_ROWS.where(CallbackRequest.state == CallbackState.CALLING, _OVER).limit(LOOKED_AT)).all()
        due = db.execute(_ROWS.where(CallbackRequest.id.in_(_first_due()))).all()
    for row in over:
        if connection := here.connections.by_id(row.connection_id):
            _settle(here, connection, row)
    for row in due:
        if connection := here.connections.by_id(row.connection_id):
            _begin(here, connection, row)


_ROWS = (
    select(
        *CallbackRequest.__table__.columns,
        Call.state.label("call_state"),
        Call.callid,
        Call.expected,
        Call.disposition,
        Dial.state.label("dial_state"),
        Dial.reason,
    )
    .outerjoin(Call, Call.id == CallbackRequest.call_id)
    .outerjoin(Dial, Dial.call_id == Call.id)
)
_OVER = (Call.state == CallState.ENDED) | Call.id.is_(None)


def _is_over(row: Any) -> bool:
    return bool(row.call_state != CallState.OPEN)


def _first_due() -> Select[Any]:
    """The first request of each connection that is due: however many wait at one, the others need not."""
    turn = func.row_number().over(partition_by=CallbackRequest.connection_id, order_by=CallbackRequest.due_at)
    due = (CallbackRequest.state == CallbackState.SCHEDULED, CallbackRequest.due_at <= now())
    waiting = select(CallbackRequest.id, turn.label("turn")).where(*due).subquery()
    return select(waiting.c.id).where(waiting.c.turn == 1)


def _settle(here: Deployment, connection: Connection, row: Any) -> None:
    """Writes down how the try ended, or when the next one is."""
    at, outcome = now(), outcome_of(row)
    again = _again_at(button_of(connection), row, outcome, at)
    changes: dict[str, Any] = {"state": outcome, "updated_at": at}
    if again is not None:
        changes |= {"state": CallbackState.SCHEDULED, "due_at": again}
    mine = (
        CallbackRequest.id == row.id,
        CallbackRequest.state == CallbackState.CALLING,
        CallbackRequest.attempts == row.attempts,
    )
    with here.database.write() as db:
        if db.execute(update(CallbackRequest).where(*mine).values(changes)).rowcount:
            logger.info("a request of the call-back button: %s", outcome, extra=about(row.call_id or ""))
            if again is None:
                data = finished(connection, row._mapping, outcome)  # noqa: SLF001 - public by its documentation
                announce(db, connection, CALLBACK_FINISHED, data, key=row.id, at=at)
                here.database.wake_workers(db)


def _again_at(button: Button, row: Any, outcome: CallbackState, at: datetime) -> datetime | None:
    """When the next try is: nobody of ours picked up, and somebody still works then. Else None."""
    nobody = outcome is CallbackState.NO_OPERATOR or row.reason == "unreachable"
    again = at + TRY_AGAIN_AFTER
    return again if nobody and row.attempts < button.attempts and button.hours.is_open(again) else None


def _begin(here: Deployment, connection: Connection, row: Any) -> None:
    """Has a request that is due called, within working hours, one a minute."""
    at, button = now(), button_of(connection)
    opening = button.hours.next_open(at)
    if opening != at:
        _put_off(here, row, opening or at + timedelta(days=1))
        return
    if here.limiter.take(f"callback|{connection.id}", burst=1, per_second=1 / SPACING_SECONDS) > 0:
        return
    try:
        with here.database.write() as db:
            tries = row.attempts + 1
            changes = {"state": CallbackState.CALLING, "attempts": tries, "updated_at": at}
            if not db.execute(_waiting(row).values(changes)).rowcount:
                return  # another worker was faster
            wanted = dial_request(connection, button.extensions, row.id, row.number, tries)
            call_id = keep_request(db, connection, wanted, at)
            db.execute(update(CallbackRequest).where(CallbackRequest.id == row.id).values(call_id=call_id))
            here.database.wake_workers(db)
    except AskedBefore:  # the client asked at another place a moment ago
        _put_off(here, row, at + timedelta(minutes=1))


def _put_off(here: Deployment, row: Any, due_at: datetime) -> None:
    with here.database.write() as db:
        db.execute(_waiting(row).values(due_at=due_at))


def _waiting(row: Any) -> Any:
    """The request as long as it waits for its time and nothing has changed since it was read."""
    return update(CallbackRequest).where(
        CallbackRequest.id == row.id,
        CallbackRequest.state == CallbackState.SCHEDULED,
        CallbackRequest.attempts == row.attempts,
    )
