"""Whose extension it is, and which extension somebody has: the connection's own mapping first, then the CRM's."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, func, insert, or_, select, update

from connector.calls.kinds import autodial_numbers
from connector.calls.numbers import normal_number
from connector.connections.accounts import note_asked
from connector.connections.store import Connection
from connector.db import now
from connector.deployment import Deployment
from connector.models import Call, CRMAccount, Extension
from connector.models import Connection as ConnectionRow
from crm_adapters.contract import Capability, CRMUser
from crm_adapters.errors import AdapterError
from crm_adapters.settings import parse_user_by_extension, parse_users_by_line

logger = logging.getLogger(__name__)

REFRESH_EACH = timedelta(hours=1)
READ_SECONDS = 60.0
REFRESH_FOR_UNKNOWN = timedelta(minutes=1)
"""An extension that nobody is known for has the users read again, but not more often than this."""
REFRESH_FOR_CLICK = timedelta(seconds=10)
"""The same for an employee who wants to call and has no extension: perhaps it was given just now."""
SEEN_LATELY = timedelta(days=30)


def user_of(deployment: Deployment, connection: Connection, extension: str | None, seconds: float) -> str | None:
    """The CRM user with this extension, None where nobody is known for it.

    Asks the CRM for its users, within `seconds`, where the extension is unknown and they were last read a while ago.
    """
    if not extension:
        return None
    own = parse_user_by_extension(connection.get("extensions")).get(extension)
    known = own or _known(deployment, connection.id, extension)
    if known is None and extension in autodial_numbers(connection):
        return None
    if known is None and refresh(deployment, connection, REFRESH_FOR_UNKNOWN, seconds):
        known = _known(deployment, connection.id, extension)
    if known is None:
        logger.info("connection %s: nobody is known for the extension %s", connection.name, extension)
    return known


def extension_of(deployment: Deployment, connection: Connection, user_id: str | None, seconds: float) -> str | None:
    """The extension of a CRM user, None where none is known; asks the CRM as above."""
    if not user_id:
        return None
    own = {user: extension for extension, user in parse_user_by_extension(connection.get("extensions")).items()}
    if user_id in own:
        return own[user_id]
    found = _extension_in(users(deployment, connection), user_id)
    if found is None and refresh(deployment, connection, REFRESH_FOR_CLICK, seconds):
        found = _extension_in(users(deployment, connection), user_id)
    return found


def users(deployment: Deployment, connection: Connection) -> list[CRMUser]:
    """The CRM's active users as they were last read; none before the first time."""
    with deployment.database.read() as db:
        rows = db.execute(
            select(CRMAccount.users).where(CRMAccount.connection_id == connection.id)
        ).scalar_one_or_none()
    return [CRMUser(id=row["id"], name=row["name"], extension=row["extension"]) for row in rows or ()]


def users_by_extension(deployment: Deployment, connection: Connection) -> dict[str, str]:
    """The CRM user of each extension as far as it is known; asks nobody."""
    with deployment.database.read() as db:
        rows = db.execute(
            select(Extension.extension, Extension.user_id).where(Extension.connection_id == connection.id)
        ).all()
    known = {row.extension: row.user_id for row in rows}
    return known | dict(parse_user_by_extension(connection.get("extensions")))


def give_numbers(deployment: Deployment, connection: Connection, extensions: dict[str, str]) -> None:
    """Takes the inner numbers that were given in the CRM just now, by user ID; who is not named has none."""
    known = {user.id: user for user in users(deployment, connection)}
    for user_id in extensions:
        known.setdefault(user_id, CRMUser(id=user_id, name=user_id, extension=None))
    _keep(deployment, connection.id, [replace(user, extension=extensions.get(user.id)) for user in known.values()])


def users_of_line(connection: Connection, line: str | None) -> tuple[str, ...]:
    """Who sees calls to this line whose client has no responsible user; empty where the setting names nobody."""
    region = connection.get("phone_region")
    named = parse_users_by_line(connection.get("line_users"))
    return next((ids for number, ids in named.items() if line and normal_number(number, region) == line), ())


