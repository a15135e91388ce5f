"""Requests to have Evrotel dial."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from connector.models.base import Base, BigKey, of_connection


class DialState(StrEnum):
    """`pending` until Evrotel is asked; `sent` from just before that; `accepted` by it; then for good: `started`,
    `failed`."""

    PENDING = "pending"
    SENT = "sent"
    ACCEPTED = "accepted"
    STARTED = "started"
    FAILED = "failed"


class DialOrigin(StrEnum):
    """Who asked: an employee who clicked a number in the CRM, a client in a CRM's call-back form, a workflow's robot, a
    program by the HTTP API, a user of the panel by a link in a document, a site's visitor by the call-back button, an
    autodial campaign."""

    CLICK = "click"
    CALLBACK = "callback"
    ROBOT = "robot"
    API = "api"
    LINK = "link"
    SITE = "site"
    CAMPAIGN = "campaign"


class Dial(Base):
    """A request to have Evrotel dial, and the call that was made for it.

    `key` is its idempotency key, `origin` who asked; `user_id` is the CRM user whose phone was asked for, None where
    the client's responsible is to be found. `extensions` are the phones that were named to Evrotel; with `mediafile`
    the client alone is called and hears it. `routing` is how Evrotel picks among the phones, None: as the connection
    says. `asked_by` is the name of the person or program. `campaign_number_id`: the campaign's number it is a try of.
    `reason` is why it failed, `answer` what Evrotel said.
    """

    __tablename__ = "dials"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    connection_id: Mapped[int] = of_connection()
    key: Mapped[str] = mapped_column(String(500))
    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"), unique=True)
    origin: Mapped[str] = mapped_column(String(20))
    user_id: Mapped[str | None] = mapped_column(String(64))
    extensions: Mapped[list[Any]] = mapped_column(JSON)
    mediafile: Mapped[str | None] = mapped_column(String(200))
    routing: Mapped[str | None] = mapped_column(String(10))
    asked_by: Mapped[str | None] = mapped_column(String(200))
    campaign_number_id: Mapped[int | None] = mapped_column(BigKey, index=True)
    state: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str | None] = mapped_column(String(20))
    answer: Mapped[str | None] = mapped_column(Text)
    due_at: Mapped[datetime]
    claimed_until: Mapped[datetime | None]
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("connection_id", "key"),
        Index("ix_dials_due", "state", "due_at"),
    )
