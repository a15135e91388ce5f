"""What is good for one use: states of consents that administrators ask for, and CRMs' tokens that open a door once."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlalchemy import delete, insert

from connector.db import Database, insert_or_ignore, now
from connector.models import OneUse

STATE, TOKEN = "state", "token"
STATE_LASTS = timedelta(minutes=20)
"""As long as the code that comes back with it."""


def new_state(database: Database, connection_id: int) -> str:
    """An unguessable state for one consent for this connection."""
    state = secrets.token_urlsafe(32)
    row = {
        "digest": _digest(STATE, connection_id, state),
        "kind": STATE,
        "connection_id": connection_id,
        "expires_at": now() + STATE_LASTS,
    }
    with database.write() as db:
        db.execute(insert(OneUse).values(row))
    return state


def take_state(database: Database, connection_id: int, state: str) -> bool:
    """Whether a consent was asked for with this state for this connection, lately and not answered yet."""
    if not state:
        return False
    where = (OneUse.digest == _digest(STATE, connection_id, state), OneUse.kind == STATE, OneUse.expires_at > now())
    with database.write() as db:
        return bool(db.execute(delete(OneUse).where(*where)).rowcount)


def first_use(database: Database, connection_id: int, key: str, until: datetime) -> bool:
    """Whether `key` is used for the first time; it is remembered until it is not good any more."""
    row = {
        "digest": _digest(TOKEN, connection_id, key),
        "kind": TOKEN,
        "connection_id": connection_id,
        "expires_at": until,
    }
    with database.write() as db:
        kept = db.execute(insert_or_ignore(db, OneUse, ["digest"]).returning(OneUse.digest), row).first()
    return kept is not None


def forget_used(database: Database) -> None:
    """Drops what is not good any more."""
    with database.write() as db:
        db.execute(delete(OneUse).where(OneUse.expires_at < now() - timedelta(hours=1)))


def _digest(kind: str, connection_id: int, text: str) -> str:
    return hashlib.sha256(f"{kind}:{connection_id}:{text}".encode()).hexdigest()
