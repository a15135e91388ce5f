"""The tables. Times are aware UTC, numbers of people E.164 with a plus; see `design` in the README for the words."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy import DateTime as SQLDateTime
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator


class UTCDateTime(TypeDecorator[datetime]):
    """Aware UTC on both sides. SQLite would drop the zone and compare texts, so it gets naive UTC and gives it back."""

    impl = SQLDateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime can't be stored")
        value = value if value.tzinfo is UTC else value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UTCDateTime, dict[str, Any]: JSON}  # noqa: RUF012 - SQLAlchemy's own convention


_BigKey = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up by itself only for INTEGER


def _of_connection() -> Mapped[int]:
    return mapped_column(ForeignKey("connections.id", ondelete="CASCADE"))


class Connection(Base):
    """One Evrotel account tied to one CRM account. `secrets` is sealed JSON of the secret settings."""

    __tablename__ = "connections"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40), unique=True)
    crm: Mapped[str] = mapped_column(String(40))
    settings: Mapped[dict[str, Any]]
    secrets: Mapped[str] = mapped_column(Text)
    paused_by: Mapped[str | None] = mapped_column(String(20))
    paused_reason: Mapped[str | None] = mapped_column(Text)
    paused_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class CRMAccount(Base):
    """A connection's sign-in at its CRM. `version` rises with every change of `tokens` (sealed JSON).

    `users_at` is when the CRM was last asked for its users; `users` is what it said: ID, name and extension of each.
    `echoed_at` is when it last sent the test event that a check asks it for.
    """

    __tablename__ = "crm_accounts"
    connection_id: Mapped[int] = mapped_column(ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True)
    account_key: Mapped[str] = mapped_column(String(200))
    tokens: Mapped[str] = mapped_column(Text)
    version: Mapped[int]
    refresh_owner: Mapped[str | None] = mapped_column(String(64))
    refresh_until: Mapped[datetime | None]
    installed_at: Mapped[datetime]
    users_at: Mapped[datetime | None]
    users: Mapped[list[Any]] = mapped_column(JSON, server_default="[]")
    echoed_at: Mapped[datetime | None]


class Extension(Base):
    """An inner number that the CRM itself knows, and whose it is."""

    __tablename__ = "extensions"
    connection_id: Mapped[int] = mapped_column(ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True)
    extension: Mapped[str] = mapped_column(String(20), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(64))
    user_name: Mapped[str] = mapped_column(String(200))
    seen_at: Mapped[datetime]


class CallState(StrEnum):
    OPEN = "open"
    ENDED = "ended"


class Call(Base):
    """One phone call. `id` is ours (UUID version 7, hex); `callid` what the receiver answered, set once.

    `start_key` and `end_key` are the idempotency keys of its events; `awaits_start` marks a call that was made from
    its end alone, whose start may still come; `expected` one that was made for a request to dial, until its start
    comes. `note` says why a CRM is not told of it. `crm_user_id` is the CRM user that the CRM has it under, `crm_notes`
    what else the adapter keeps of it for later.
    """

    __tablename__ = "calls"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    connection_id: Mapped[int] = _of_connection()
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
        Index("ix_calls_newest", "started_at", "id"),
    )


class DialState(StrEnum):
    """`pending` until Evrotel is asked; `sent` from just before that; `accepted` by it; then for good: `started`,
    `failed`."""

    PENDING = "pending"
    SENT = "sent"
    ACCEPTED = "accepted"
    STARTED = "started"
    FAILED = "failed"


class DialOrigin(StrEnum):
    """Who asked: an employee who clicked a number in the CRM, a client in a call-back form, a workflow's robot."""

    CLICK = "click"
    CALLBACK = "callback"
    ROBOT = "robot"


class Dial(Base):
    """A request to have Evrotel dial, and the call that was made for it.

    `key` is its idempotency key, `origin` who asked; `user_id` is the CRM user whose phone was asked for, None where
    the client's responsible is to be found. `extensions` are the phones that were named to Evrotel; with `mediafile`
    the client alone is called and hears it. `reason` is why it failed, `answer` what Evrotel said.
    """

    __tablename__ = "dials"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    connection_id: Mapped[int] = _of_connection()
    key: Mapped[str] = mapped_column(String(500))
    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"), unique=True)
    origin: Mapped[str] = mapped_column(String(20))
    user_id: Mapped[str | None] = mapped_column(String(64))
    extensions: Mapped[list[Any]] = mapped_column(JSON)
    mediafile: Mapped[str | None] = mapped_column(String(200))
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


class InboundEvent(Base):
    """A request of Evrotel's as it came. `reason` is None for an accepted one."""

    __tablename__ = "inbound_events"
    id: Mapped[int] = mapped_column(_BigKey, primary_key=True)
    connection_id: Mapped[int] = _of_connection()
    received_at: Mapped[datetime]
    content_type: Mapped[str] = mapped_column(String(200))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    reason: Mapped[str | None] = mapped_column(Text)
    call_id: Mapped[str | None] = mapped_column(String(32), index=True)

    __table_args__ = (Index("ix_inbound_events_received_at", "connection_id", "received_at"),)


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


