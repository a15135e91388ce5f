"""Queues what the CRM must hear of an ended call, in the transaction that ends it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection as SQLConnection
from sqlalchemy import insert, or_, select, update

from connector.calls.kinds import tellable
from connector.calls.numbers import is_extension
from connector.connections.store import Connection
from connector.db import insert_or_ignore
from connector.delivery.outbox import delivery_row
from connector.models import (
    REACHED_BY,
    Call,
    Delivery,
    DeliveryKind,
    DeliveryState,
    Dial,
    DialOrigin,
    Recording,
    RecordingState,
)
from crm_adapters.contract import Capability
from crm_adapters.events import CallKind, Direction, Disposition

TASKS_LAST = timedelta(days=30)
"""So long a task stands for all missed calls of its client, and is completed when the client is reached."""


@dataclass(frozen=True, kw_only=True)
class EndedRow:
    """A call that has just ended, or only now told of its recording. `at` is when."""

    connection: Connection
    call_id: str
    direction: Direction
    kind: CallKind
    client_number: str | None
    disposition: Disposition
    billsec: int
    recfile: str | None
    at: datetime
    in_crm: bool = False
    """Whether the CRM has registered the call by itself: then it has to hear the end whatever the number is."""
    silent: bool = False
    """Whether it is logged long after: nobody is to be told that somebody has to do something now."""

    @property
    def tellable(self) -> bool:
        return self.in_crm or tellable(self.connection, self.client_number, self.kind)

    @property
    def answered(self) -> bool:
        return self.disposition is Disposition.ANSWERED

    @property
    def of_client(self) -> bool:
        """Whether somebody outside is on the line."""
        return self.client_number is not None and not is_extension(self.client_number)

    @property
    def leaves_a_task(self) -> bool:
        """Whether a client tried to reach somebody and did not."""
        wanted = self.direction is Direction.INCOMING or self.kind is CallKind.CALLBACK
        somebody = self.of_client or (self.client_number is None and self.tellable)
        return wanted and somebody and not self.answered and not self.silent

    @property
    def reaches_the_client(self) -> bool:
        """Whether somebody talked to the client; a message that was played is no talk."""
        return self.answered and self.of_client and self.kind is not CallKind.AUTODIAL


def plan(db: SQLConnection, call: EndedRow) -> None:
    """All deliveries of a call that has ended."""
    rows: list[dict[str, Any]] = []
    connection = call.connection
    if connection.can(Capability.FINISH) and call.tellable:
        # A start that nobody tries just now comes too late: the finish tells the call whole.
        db.execute(
            update(Delivery)
            .where(
                Delivery.call_id == call.call_id,
                Delivery.kind == DeliveryKind.START,
                Delivery.state == DeliveryState.PENDING,
                Delivery.expires_at.is_not(None),
                or_(Delivery.claimed_until.is_(None), Delivery.claimed_until < call.at),
            )
            .values(state=DeliveryState.EXPIRED, settled_at=call.at, error="told with the end of the call")
        )
        rows.append(_row(call, DeliveryKind.FINISH))
    if connection.can(Capability.TASK) and call.leaves_a_task:
        rows.append(_row(call, DeliveryKind.TASK))
    if connection.can(Capability.WORKFLOW) and call.direction is Direction.OUTGOING and _workflow_waits(db, call):
        rows.append(_row(call, DeliveryKind.WORKFLOW))
    if rows:
        db.execute(insert(Delivery), rows)
    if connection.can(Capability.TASK) and call.reaches_the_client:
        _plan_returned(db, call)
    plan_recording(db, call)


def plan_recording(db: SQLConnection, call: EndedRow) -> None:
    """The recording that an end promises, and the delivery that waits for it."""
    connection, at = call.connection, call.at
    if call.recfile and (call.answered or call.billsec):
        row = {
            "call_id": call.call_id,
            "connection_id": connection.id,
            "recfile": call.recfile,
            "state": RecordingState.PENDING,
            "attempts": 0,
            "due_at": at,
            "link_nonce": secrets.token_hex(16),
            "created_at": at,
        }
        db.execute(insert_or_ignore(db, Recording, ["call_id"]), row)
        if connection.can(Capability.RECORDING) and call.tellable:
            waiting = _row(call, DeliveryKind.RECORDING, state=DeliveryState.WAITING)
            db.execute(insert_or_ignore(db, Delivery, ["call_id", "kind"]), waiting)


def _row(call: EndedRow, kind: DeliveryKind, **others: Any) -> dict[str, Any]:
    return delivery_row(call.call_id, call.connection.id, kind, call.at, **others)


def _workflow_waits(db: SQLConnection, call: EndedRow) -> bool:
    asked = select(Dial.id).where(Dial.call_id == call.call_id, Dial.origin == DialOrigin.ROBOT)
    return db.execute(asked).first() is not None


def _plan_returned(db: SQLConnection, call: EndedRow) -> None:
    """The client was reached: tasks that are to come are not made any more, those that were made are done."""
    tasks = db.execute(
        select(Delivery.id, Delivery.call_id, Delivery.progress, Delivery.state)
        .join(Call, Call.id == Delivery.call_id)
        .where(
            Call.connection_id == call.connection.id,
            Call.client_number == call.client_number,
            Call.created_at >= call.at - TASKS_LAST,
            Delivery.kind == DeliveryKind.TASK,
            Delivery.state.not_in([DeliveryState.EXPIRED, DeliveryState.GIVEN_UP]),
        )
    ).all()
    if not tasks:
        return
    if not call.connection.can(Capability.EVERY_EVENT):
        db.execute(
            update(Delivery)
            .where(
                # One that is being made may be there already: it is made whole, and done after that.
                Delivery.id.in_([task.id for task in tasks if task.state == DeliveryState.DEAD or not task.progress]),
                Delivery.state.in_([DeliveryState.PENDING, DeliveryState.DEAD]),
            )
            .values(state=DeliveryState.EXPIRED, settled_at=call.at, error="the client was reached before")
        )
    # Also for those: one that is being told just now is made all the same.
    rows = [
        delivery_row(
            task.call_id, call.connection.id, DeliveryKind.RETURNED, call.at, progress={REACHED_BY: call.call_id}
        )
        for task in sorted(tasks, key=lambda task: task.call_id)
    ]
    db.execute(insert_or_ignore(db, Delivery, ["call_id", "kind"]), rows)
