"""Calls, and the requests that told of them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy.orm import Mapped, mapped_column

from connector.models.base import Base, BigKey, of_connection


class CallState(StrEnum):
    OPEN = "open"
    ENDED = "ended"


class Call(Base):
    """One phone call. `id` is ours (UUID version 7, hex); `callid` what the receiver answered, set once.

    `start_key` and `end_key` are the idempotency keys of its events; `awaits_start` marks a call that was made from its
    end alone, whose start may still come; `expected` one that was made for a request to dial, until its start comes.
    `linkedid` is what Evrotel's call records call it, once they were compared. `note` says why a CRM is not told of it.
    `crm_user_id` is the CRM user that the CRM has it under, `crm_notes` what else the adapter keeps of it for later.
    """

    __tablename__ = "calls"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    connection_id: Mapped[int] = of_connection()
    start_key: Mapped[str | None] = mapped_column(String(64))
    end_key: Mapped[str | None] = mapped_column(String(64))
    callid: Mapped[str | None] = mapped_column(String(200))
    crm_call_id: Mapped[str | None] = mapped_column(String(200))
    direction: Mapped[str] = mapped_column(String(10))
    client_number: Mapped[str | None] = mapped_column(String(40))
    line: Mapped[str | None] = mapped_column(String(40))
    extension: Mapped[str | None] = mapped_column(String(20))
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    disposition: Mapped[str | None] = mapped_column(String(20))
    billsec: Mapped[int | None]
    recfile: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(10))
    source: Mapped[str] = mapped_column(String(10))
    awaits_start: Mapped[bool]
    linkedid: Mapped[str | None] = mapped_column(String(64))
    note: Mapped[str | None] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(10), server_default="normal")
    expected: Mapped[bool] = mapped_column(server_default=false())
    crm_user_id: Mapped[str | None] = mapped_column(String(64))
    crm_notes: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime] = mapped_column(index=True)

    __table_args__ = (
        UniqueConstraint("connection_id", "start_key"),
        UniqueConstraint("connection_id", "end_key"),
        Index("ix_calls_callid", "connection_id", "callid"),
        Index("ix_calls_crm_call_id", "connection_id", "crm_call_id"),
        Index("ix_calls_started_at", "connection_id", "started_at", "id"),
        Index("ix_calls_matching", "connection_id", "client_number", "state", "created_at"),
        Index("ix_calls_linkedid", "connection_id", "linkedid", unique=True),
        Index("ix_calls_newest", "started_at", "id"),
    )


class InboundEvent(Base):
    """A request of Evrotel's as it came. `reason` is None for an accepted one."""

    __tablename__ = "inbound_events"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    connection_id: Mapped[int] = of_connection()
    received_at: Mapped[datetime]
    content_type: Mapped[str] = mapped_column(String(200))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    reason: Mapped[str | None] = mapped_column(Text)
    call_id: Mapped[str | None] = mapped_column(String(32), index=True)

    __table_args__ = (Index("ix_inbound_events_received_at", "connection_id", "received_at"),)