STEPS = {
    DeliveryKind.START: 1,
    DeliveryKind.FINISH: 2,
    DeliveryKind.RECORDING: 3,
    DeliveryKind.TASK: 3,
    DeliveryKind.NOTICE: 3,
    DeliveryKind.WORKFLOW: 3,
    DeliveryKind.RETURNED: 4,
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


class Delivery(Base):
    """One thing that a CRM must be told about a call. `claimed_until`: lease of the request that tries at once."""

    __tablename__ = "deliveries"
    id: Mapped[int] = mapped_column(_BigKey, primary_key=True)
    connection_id: Mapped[int] = _of_connection()
    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"))
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
        Index("ix_deliveries_lane", "connection_id", "state", "due_at"),
        Index("ix_deliveries_due", "state", "due_at"),
    )


class Attempt(Base):
    """One try of a delivery: what was sent and answered, secrets masked. `outcome` is `done` or the error's name."""

    __tablename__ = "attempts"
    id: Mapped[int] = mapped_column(_BigKey, primary_key=True)
    delivery_id: Mapped[int] = mapped_column(_BigKey, ForeignKey("deliveries.id", ondelete="CASCADE"), index=True)
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
    connection_id: Mapped[int] = _of_connection()
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
    id: Mapped[int] = mapped_column(_BigKey, primary_key=True)
    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"))
    listener: Mapped[str] = mapped_column(String(200))
    way: Mapped[str] = mapped_column(String(10))
    at: Mapped[datetime]

    __table_args__ = (Index("ix_recording_plays_call_id", "call_id", "at"),)


class Customer(Base):
    """The journal's name for a client's number."""

    __tablename__ = "customers"
    connection_id: Mapped[int] = mapped_column(ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))


class Role(StrEnum):
    ADMIN = "admin"
    SUPERVISOR = "supervisor"
    AGENT = "agent"


class User(Base):
    """A panel user. `session_version` rises when all their sessions must end."""

    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    role: Mapped[str] = mapped_column(String(20))
    connection_id: Mapped[int | None] = mapped_column(ForeignKey("connections.id", ondelete="CASCADE"))
    extension: Mapped[str | None] = mapped_column(String(20))
    password_hash: Mapped[str | None] = mapped_column(Text)
    session_version: Mapped[int]
    language: Mapped[str | None] = mapped_column(String(5))
    created_at: Mapped[datetime]


class SignInLink(Base):
    """A one-time link; only its digest is kept."""

    __tablename__ = "sign_in_links"
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class SignInFailure(Base):
    """Failed sign-ins of one name from one address, or of one address: shared by all web processes."""

    __tablename__ = "sign_in_failures"
    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    count: Mapped[int]
    blocked_until: Mapped[datetime]


class APIKey(Base):
    """A key of the HTTP API; only its digest is kept."""

    __tablename__ = "api_keys"
    id: Mapped[int] = mapped_column(primary_key=True)
    connection_id: Mapped[int] = _of_connection()
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class OneUse(Base):
    """What is good for one use: only a digest of it is kept.

    `kind` is `state` for a consent that an administrator went to ask a CRM for, kept until it comes back; `token` for
    a CRM's token that was used, kept until it is not good any more.
    """

    __tablename__ = "one_uses"
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    connection_id: Mapped[int] = _of_connection()
    expires_at: Mapped[datetime] = mapped_column(index=True)


class InstallOffer(Base):
    """An installation that came from within a CRM account and belongs to nobody yet.

    `sealed` is a code and its host, after it was exchanged the account's tokens; then `account_key` and `account_name`
    are set, and a proof of the account or an administrator may bind it to the connection.
    """

    __tablename__ = "install_offers"
    id: Mapped[int] = mapped_column(_BigKey, primary_key=True)
    connection_id: Mapped[int] = _of_connection()
    sealed: Mapped[str] = mapped_column(Text)
    account_key: Mapped[str | None] = mapped_column(String(200))
    account_name: Mapped[str | None] = mapped_column(String(200))
    due_at: Mapped[datetime]
    attempts: Mapped[int]
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime]

    __table_args__ = (Index("ix_install_offers_connection_id", "connection_id"),)


class RateLimit(Base):
    """A leaky bucket shared by all processes: `level` requests at `at`, seconds since the epoch."""

    __tablename__ = "rate_limits"
    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    level: Mapped[float]
    at: Mapped[float]


class Counter(Base):
    """What is only counted, such as refused tokens."""

    __tablename__ = "counters"
    connection_id: Mapped[int] = mapped_column(ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[int]
