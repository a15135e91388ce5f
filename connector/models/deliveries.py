"""What CRMs must be told, and who works on it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from connector.models.base import Base, BigKey, of_connection


class DeliveryKind(StrEnum):
    """What a CRM is told of a call."""

    START = "start"
    FINISH = "finish"
    RECORDING = "recording"
    TASK = "task"
    """Somebody has to call a client back."""
    RETURNED = "returned"
    """The client was reached: the task is done."""
    NOTICE = "notice"
    """An employee is told why a call was not dialled."""
    WORKFLOW = "workflow"
    """A robot's workflow waits for what became of its call."""
    ANNOUNCEMENT = "announcement"
    """Something that is no call has happened."""


REACHED_BY = "reached_by"
"""The key in the progress of a RETURNED delivery for our ID of the call that reached the client."""
STEPS = {
    DeliveryKind.START: 1,
    DeliveryKind.FINISH: 2,
    DeliveryKind.RECORDING: 3,
    DeliveryKind.TASK: 3,
    DeliveryKind.NOTICE: 3,
    DeliveryKind.WORKFLOW: 3,
    DeliveryKind.RETURNED: 4,
    DeliveryKind.ANNOUNCEMENT: 2,
}
"""The order in which one call's deliveries are told; those of one step wait for each other no more."""


class DeliveryState(StrEnum):
    """`waiting` for its recording; `pending` until told; then for good: `done`, `expired` (came too late to matter),
    `dead` (an admin may retry it) or `given_up` (by an admin)."""

    WAITING = "waiting"
    PENDING = "pending"
    DONE = "done"
    EXPIRED = "expired"
    DEAD = "dead"
    GIVEN_UP = "given_up"


class Announcement(Base):
    """Something that is no call has happened: `name` says what, such as `callback.requested`, `key` to which one.

    `data` (JSON values) is what is told of it.
    """

    __tablename__ = "announcements"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    connection_id: Mapped[int] = of_connection()
    name: Mapped[str] = mapped_column(String(40))
    key: Mapped[str] = mapped_column(String(80))
    data: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(index=True)

    __table_args__ = (UniqueConstraint("connection_id", "name", "key"),)


class Delivery(Base):
    """One thing that a CRM must be told about a call, or an announcement. `claimed_until`: lease of the request that
    tries at once. A start without `expires_at` is told however late it is."""

    __tablename__ = "deliveries"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    connection_id: Mapped[int] = of_connection()
    call_id: Mapped[str | None] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"))
    announcement_id: Mapped[int | None] = mapped_column(BigKey, ForeignKey("announcements.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(20))
    step: Mapped[int]
    state: Mapped[str] = mapped_column(String(10))
    due_at: Mapped[datetime]
    claimed_until: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    attempts: Mapped[int]
    progress: Mapped[dict[str, Any]]
    error: Mapped[str | None] = mapped_column(Text)
    failed_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("call_id", "kind"),
        UniqueConstraint("announcement_id"),
        Index("ix_deliveries_lane", "connection_id", "state", "due_at"),
        Index("ix_deliveries_due", "state", "due_at"),
    )


class Attempt(Base):
    """One try of a delivery: what was sent and answered, secrets masked. `outcome` is `done` or the error's name."""

    __tablename__ = "attempts"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    delivery_id: Mapped[int] = mapped_column(BigKey, ForeignKey("deliveries.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime]
    milliseconds: Mapped[int]
    outcome: Mapped[str] = mapped_column(String(40))
    request: Mapped[str] = mapped_column(Text)
    answer: Mapped[str] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)


class Lane(Base):
    """Who works on a connection's deliveries now, and since when its account is in trouble."""

    __tablename__ = "lanes"
    connection_id: Mapped[int] = mapped_column(ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True)
    owner: Mapped[str | None] = mapped_column(String(64))
    leased_until: Mapped[datetime | None]
    trouble: Mapped[str | None] = mapped_column(Text)
    trouble_since: Mapped[datetime | None]
    probes: Mapped[int]
    next_probe_at: Mapped[datetime | None]
    answered_at: Mapped[datetime | None]
