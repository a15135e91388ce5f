"""Connections, their accounts at CRMs, and what is only counted of them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    ForeignKey,
    Index,
    String,
    Text,
)
from sqlalchemy.orm import Mapped, mapped_column

from connector.models.base import Base, BigKey, of_connection


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
    """A connection's sign-in at its CRM. `version` rises with every change of `tokens` (sealed JSON). `account_key` and
    `tokens` are empty where settings alone open the CRM, and no account is bound.

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


class Customer(Base):
    """The journal's name for a client's number."""

    __tablename__ = "customers"
    connection_id: Mapped[int] = mapped_column(ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))


class InstallOffer(Base):
    """An installation that came from within a CRM account and belongs to nobody yet.

    `sealed` is a code and its host, after it was exchanged the account's tokens; then `account_key` and `account_name`
    are set, and a proof of the account or an administrator may bind it to the connection.
    """

    __tablename__ = "install_offers"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    connection_id: Mapped[int] = of_connection()
    sealed: Mapped[str] = mapped_column(Text)
    account_key: Mapped[str | None] = mapped_column(String(200))
    account_name: Mapped[str | None] = mapped_column(String(200))
    due_at: Mapped[datetime]
    attempts: Mapped[int]
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime]

    __table_args__ = (Index("ix_install_offers_connection_id", "connection_id"),)


class OneUse(Base):
    """What is good for one use: only a digest of it is kept.

    `kind` is `state` for a consent that an administrator went to ask a CRM for, kept until it comes back; `token` for
    a CRM's token that was used, kept until it is not good any more.
    """

    __tablename__ = "one_uses"
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    connection_id: Mapped[int] = of_connection()
    expires_at: Mapped[datetime] = mapped_column(index=True)


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


class Reconciliation(Base):
    """How a connection's calls were last compared with Evrotel's call records.

    `day` is the last day compared, in the connection's zone; `logged` the calls that were found and logged then,
    `finished` the open ones that were ended, `skipped` rows that lack what is needed. `error` is why the records could
    not be read, since `failing_since`.
    """

    __tablename__ = "reconciliations"
    connection_id: Mapped[int] = mapped_column(ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True)
    day: Mapped[date | None]
    checked_at: Mapped[datetime | None]
    next_at: Mapped[datetime]
    rows: Mapped[int]
    logged: Mapped[int]
    finished: Mapped[int]
    skipped: Mapped[int]
    error: Mapped[str | None] = mapped_column(Text)
    failing_since: Mapped[datetime | None]
