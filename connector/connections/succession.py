"""A connection that is given another CRM: what the former one said is nothing to its successor."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection as SQLConnection
from sqlalchemy import and_, or_, select, update
from sqlalchemy.orm import aliased

from connector.delivery.outbox import leave_untold
from connector.models import REACHED_BY, Call, CallState, Delivery, DeliveryKind, DeliveryState
from crm_adapters.contract import Capability

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
    leave_untold(db, connection_id, capabilities, at)
    if Capability.EVERY_EVENT not in capabilities:
        _leave_recordings(db, connection_id, at)
    _forget_tries(db, connection_id, at)


def _leave_recordings(db: SQLConnection, connection_id: int, at: datetime) -> None:
    """Those of calls whose end the former CRM has heard: the successor does not know the call."""
    told = select(_Finish.id).where(
        _Finish.call_id == Delivery.call_id,
        _Finish.kind == DeliveryKind.FINISH,
        _Finish.state == DeliveryState.DONE,
    )
    db.execute(
        update(Delivery)
        .where(
            Delivery.connection_id == connection_id,
            Delivery.kind == DeliveryKind.RECORDING,
            Delivery.state.in_([DeliveryState.PENDING, DeliveryState.WAITING]),
            told.exists(),
        )
        .values(state=DeliveryState.EXPIRED, settled_at=at, error="another CRM was told of the call")
    )


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