def unknown_extensions(deployment: Deployment, connection: Connection) -> dict[str, int]:
    """Extensions that calls of late named and nobody is known for, and in how many calls."""
    known = set(parse_user_by_extension(connection.get("extensions"))) | autodial_numbers(connection)
    known |= {user.extension for user in users(deployment, connection) if user.extension}
    with deployment.database.read() as db:
        rows = db.execute(
            select(Call.extension, func.count())
            .where(
                Call.connection_id == connection.id,
                Call.started_at >= now() - SEEN_LATELY,
                Call.extension.is_not(None),
            )
            .group_by(Call.extension)
            .order_by(Call.extension)
        ).all()
    return {str(extension): number for extension, number in rows if extension not in known}


def _extension_in(people: list[CRMUser], user_id: str) -> str | None:
    return next((user.extension for user in people if user.id == user_id and user.extension), None)


def refresh(deployment: Deployment, connection: Connection, older_than: timedelta, seconds: float) -> bool:
    """Reads the CRM's users again where the last time is longer ago than `older_than`; whether it did.

    A failure leaves what was known: half a list would name the wrong people.
    """
    if not connection.can(Capability.USERS) or not _take_turn(deployment, connection.id, now(), older_than):
        return False
    try:
        read = deployment.adapter(connection).users(seconds=seconds)
    except AdapterError as error:
        logger.warning("connection %s: the CRM's users were not read: %s", connection.name, error)
        return False
    _keep(deployment, connection.id, read)
    return True


def refresh_all(deployment: Deployment) -> None:
    """Reads the users of all connections that are due for it."""
    with deployment.database.read() as db:
        ids = db.execute(
            select(CRMAccount.connection_id)
            .join(ConnectionRow, ConnectionRow.id == CRMAccount.connection_id)
            .where(_old(now() - REFRESH_EACH), ConnectionRow.paused_by.is_(None))
        ).scalars()
    for connection_id in list(ids):
        connection = deployment.connections.by_id(connection_id)
        if connection and not connection.trouble:
            refresh(deployment, connection, REFRESH_EACH, READ_SECONDS)


def _old(before: datetime) -> ColumnElement[bool]:
    return or_(CRMAccount.users_at.is_(None), CRMAccount.users_at < before)


def _take_turn(deployment: Deployment, connection_id: int, at: datetime, older_than: timedelta) -> bool:
    """One process asks at a time, and not again at once where the CRM fails."""
    with deployment.database.write() as db:
        mine = db.execute(
            update(CRMAccount)
            .where(CRMAccount.connection_id == connection_id, _old(at - older_than))
            .values(users_at=at)
        )
        return bool(mine.rowcount) or note_asked(db, connection_id, at)


def _known(deployment: Deployment, connection_id: int, extension: str) -> str | None:
    with deployment.database.read() as db:
        return db.execute(
            select(Extension.user_id).where(Extension.connection_id == connection_id, Extension.extension == extension)
        ).scalar_one_or_none()


def _keep(deployment: Deployment, connection_id: int, read: list[CRMUser]) -> None:
    rows = {
        user.extension: {
            "connection_id": connection_id,
            "extension": user.extension,
            "user_id": user.id,
            "user_name": user.name[:200],
            "seen_at": now(),
        }
        for user in reversed(read)  # of two with one number the first one listed counts
        if user.active and user.extension and len(user.extension) <= 20
    }
    people = [{"id": user.id, "name": user.name[:200], "extension": user.extension} for user in read if user.active]
    with deployment.database.write() as db:
        db.execute(update(CRMAccount).where(CRMAccount.connection_id == connection_id).values(users=people))
        db.execute(delete(Extension).where(Extension.connection_id == connection_id))
        if rows:
            db.execute(insert(Extension), list(rows.values()))
