"""Whose extension it is: the connection's own mapping first, then what the CRM itself knows."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, insert, or_, select, update

from connector.connections.store import Connection
from connector.db import now
from connector.deployment import Deployment
from connector.models import Connection as ConnectionRow
from connector.models import CRMAccount, Extension
from crm_adapters.contract import Capability, CRMUser
from crm_adapters.errors import AdapterError
from crm_adapters.settings import parse_user_by_extension

logger = logging.getLogger(__name__)

REFRESH_EACH = timedelta(hours=1)
READ_SECONDS = 60.0
REFRESH_FOR_UNKNOWN = timedelta(minutes=1)
"""An extension that nobody is known for has the users read again, but not more often than this."""


def user_of(deployment: Deployment, connection: Connection, extension: str | None, seconds: float) -> str | None:
    """The CRM user whose call it is, else the connection's default user, else None.

    Asks the CRM for its users, within `seconds`, where the extension is unknown and they were last read a while ago.
    """
    if extension:
        own = parse_user_by_extension(connection.get("extensions")).get(extension)
        known = own or _known(deployment, connection.id, extension)
        if known is None and refresh(deployment, connection, REFRESH_FOR_UNKNOWN, seconds):
            known = _known(deployment, connection.id, extension)
        if known:
            return known
        logger.info("connection %s: nobody is known for the extension %s", connection.name, extension)
    return connection.get("default_user") or None


def refresh(deployment: Deployment, connection: Connection, older_than: timedelta, seconds: float) -> bool:
    """Reads the CRM's users again where the last time is longer ago than `older_than`; whether it did.

    A failure leaves what was known: half a list would name the wrong people.
    """
    if not connection.can(Capability.USERS) or not _take_turn(deployment, connection.id, now(), older_than):
        return False
    try:
        users = deployment.adapter(connection).users(seconds=seconds)
    except AdapterError as error:
        logger.warning("connection %s: the CRM's users were not read: %s", connection.name, error)
        return False
    _keep(deployment, connection.id, users)
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
    return bool(mine.rowcount)


def _known(deployment: Deployment, connection_id: int, extension: str) -> str | None:
    with deployment.database.read() as db:
        return db.execute(
            select(Extension.user_id).where(Extension.connection_id == connection_id, Extension.extension == extension)
        ).scalar_one_or_none()


def _keep(deployment: Deployment, connection_id: int, users: list[CRMUser]) -> None:
    rows = {
        user.extension: {
            "connection_id": connection_id,
            "extension": user.extension,
            "user_id": user.id,
            "user_name": user.name[:200],
            "seen_at": now(),
        }
        for user in reversed(users)  # of two with one number the first one listed counts
        if user.active and user.extension and len(user.extension) <= 20
    }
    with deployment.database.write() as db:
        db.execute(delete(Extension).where(Extension.connection_id == connection_id))
        if rows:
            db.execute(insert(Extension), list(rows.values()))
