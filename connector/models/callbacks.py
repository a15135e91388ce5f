"""The call-back button on sites: who asked to be called, and what they agreed to."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from connector.models.base import Base, of_connection


class CallbackState(StrEnum):
    """`scheduled` for a time, `calling` since Evrotel was asked; then for good: `connected`, `no_operator` (nobody of
    ours picked up), `no_client` (the client did not), `failed` (Evrotel did not take it)."""

    SCHEDULED = "scheduled"
    CALLING = "calling"
    CONNECTED = "connected"
    NO_OPERATOR = "no_operator"
    NO_CLIENT = "no_client"
    FAILED = "failed"


class CallbackRequest(Base):
    """A visitor of a site asked to be called. `key` is its idempotency key, `call_id` the call of the last try.

    `due_at` is when to call: at once, or at the time that was chosen. `page`, `title`, `referrer` and `utm` say where
    the visitor was; `network` who asked, as limits count it; `consent_version` what they agreed to (ConsentText), None
    where the connection asks for no consent.
    """

    __tablename__ = "callback_requests"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    connection_id: Mapped[int] = of_connection()
    key: Mapped[str] = mapped_column(String(64))
    number: Mapped[str] = mapped_column(String(40))
    state: Mapped[str] = mapped_column(String(20))
    call_id: Mapped[str | None] = mapped_column(ForeignKey("calls.id", ondelete="SET NULL"), index=True)
    due_at: Mapped[datetime]
    attempts: Mapped[int]
    origin: Mapped[str] = mapped_column(String(300))
    page: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    referrer: Mapped[str] = mapped_column(Text)
    utm: Mapped[dict[str, Any]]
    network: Mapped[str] = mapped_column(String(60))
    language: Mapped[str] = mapped_column(String(5))
    consent_version: Mapped[str | None] = mapped_column(String(16))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("connection_id", "key"),
        Index("ix_callback_requests_newest", "connection_id", "created_at"),
        Index("ix_callback_requests_due", "state", "due_at"),
    )


class ConsentText(Base):
    """A text that visitors agreed to; `version` is a digest of it."""

    __tablename__ = "consent_texts"
    connection_id: Mapped[int] = mapped_column(ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[str] = mapped_column(String(16), primary_key=True)
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]


class LimitWindow(Base):
    """How many requests a limit's window holds. `until` is when it ends, Unix seconds."""

    __tablename__ = "limit_windows"
    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    count: Mapped[int]
    until: Mapped[float] = mapped_column(index=True)
