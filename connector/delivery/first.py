"""The one try that a start gets while Evrotel waits for its answer, outside the lane."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select, update

from connector.calls.arrivals import StartTaken
from connector.connections.store import Connection
from connector.db import now
from connector.delivery.lanes import in_trouble
from connector.delivery.loop import blame_adapter
from connector.delivery.messages import telling_of
from connector.delivery.outbox import claimed, end_wait, release_claim
from connector.delivery.retry import Verdict
from connector.delivery.settle import Told, note_try, save_progress, settle, told_of
from connector.deployment import Deployment
from connector.models import Call
from crm_adapters.contract import Capability, Priority, Telling
from crm_adapters.errors import Held, Limited

logger = logging.getLogger(__name__)

CLAIM_MARGIN = timedelta(seconds=5)
"""How long after the answer's time the claim on a start still holds: then its request is taken for dead."""
SHORTEST_TRY = 0.1
LONGEST_FORGOING = 5.0
"""So long at most starts go without a try after one met a spent budget."""
REPEAT_LOOKS_EACH = 0.05


def claim_until(deployment: Deployment, connection: Connection, at: datetime) -> datetime | None:
    """Until when a start that came at `at` is this request's to tell; None where trying at once is of no use."""
    seconds = deployment.settings.start_answer_seconds
    in_trouble = connection.trouble is not None
    if connection.paused or in_trouble or seconds < SHORTEST_TRY or not connection.can(Capability.CALL_ID):
        return None
    if time.monotonic() < deployment.no_try_before.get(connection.id, 0.0):
        return None
    return at + timedelta(seconds=seconds) + CLAIM_MARGIN


def answer_to(deployment: Deployment, connection: Connection, taken: StartTaken, deadline: float) -> str:
    """The callid to answer a start with, by `deadline` (monotonic seconds): the CRM's ID, else ours.

    A repeated start is answered as the first one is, also while that one still waits.
    """
    if taken.callid is not None:
        return taken.callid
    if taken.to_tell:
        _tell(deployment, connection, taken.call_id, deadline)
    else:
        _wait_for_first(deployment, taken.call_id, deadline)
    return _settled_callid(deployment, taken.call_id)


def _tell(deployment: Deployment, connection: Connection, call_id: str, deadline: float) -> None:
    if not deployment.waiting_starts.enter():
        _leave_to_lane(deployment, call_id)
        return
    try:
        _tell_now(deployment, connection, call_id, deadline)
    finally:
        deployment.waiting_starts.leave()


def _tell_now(deployment: Deployment, connection: Connection, call_id: str, deadline: float) -> None:
    database = deployment.database
    with database.read() as db:
        row = claimed(db, call_id)
        quiet = row is not None and in_trouble(db, connection.id, now())
    if row is None:
        return
    if quiet:  # since a moment, which this process does not know yet
        _leave_to_lane(deployment, call_id)
        return
    began = time.monotonic()
    telling = telling_of(deployment, connection, row, (deadline - time.monotonic()) / 2)

    def told() -> Told:
        return told_of(row, telling, int((time.monotonic() - began) * 1000))

    def save(_: Sequence[Telling]) -> None:
        with database.write() as db:
            save_progress(db, [told()])
            if isinstance(telling.error, Held) and not telling.error.retry_after:
                end_wait(db, row.delivery_id, now())  # told after our patience: what comes next waits no longer
                database.wake_workers(db)

    seconds = deadline - time.monotonic()
    try:
        deployment.adapter(connection).tell([telling], save=save, priority=Priority.START, seconds=seconds)
    except Exception as error:
        logger.exception("connection %s: the adapter failed", connection.name)
        blame_adapter([telling], error)
    with database.write() as db:
        failed = telling.error is not None and not isinstance(telling.error, Held)
        out_of_time = failed and time.monotonic() >= deadline - 0.2
        if isinstance(telling.error, Limited):
            _others_need_not_try(deployment, connection, telling.error)
        if out_of_time or isinstance(telling.error, Limited):
            # Our patience ended, not the account's; or it is near its limit. The lane asks with more patience.
            note_try(db, told(), now())
            release_claim(db, call_id)
        elif settle(db, connection.id, [told()], now()) is Verdict.PAUSE:
            logger.warning("connection %s was paused by a start", connection.name)
        database.wake_workers(db)


def _others_need_not_try(deployment: Deployment, connection: Connection, error: Limited) -> None:
    """A burst's other starts are answered at once: finding the budget spent costs each of them three transactions."""
    wait = min(error.retry_after or 0.0, LONGEST_FORGOING)
    deployment.no_try_before[connection.id] = time.monotonic() + wait


def _wait_for_first(deployment: Deployment, call_id: str, deadline: float) -> None:
    while time.monotonic() < deadline and _callid(deployment, call_id) is None:
        time.sleep(REPEAT_LOOKS_EACH)


def _callid(deployment: Deployment, call_id: str) -> str | None:
    with deployment.database.read() as db:
        return db.execute(select(Call.callid).where(Call.id == call_id)).scalar_one_or_none()


def _settled_callid(deployment: Deployment, call_id: str) -> str:
    """What the call is answered with from now on: set once, whoever is first."""
    if callid := _callid(deployment, call_id):
        return callid
    with deployment.database.write() as db:
        db.execute(
            update(Call)
            .where(Call.id == call_id, Call.callid.is_(None))
            .values(callid=func.coalesce(Call.crm_call_id, call_id))
        )
        callid = db.execute(select(Call.callid).where(Call.id == call_id)).scalar_one_or_none()
    return callid or call_id


def _leave_to_lane(deployment: Deployment, call_id: str) -> None:
    with deployment.database.write() as db:
        release_claim(db, call_id)
        deployment.database.wake_workers(db)
