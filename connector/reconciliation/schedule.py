"""When connections are compared with Evrotel's call records: today every ten minutes, yesterday once in the night."""

from __future__ import annotations

import logging
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from connector.connections.store import Connection
from connector.db import insert_or_ignore, now, upsert
from connector.deployment import Deployment
from connector.models import Reconciliation
from connector.reconciliation.comparing import Comparison, NoRecords, compare

logger = logging.getLogger(__name__)

EACH = timedelta(minutes=10)
FIRST_AFTER = timedelta(minutes=1)
"""A new connection's first comparison."""
EACH_IN_VAIN = timedelta(hours=1)
"""Where the records' address does not answer and nobody said that it should."""
GRACE = timedelta(minutes=2)
"""A call that ended less than this ago may still be told by its events."""
NIGHT_HOUR = 3
"""From this hour of the PBX's zone on the day before is complete in the records."""


def reconcile_due(deployment: Deployment) -> None:
    """Compares the connections that are due, each by one worker. Harmless in two workers at once."""
    for connection in deployment.connections.all():
        wanted = connection.get("reconcile") != "off" and connection.get("evrotel_billcode")
        if wanted and _claim(deployment, connection):
            reconcile(deployment, connection)


def reconcile(deployment: Deployment, connection: Connection) -> None:
    """Compares today, and yesterday where that is due, and notes what came of it."""
    at = now()
    try:
        yesterday = _yesterday_due(deployment, connection, at)
        if yesterday is not None:
            note(deployment, connection, compare(deployment, connection, yesterday))
        note(deployment, connection, compare(deployment, connection, _today(connection, at), grace=GRACE))
    except NoRecords as error:
        note_failure(deployment, connection, str(error))


def note(deployment: Deployment, connection: Connection, found: Comparison) -> None:
    """Keeps what a comparison found. A day counts as done once the night after it has come."""
    at = now()
    values = {
        "connection_id": connection.id,
        "checked_at": at,
        "next_at": at + EACH,
        "rows": found.rows,
        "logged": found.logged,
        "finished": found.finished,
        "skipped": len(found.skipped),
        "error": None,
        "failing_since": None,
    }
    if found.day <= complete_day(connection, at):
        values["day"] = found.day
    with deployment.database.write() as db:
        upsert(db, Reconciliation, ["connection_id"], values)


def note_failure(deployment: Deployment, connection: Connection, why: str) -> None:
    """Keeps why the records could not be read, and asks rarely from now on unless they are known to be there."""
    at, row = now(), last(deployment, connection.id)
    wanted = connection.get("reconcile") == "on" or (row is not None and row.checked_at is not None)
    level = logging.WARNING if wanted else logging.INFO
    logger.log(level, "connection %s was not compared with the call records: %s", connection.name, why)
    wait = EACH if wanted else EACH_IN_VAIN
    since = row.failing_since if row is not None and row.failing_since else at
    with deployment.database.write() as db:
        db.execute(
            update(Reconciliation)
            .where(Reconciliation.connection_id == connection.id)
            .values(error=why[:500], failing_since=since, next_at=at + wait)
        )


def last(deployment: Deployment, connection_id: int) -> Any:
    """The connection's row, None before the first comparison."""
    with deployment.database.read() as db:
        query = select(*Reconciliation.__table__.columns).where(Reconciliation.connection_id == connection_id)
        return db.execute(query).first()


def _claim(deployment: Deployment, connection: Connection) -> bool:
    """Whether the connection is due and this process is to do it. Who dies meanwhile is followed ten minutes later."""
    at, row = now(), last(deployment, connection.id)
    if row is not None and row.next_at > at:
        return False
    with deployment.database.write() as db:
        if row is None:
            first = {"connection_id": connection.id, "next_at": at + FIRST_AFTER} | _NOTHING_YET
            db.execute(insert_or_ignore(db, Reconciliation, ["connection_id"]), first)
            return False
        mine = db.execute(
            update(Reconciliation)
            .where(Reconciliation.connection_id == connection.id, Reconciliation.next_at <= at)
            .values(next_at=at + EACH)
        )
    return bool(mine.rowcount)


_NOTHING_YET = {"rows": 0, "logged": 0, "finished": 0, "skipped": 0}


def _yesterday_due(deployment: Deployment, connection: Connection, at: datetime) -> date | None:
    """Yesterday, where the night has come and it was not compared since."""
    yesterday = _today(connection, at) - timedelta(days=1)
    row = last(deployment, connection.id)
    done = row.day if row is not None else None
    return yesterday if yesterday == complete_day(connection, at) and done != yesterday else None


def complete_day(connection: Connection, at: datetime) -> date:
    """The last day that is complete in the records."""
    local = at.astimezone(connection.zone)
    return local.date() - timedelta(days=1 if local.hour >= NIGHT_HOUR else 2)


def _today(connection: Connection, at: datetime) -> date:
    return at.astimezone(connection.zone).date()
