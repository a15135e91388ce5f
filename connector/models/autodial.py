"""Autodial: audio files, campaigns, their numbers, and who must never be called."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from connector.models.base import Base, BigKey, of_connection


class MediaState(StrEnum):
    """`pending` until Evrotel has fetched it; then for good: `saved` or `refused`."""

    PENDING = "pending"
    SAVED = "saved"
    REFUSED = "refused"


class Media(Base):
    """An audio file for campaigns. `wav` is what Evrotel fetches (mono, 16 bit, 8000 Hz), at a link that is derived
    from `link_nonce` and good until `link_expires_at`. `mediafile` is the name that Evrotel keeps it under.
    """

    __tablename__ = "autodial_media"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    connection_id: Mapped[int] = of_connection()
    name: Mapped[str] = mapped_column(String(200))
    wav: Mapped[bytes] = mapped_column(LargeBinary)
    milliseconds: Mapped[int]
    state: Mapped[str] = mapped_column(String(10))
    mediafile: Mapped[str | None] = mapped_column(String(200))
    error: Mapped[str | None] = mapped_column(Text)
    link_nonce: Mapped[str] = mapped_column(String(32), unique=True)
    link_expires_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]

    __table_args__ = (Index("ix_autodial_media_newest", "connection_id", "created_at"),)


class CampaignStatus(StrEnum):
    """`draft` until it is started; then `running` and `paused` in turn, and for good `stopped` or `finished`."""

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    FINISHED = "finished"


class Campaign(Base):
    """A message played to many numbers. `by_evrotel`: to the list that Evrotel keeps, of which we know no numbers.

    `chnum` calls go on at once, `pause_seconds` after each other; a number is tried up to `attempts` times, the next
    time `retry_seconds` later where the outcome is in `redial`. No call begins in `quiet_hours` of the client's zone
    ("20:00-09:00"), on a date in `holidays` (ISO 8601), before `starts_at` or after `ends_at`. Nobody is called before
    the test call to `test_number`, where there is one, was answered: `test_state` is `due`, `calling` (not after
    `test_until`), `answered` or `failed`. `consent_by` confirmed that the clients agreed. `next_call_at` is when the
    next call may begin, `error` what is wrong with it now, `key` its idempotency key.
    """

    __tablename__ = "campaigns"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    connection_id: Mapped[int] = of_connection()
    key: Mapped[str | None] = mapped_column(String(200))
    name: Mapped[str] = mapped_column(String(200))
    by_evrotel: Mapped[bool]
    mediafile: Mapped[str] = mapped_column(String(200))
    status: Mapped[str] = mapped_column(String(10))
    chnum: Mapped[int]
    attempts: Mapped[int]
    retry_seconds: Mapped[int]
    redial: Mapped[list[Any]] = mapped_column(JSON)
    pause_seconds: Mapped[int]
    quiet_hours: Mapped[str | None] = mapped_column(String(200))
    holidays: Mapped[list[Any]] = mapped_column(JSON)
    starts_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    test_number: Mapped[str | None] = mapped_column(String(40))
    test_state: Mapped[str | None] = mapped_column(String(10))
    test_until: Mapped[datetime | None]
    test_call_id: Mapped[str | None] = mapped_column(String(32))
    tested_at: Mapped[datetime | None]
    created_by: Mapped[str] = mapped_column(String(200))
    started_by: Mapped[str | None] = mapped_column(String(200))
    started_at: Mapped[datetime | None]
    consent_by: Mapped[str | None] = mapped_column(String(200))
    consent_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)
    next_call_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("connection_id", "key"),
        Index("ix_campaigns_newest", "connection_id", "created_at"),
        Index("ix_campaigns_status", "status"),
    )


class CampaignNumberState(StrEnum):
    """`waiting` until it is due, `calling` from before Evrotel is asked; then for good: `done` or `skipped`."""

    WAITING = "waiting"
    CALLING = "calling"
    DONE = "done"
    SKIPPED = "skipped"


class CampaignNumber(Base):
    """One number of a campaign. `result` is its last outcome (autodial/answers.py), or why it was skipped; `call_id`
    its last call. A call that goes on holds one of the campaign's places as long as its worker says so
    (`leased_until`), and where that is gone until `busy_until`, when it must be over.
    """

    __tablename__ = "campaign_numbers"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    campaign_id: Mapped[str] = mapped_column(ForeignKey("campaigns.id", ondelete="CASCADE"))
    number: Mapped[str] = mapped_column(String(40))
    state: Mapped[str] = mapped_column(String(10))
    result: Mapped[str | None] = mapped_column(String(20))
    tries: Mapped[int]
    due_at: Mapped[datetime]
    call_id: Mapped[str | None] = mapped_column(String(32))
    billsec: Mapped[int | None]
    busy_until: Mapped[datetime | None]
    leased_until: Mapped[datetime | None]
    updated_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("campaign_id", "number"),
        Index("ix_campaign_numbers_due", "campaign_id", "state", "due_at"),
    )


class DoNotCall(Base):
    """A number that no campaign of the connection calls."""

    __tablename__ = "do_not_call"
    connection_id: Mapped[int] = mapped_column(ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[str] = mapped_column(String(40), primary_key=True)
    reason: Mapped[str] = mapped_column(String(200))
    created_by: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
