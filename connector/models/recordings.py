"""Recordings and who listened to them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    false,
)
from sqlalchemy.orm import Mapped, mapped_column

from connector.models.base import Base, BigKey, of_connection


class RecordingState(StrEnum):
    PENDING = "pending"
    READY = "ready"
    MISSING = "missing"
    FORGOTTEN = "forgotten"


class Recording(Base):
    """A call's recording: where it lies at Evrotel's, what we keep of it, and the link that CRMs were given.

    `path` is its key in the store (recordings/stores.py), None where it is asked from Evrotel each time; `content_type`
    and `size` (bytes; of what is there so far, while it is waited for) are of what the link serves, `source_type` of
    what Evrotel has. `milliseconds` and `waveform` (recordings/audio.py) are None where it can't be decoded.
    `as_mp3`: not every browser plays it, so links are given to its MP3. `mp3_path`, `mp3_size`: the MP3 that was made
    beside it, `mp3_due_at`: it is to be made, because somebody asked, `mp3_error`: why it can't.
    The link is derived from `link_nonce` and SECRET_KEY (recordings/links.py); `revoked_at` withdraws it.
    """

    __tablename__ = "recordings"
    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True)
    connection_id: Mapped[int] = of_connection()
    recfile: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(10))
    path: Mapped[str | None] = mapped_column(Text)
    content_type: Mapped[str | None] = mapped_column(String(100))
    size: Mapped[int | None]
    source_type: Mapped[str | None] = mapped_column(String(100))
    milliseconds: Mapped[int | None]
    waveform: Mapped[bytes | None] = mapped_column(LargeBinary)
    as_mp3: Mapped[bool] = mapped_column(server_default=false())
    mp3_path: Mapped[str | None] = mapped_column(Text)
    mp3_size: Mapped[int | None]
    mp3_due_at: Mapped[datetime | None]
    mp3_error: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    attempts: Mapped[int]
    due_at: Mapped[datetime]
    owner: Mapped[str | None] = mapped_column(String(64))
    leased_until: Mapped[datetime | None]
    link_nonce: Mapped[str] = mapped_column(String(32), unique=True)
    revoked_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    __table_args__ = (
        Index("ix_recordings_due", "state", "due_at"),
        Index("ix_recordings_mp3_due_at", "mp3_due_at"),
    )


class RecordingPlay(Base):
    """Somebody listened to a recording: a user of the panel, or one of the CRM in its frame. `way` is `panel`,
    `frame` or `download`; `listener` the name at that time, `at` when it began."""

    __tablename__ = "recording_plays"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"))
    listener: Mapped[str] = mapped_column(String(200))
    way: Mapped[str] = mapped_column(String(10))
    at: Mapped[datetime]

    __table_args__ = (Index("ix_recording_plays_call_id", "call_id", "at"),)
