"""Keys of the HTTP API: each opens one connection; only digests are kept."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import insert, or_, select, update

from connector.db import Database, Unavailable, now
from connector.models import APIKey
from connector.secrets import digest

NOTED_EVERY = timedelta(minutes=1)


LONGEST_NAME = 80
HINT = 9
"""So much of a key is kept to recognise it by: `evc_` and five of its 43 characters."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """The key that opened something: its ID, its name (what it is for, may be empty) and its connection's ID."""

    key_id: int
    name: str
    connection_id: int


@dataclass(frozen=True, kw_only=True)
class KeptKey:
    """What is known of a key: never the key."""

    id: int
    name: str
    hint: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


def create_api_key(database: Database, connection_id: int, name: str = "") -> str:
    """A new key of the connection: shown once, never again. Raises ValueError for a name of over 80 characters."""
    name = " ".join(name.split())
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise ValueError(f"a key's name should be up to {LONGEST_NAME} printable characters")
    key = f"evc_{secrets.token_urlsafe(32)}"
    row = {"connection_id": connection_id, "digest": digest(key), "name": name, "hint": key[:HINT], "created_at": now()}
    with database.write() as db:
        db.execute(insert(APIKey).values(row))
    return key


def api_keys(database: Database, connection_id: int) -> Sequence[KeptKey]:
    """The connection's keys, the newest first, revoked ones too."""
    columns = (APIKey.id, APIKey.name, APIKey.hint, APIKey.created_at, APIKey.last_used_at, APIKey.revoked_at)
    query = select(*columns).where(APIKey.connection_id == connection_id).order_by(APIKey.id.desc())
    with database.read() as db:
        return [KeptKey(**row) for row in db.execute(query).mappings()]


def revoke(database: Database, connection_id: int | None, key_id: int) -> bool:
    """Ends a key of the connection (None: of any) for good; whether there was one to end."""
    query = update(APIKey).where(APIKey.id == key_id, APIKey.revoked_at.is_(None))
    if connection_id is not None:
        query = query.where(APIKey.connection_id == connection_id)
    with database.write() as db:
        revoked = db.execute(query.values(revoked_at=now()))
    return bool(revoked.rowcount)


def opens(database: Database, authorization: str | None) -> Opened | None:
    """What an `Authorization: Bearer KEY` header opens; None where it opens nothing.

    A look-up by digest needs no constant time: what could be timed is the digest, not the key.
    """
    scheme, _, key = (authorization or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        return None
    with database.read() as db:
        row = db.execute(
            select(APIKey.id, APIKey.name, APIKey.connection_id, APIKey.last_used_at).where(
                APIKey.digest == digest(key.strip()), APIKey.revoked_at.is_(None)
            )
        ).first()
    if row is None:
        return None
    if row.last_used_at is None or row.last_used_at < now() - NOTED_EVERY:
        _note_use(database, row.id)
    return Opened(key_id=row.id, name=row.name, connection_id=row.connection_id)


def _note_use(database: Database, key_id: int) -> None:
    moment = now()
    stale = or_(APIKey.last_used_at.is_(None), APIKey.last_used_at < moment - NOTED_EVERY)
    try:
        with database.write() as db:
            db.execute(update(APIKey).where(APIKey.id == key_id, stale).values(last_used_at=moment))
    except Unavailable:
        pass  # reading may go on where nothing can be written; the next request notes it
