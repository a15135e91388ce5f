"""A connection that is given another CRM: what the former one said is nothing to its successor."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy import Connection as SQLConnection
from sqlalchemy.orm import aliased

from connector.models import REACHED_BY, Call, CallState, Delivery, DeliveryKind, DeliveryState
from crm_adapters.contract import TOLD_TO, Capability
from crm_adapters.events import (
    Announced,
    CallEnded,
    CallMissed,
    CallReturned,
    CallStarted,
    EmployeeNotice,
    Event,
    RecordingReady,
    WorkflowAnswer,
)

logger = logging.getLogger(__name__)

_TOLD_AS: Mapping[DeliveryKind, type[Event]] = {
    DeliveryKind.START: CallStarted,
    DeliveryKind.FINISH: CallEnded,
    DeliveryKind.RECORDING: RecordingReady,
    DeliveryKind.TASK: CallMissed,
    DeliveryKind.RETURNED: CallReturned,
    DeliveryKind.NOTICE: EmployeeNotice,
    DeliveryKind.WORKFLOW: WorkflowAnswer,
    DeliveryKind.ANNOUNCEMENT: Announced,
}
"""What a delivery of each kind tells."""
_UNTOLD = (DeliveryState.PENDING, DeliveryState.WAITING, DeliveryState.DEAD)
TASKS_MATTER = timedelta(days=60)
"""Longer ago than any task that is still looked at."""
_Finish = aliased(Delivery)


def hand_over(db: SQLConnection, connection_id: int, capabilities: frozenset[Capability], at: datetime) -> None:
    """What is still to be told goes to the successor, which declares `capabilities`, as if nobody had been asked yet;
    what it does not hear, or can't understand without what was told before, stays in the journal."""
    # The calls before their deliveries, as an end has them: else the two deadlock.
    untold = select(Delivery.id).where(Delivery.call_id == Call.id, Delivery.state.in_(_UNTOLD)).exists()
    db.execute(
        update(Call)
        .where(Call.connection_id == connection_id, or_(Call.state == CallState.OPEN, untold))
        .values(crm_call_id=None, crm_user_id=None, crm_notes={})
    )
    unheard = [kind for kind, event in _TOLD_AS.items() if not TOLD_TO[event] & capabilities]
    _leave(db, connection_id, at, "the connection's CRM is another now", Delivery.kind.in_(unheard))
    if Capability.WITHHELD not in capabilities:
        _leave(db, connection_id, at, "calls from withheld numbers are not told", _of_withheld_number())
    if Capability.EVERY_EVENT not in capabilities:
        _leave(db, connection_id, at, "another CRM was told of the call", _recording_of_a_told_call())
        db.execute(  # no card opens long after the call
            update(Delivery)
            .where(
                Delivery.connection_id == connection_id,
                Delivery.kind == DeliveryKind.START,
                Delivery.state == DeliveryState.PENDING,
                Delivery.expires_at.is_(None),
            )
            .values(expires_at=at)
        )
    _forget_tries(db, connection_id, at)
    _say_what_is_left(db, connection_id, at)


def _leave(db: SQLConnection, connection_id: int, at: datetime, why: str, which: ColumnElement[bool]) -> None:
    waits = Delivery.state.in_([DeliveryState.PENDING, DeliveryState.WAITING])
    db.execute(
        update(Delivery)
        .where(Delivery.connection_id == connection_id, waits, which)
        .values(state=DeliveryState.EXPIRED, settled_at=at, error=why)
    )


def _of_withheld_number() -> ColumnElement[bool]:
    return select(Call.id).where(Call.id == Delivery.call_id, func.coalesce(Call.client_number, "") == "").exists()


def _recording_of_a_told_call() -> ColumnElement[bool]:
    """The successor does not know a call whose end the former CRM has heard."""
    told = select(_Finish.id).where(
        _Finish.call_id == Delivery.call_id,
        _Finish.kind == DeliveryKind.FINISH,
        _Finish.state == DeliveryState.DONE,
    )
    return and_(Delivery.kind == DeliveryKind.RECORDING, told.exists())


def _forget_tries(db: SQLConnection, connection_id: int, at: datetime) -> None:
    """How far the former CRM had got, and its IDs of tasks: in another one they are somebody else's."""
    is_task = and_(Delivery.kind == DeliveryKind.TASK, Delivery.created_at >= at - TASKS_MATTER)
    rows = db.execute(
        select(Delivery.id, Delivery.progress)
        .where(Delivery.connection_id == connection_id, or_(Delivery.state.in_(_UNTOLD), is_task))
        .order_by(Delivery.id)
    ).all()
    for row in rows:
        ours = {key: value for key, value in row.progress.items() if key == REACHED_BY}
        if ours != row.progress:
            db.execute(update(Delivery).where(Delivery.id == row.id).values(progress=ours))
    db.execute(
        update(Delivery)
        .where(Delivery.connection_id == connection_id, Delivery.state == DeliveryState.PENDING)
        .values(attempts=0, error=None, failed_at=None, due_at=at)
    )


def _say_what_is_left(db: SQLConnection, connection_id: int, at: datetime) -> None:
    left = db.execute(
        select(func.count()).where(
            Delivery.connection_id == connection_id,
            Delivery.state == DeliveryState.EXPIRED,
            Delivery.settled_at == at,
        )
    ).scalar_one()
    if left:
        logger.warning("connection %s: %s deliveries to the former CRM stay in the journal", connection_id, left)
