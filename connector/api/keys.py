"""Keys of the HTTP API: each opens one connection; only digests are kept."""

from __future__ import annotations

import secrets
from datetime import timedelta

from sqlalchemy import insert, or_, select, update

from connector.db import Database, Unavailable, now
from connector.models import APIKey
from connector.secrets import digest

NOTED_EVERY = timedelta(minutes=1)


def create_api_key(database: Database, connection_id: int) -> str:
    """A new key of the connection: shown once, never again."""
    key = f"evc_{secrets.token_urlsafe(32)}"
    with database.write() as db:
        db.execute(insert(APIKey).values(connection_id=connection_id, digest=digest(key), created_at=now()))
    return key


def revoke(database: Database, key_id: int) -> bool:
    """Ends a key for good; whether there was one to end."""
    with database.write() as db:
        revoked = db.execute(
            update(APIKey).where(APIKey.id == key_id, APIKey.revoked_at.is_(None)).values(revoked_at=now())
        )
    return bool(revoked.rowcount)


def opens(database: Database, authorization: str | None) -> int | None:
    """The ID of the connection that an `Authorization: Bearer KEY` header opens; None where it opens none.

    A look-up by digest needs no constant time: what could be timed is the digest, not the key.
    """
    scheme, _, key = (authorization or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        return None
    with database.read() as db:
        row = db.execute(
            select(APIKey.id, APIKey.connection_id, APIKey.last_used_at).where(
                APIKey.digest == digest(key.strip()), APIKey.revoked_at.is_(None)
            )
        ).first()
    if row is None:
        return None
    if row.last_used_at is None or row.last_used_at < now() - NOTED_EVERY:
        _note_use(database, row.id)
    return int(row.connection_id)


def _note_use(database: Database, key_id: int) -> None:
    moment = now()
    stale = or_(APIKey.last_used_at.is_(None), APIKey.last_used_at < moment - NOTED_EVERY)
    try:
        with database.write() as db:
            db.execute(update(APIKey).where(APIKey.id == key_id, stale).values(last_used_at=moment))
    except Unavailable:
        pass  # reading may go on where nothing can be written; the next request notes it
