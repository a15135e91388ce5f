"""Panel users and what proves that someone is one: one-time links and passwords. Pure database work, no Flask.

Passwords are hashed with Argon2id in the size that OWASP's Password Storage Cheat Sheet names first (19 MiB, 2 passes);
only a few are computed at a time, since a dyno has little memory and an attacker many connections.
"""

from __future__ import annotations

import secrets
import threading
from datetime import timedelta
from functools import cache
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from connector.calls.numbers import is_extension
from connector.db import Database, now
from connector.models import Connection as ConnectionRow
from connector.models import Role, SignInLink, User
from connector.secrets import digest

LINK_LIFE = timedelta(hours=24)
LEAST_PASSWORD, LONGEST_PASSWORD = 10, 200
LONGEST_NAME = 80
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_hashing = threading.BoundedSemaphore(4)


def create_user(
    database: Database, name: str, role: str, connection_id: int | None = None, extension: str | None = None
) -> int:
    """A new panel user's ID. Raises ValueError for a taken or unfit name, an unknown role, an agent without a phone."""
    values = _user_values(name, role, connection_id, extension)
    try:
        with database.write() as db:
            return _insert_user(db, values)
    except IntegrityError:
        raise ValueError(_conflict(database, values)) from None


def create_first_user(database: Database, name: str, password: str) -> int | None:
    """The first admin's ID; None where there is a user already. Raises ValueError for an unfit name or password."""
    values = _user_values(name, Role.ADMIN, None, None) | {"password_hash": _hash(checked_password(password))}
    try:
        with database.write() as db:
            return None if _any_user(db) else _insert_user(db, values)
    except IntegrityError:
        return None


def users(database: Database) -> list[Any]:
    """All users by name; `connection` is the name of theirs."""
    query = (
        select(User.id, User.name, User.role, User.extension, ConnectionRow.name.label("connection"))
        .outerjoin(ConnectionRow, ConnectionRow.id == User.connection_id)
        .order_by(User.name)
    )
    with database.read() as db:
        return list(db.execute(query))


def remove_user(database: Database, name: str) -> bool:
    """Removes a user with their links; their sessions are nobody's from now on. False where there is none."""
    with database.write() as db:
        return db.execute(delete(User).where(User.name == name).returning(User.id)).first() is not None


def user_named(database: Database, name: str) -> int | None:
    """The user's ID, None where there is none of this name."""
    with database.read() as db:
        return db.execute(select(User.id).where(User.name == name)).scalar_one_or_none()


def has_users(database: Database) -> bool:
    """Whether the panel has been set up."""
    with database.read() as db:
        return _any_user(db)


def make_sign_in_link(database: Database, user_id: int) -> str:
    """The raw token of a new one-time link, for `/sign-in/{token}`; only its digest is kept, for 24 hours."""
    token = secrets.token_urlsafe(32)
    with database.write() as db:
        db.execute(delete(SignInLink).where(SignInLink.expires_at < now()))
        db.execute(insert(SignInLink).values(digest=digest(token), user_id=user_id, expires_at=now() + LINK_LIFE))
    return token


def link_is_good(database: Database, token: str) -> bool:
    """Whether the link could be used now; looking does not use it up."""
    with database.read() as db:
        return db.execute(select(SignInLink.user_id).where(*_good(token))).first() is not None


def use_link(database: Database, token: str) -> int | None:
    """Uses the link up: its user's ID. None where it is unknown, expired or used; of two at once one wins."""
    with database.write() as db:
        used = db.execute(update(SignInLink).where(*_good(token)).values(used_at=now()).returning(SignInLink.user_id))
        return used.scalar_one_or_none()


def check_password(database: Database, name: str, password: str) -> int | None:
    """The user's ID where name and password fit. An unknown name takes as long as a wrong password."""
    with database.read() as db:
        row = db.execute(select(User.id, User.password_hash).where(User.name == name)).first()
    known = row.password_hash if row and row.password_hash else None
    fits = _verify(known or _dummy_hash(), password[:LONGEST_PASSWORD])
    return row.id if row and known and fits else None


