"""Works a lane: tells one connection's CRM what is due, in order, until nothing is or the account is in trouble."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from connector.connections.store import Connection
from connector.db import now
from connector.delivery import lanes
from connector.delivery.messages import telling_of
from connector.delivery.outbox import expire, take_due
from connector.delivery.settle import Told, put_off, save_progress, settle, told_of
from connector.deployment import Deployment
from connector.log import about
from connector.models import Lane
from crm_adapters.contract import Priority, Telling
from crm_adapters.errors import AdapterError, TryAgain

logger = logging.getLogger(__name__)

USERS_SECONDS = 5.0
TELL_SECONDS = 12.0
"""The longest that one go of up to 50 tellings may take: what hangs then is looked up and made good within half a
minute."""
TURN_SECONDS = 3.0
"""After so long a lane gives its thread back, also with more to tell: others may wait for one."""


@dataclass
class Worked:
    """What came of a lane's turn: how long its last go took (None: there was none), and whether there is more."""

    last_seconds: float | None = None
    more: bool = False


def work_lane(deployment: Deployment, connection_id: int, owner: str, stop: threading.Event) -> Worked:
    """Leases the lane and works it for a turn; does nothing where another has it. Never raises."""
    database = deployment.database
    worked = Worked()
    try:
        with database.write() as db:
            if not lanes.lease(db, connection_id, owner, now()):
                return worked
        try:
            _work_a_turn(deployment, connection_id, owner, stop, worked)
        finally:
            with database.write() as db:
                lanes.release(db, connection_id, owner)
    except lanes.LaneLost:
        logger.warning("connection %s: another worker took the lane over", connection_id)
    except Exception:
        logger.exception(
            "connection %s: the lane stopped; it is taken up again when its lease has lapsed", connection_id
        )
    return worked


def _work_a_turn(deployment: Deployment, connection_id: int, owner: str, stop: threading.Event, worked: Worked) -> None:
    """Tells what is due until nothing is, or until the turn is over and another lane may want the thread."""
    over, go_on = time.monotonic() + TURN_SECONDS, True
    while go_on and not stop.is_set():
        if time.monotonic() > over:
            worked.more = True
            return
        began = time.monotonic()
        try:
            go_on = _tell_once(deployment, connection_id, owner)
        finally:
            worked.last_seconds = time.monotonic() - began


def _tell_once(deployment: Deployment, connection_id: int, owner: str) -> bool:
    """Tells what is due now, at most 50 deliveries, one while the account is in trouble; whether to go on."""
    connection = deployment.connections.by_id(connection_id)
    if connection is None or connection.paused:
        return False
    rows = _take(deployment, connection_id, owner)
    if not rows:
        return False
    told = _tell(deployment, connection, owner, rows)
    if not told:
        return True
    with deployment.database.write() as db:
        at = now()
        lanes.hold(db, connection_id, owner, at)
        return settle(db, connection_id, told, at) is None


def _take(deployment: Deployment, connection_id: int, owner: str) -> Sequence[Any]:
    with deployment.database.write() as db:
        at = now()
        lanes.hold(db, connection_id, owner, at)
        expire(db, connection_id, at)
        in_trouble = db.execute(select(Lane.trouble_since).where(Lane.connection_id == connection_id)).scalar_one()
        return take_due(db, connection_id, at, probing=in_trouble is not None)


def _tell(deployment: Deployment, connection: Connection, owner: str, rows: Sequence[Any]) -> list[Told]:
    """Has the adapter tell all rows' events; what it raises against its contract fails them for a while."""
    began = time.monotonic()
    rows, tellings = _readable(deployment, connection, rows)
    if not tellings:
        return []
    told = {id(telling): told_of(row, telling) for row, telling in zip(rows, tellings, strict=True)}

    def save(changed: Sequence[Telling]) -> None:
        with deployment.database.write() as db:
            lanes.hold(db, connection.id, owner, now())
            save_progress(db, [told[id(telling)] for telling in changed])

    try:
        deployment.adapter(connection).tell(tellings, save=save, priority=Priority.BACKGROUND, seconds=TELL_SECONDS)
    except lanes.LaneLost:
        raise
    except Exception as error:
        logger.exception("connection %s: the adapter failed", connection.name)
        blame_adapter(tellings, error)
    milliseconds = int((time.monotonic() - began) * 1000)
    return [told_of(row, telling, milliseconds) for row, telling in zip(rows, tellings, strict=True)]


def _readable(deployment: Deployment, connection: Connection, rows: Sequence[Any]) -> tuple[list[Any], list[Telling]]:
    """The rows that make a telling, and their tellings. One that makes none is put off and holds up nobody."""
    readable, tellings = [], []
    for row in rows:
        try:
            tellings.append(telling_of(deployment, connection, row, USERS_SECONDS))
            readable.append(row)
        except SQLAlchemyError:
            raise
        except Exception as error:
            logger.exception("a delivery can't be read", extra=about(row.call_id))
            with deployment.database.write() as db:
                put_off(db, row.delivery_id, row.attempts, f"unexpected {type(error).__name__}", now())
    return readable, tellings


def blame_adapter(tellings: Sequence[Telling], error: Exception) -> None:
    """An adapter that raises breaks its contract: each of its tellings fails for now, none is lost."""
    for telling in tellings:
        known = error if isinstance(error, AdapterError) else TryAgain(f"unexpected {type(error).__name__}")
        telling.error = telling.error or known
