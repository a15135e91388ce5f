"""Who may use the panel and the HTTP API."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    ForeignKey,
    String,
    Text,
    false,
)
from sqlalchemy.orm import Mapped, mapped_column

from connector.models.base import Base, of_connection


class Role(StrEnum):
    ADMIN = "admin"
    SUPERVISOR = "supervisor"
    AGENT = "agent"


class User(Base):
    """A panel user. `session_version` rises when all their sessions must end. `dials_at_once`: a link in a document
    calls without asking first."""

    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    role: Mapped[str] = mapped_column(String(20))
    connection_id: Mapped[int | None] = mapped_column(ForeignKey("connections.id", ondelete="CASCADE"))
    extension: Mapped[str | None] = mapped_column(String(20))
    password_hash: Mapped[str | None] = mapped_column(Text)
    session_version: Mapped[int]
    language: Mapped[str | None] = mapped_column(String(5))
    dials_at_once: Mapped[bool] = mapped_column(server_default=false())
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
    """A key of the HTTP API; only its digest is kept, and as `hint` how it begins. `name` says what it is for."""

    __tablename__ = "api_keys"
    id: Mapped[int] = mapped_column(primary_key=True)
    connection_id: Mapped[int] = of_connection()
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(80), server_default="")
    hint: Mapped[str] = mapped_column(String(12), server_default="")
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