def set_password(database: Database, user_id: int, password: str) -> int:
    """Keeps a new password and ends the user's sessions; returns the new session version. Raises ValueError."""
    hashed = _hash(checked_password(password))
    return _next_session(database, user_id, password_hash=hashed)


def end_sessions(database: Database, user_id: int) -> int:
    """Every session of the user, wherever its cookie is, ends now."""
    return _next_session(database, user_id)


def set_language(database: Database, user_id: int, language: str) -> None:
    with database.write() as db:
        db.execute(update(User).where(User.id == user_id).values(language=language))


def set_dials_at_once(database: Database, user_id: int, at_once: bool) -> None:
    """Whether a link in a document calls without a question."""
    with database.write() as db:
        db.execute(update(User).where(User.id == user_id).values(dials_at_once=at_once))


def set_extension(database: Database, user_id: int, extension: str) -> None:
    """The user's own short number. Raises ValueError."""
    if not is_extension(extension):
        raise ValueError("an extension should be up to 5 digits")
    with database.write() as db:
        db.execute(update(User).where(User.id == user_id).values(extension=extension))


def user_row(database: Database, user_id: int) -> Any:
    """The user's row, None where there is none."""
    with database.read() as db:
        return db.execute(select(*User.__table__.columns).where(User.id == user_id)).first()


def checked_password(password: str) -> str:
    """The password, where it is fit to be one. Raises ValueError."""
    if not LEAST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise ValueError(f"a password should be {LEAST_PASSWORD} to {LONGEST_PASSWORD} characters long")
    return password


def _user_values(name: str, role: str, connection_id: int | None, extension: str | None) -> dict[str, Any]:
    name = name.strip()
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise ValueError(f"a user's name should be 1 to {LONGEST_NAME} printable characters")
    if role not in list(Role):
        raise ValueError(f"role should be one of {', '.join(Role)}, not {role!r}")
    if role == Role.AGENT and (connection_id is None or not extension):
        raise ValueError("an agent needs a connection and an extension: agents see their own calls only")
    if extension and not is_extension(extension):
        raise ValueError("an extension should be up to 5 digits")
    return {
        "name": name,
        "role": str(role),
        "connection_id": connection_id,
        "extension": extension or None,
        "session_version": secrets.randbelow(2**30),  # SQLite gives a removed user's ID to the next one
        "created_at": now(),
    }


def _insert_user(db: Any, values: dict[str, Any]) -> int:
    user_id: int = db.execute(insert(User).values(values).returning(User.id)).scalar_one()
    return user_id


def _any_user(db: Any) -> bool:
    return bool(db.execute(select(func.count()).select_from(User)).scalar_one())


def _conflict(database: Database, values: dict[str, Any]) -> str:
    with database.read() as db:
        taken = db.execute(select(User.id).where(User.name == values["name"])).first()
    return f"there is a user {values['name']} already" if taken else "there is no such connection"


def _good(token: str) -> tuple[Any, ...]:
    return (SignInLink.digest == digest(token), SignInLink.used_at.is_(None), SignInLink.expires_at > now())


def _next_session(database: Database, user_id: int, **changes: Any) -> int:
    changes["session_version"] = User.session_version + 1
    with database.write() as db:
        changed = db.execute(
            update(User).where(User.id == user_id).values(changes).returning(User.session_version)
        ).scalar_one()
    return int(changed)


def _hash(password: str) -> str:
    with _hashing:
        return _HASHER.hash(password)


def _verify(hashed: str, password: str) -> bool:
    with _hashing:
        try:
            return _HASHER.verify(hashed, password)
        except (VerifyMismatchError, InvalidHashError):
            return False


@cache
def _dummy_hash() -> str:
    return _HASHER.hash(secrets.token_urlsafe(16))
