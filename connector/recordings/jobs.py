"""Fetching as a job of its own: any worker claims one recording at a time, so a slow download holds up no call.

A claim is a short lease, renewed while the fetch lasts. Who dies loses it, and another fetches again; who comes too
late changes nothing, because a recording is settled only by the owner of its lease.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy import Connection as SQLConnection

from connector.db import Database, now
from connector.deployment import Deployment
from connector.log import about
from connector.models import Delivery, DeliveryKind, DeliveryState, Recording, RecordingState
from connector.recordings.fetch import Impossible, NotYet, Ready
from connector.recordings.files import bring, to_mp3
from connector.recordings.links import plays_only_mp3

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=10)
AT_ONCE = 8

_WAITS = [*(2, 5, 10, 20, 40, 60, 120, 300, 900), *[3600] * 24]
PATIENT_TRIES = 8
"""After so many tries, nine minutes, a file that is half by its own header is not going to grow: it is taken as is."""
_HELD: set[tuple[str, str]] = set()
"""Owners of this process, and the calls whose recordings they are fetching or about to."""


@dataclass(frozen=True, kw_only=True)
class RecordingJob:
    """A recording that `owner` may fetch until the lease lapses. `attempts` were made before."""

    call_id: str
    connection_id: int
    recfile: str
    attempts: int
    owner: str


def wait_after(attempts: int) -> timedelta | None:
    """How long to wait after the given number of tries without a file; None: a day and more has passed, it won't come.

    The file appears some time after the end of its call: mostly in seconds, so the first tries are close together.
    """
    return timedelta(seconds=_WAITS[attempts - 1]) if attempts <= len(_WAITS) else None


def work_recordings(deployment: Deployment, owner: str, submit: Callable[[Callable[[], None]], object]) -> None:
    """Claims what is due, at most AT_ONCE under way for one owner, and submits each as a job that claims on when done.

    Called every second and whenever there may be work.
    """
    for job in claim_due(deployment.database, owner, AT_ONCE - _under_way(deployment.database, owner)):
        _HELD.add((owner, job.call_id))
        submit(partial(_fetch_and_go_on, deployment, job, submit))


def _fetch_and_go_on(deployment: Deployment, job: RecordingJob, submit: Callable[[Callable[[], None]], object]) -> None:
    try:
        fetch_one(deployment, job)
    finally:
        _HELD.discard((job.owner, job.call_id))
    work_recordings(deployment, job.owner, submit)


def renew(database: Database, owner: str) -> None:
    """Keeps what `owner` is fetching or about to; called every few seconds while it lives.

    A fetch that ended without being settled (the database was away) is not renewed: its lease lapses and it is made
    again.
    """
    held = [call_id for holder, call_id in list(_HELD) if holder == owner]
    if not held:
        return
    with database.write() as db:
        db.execute(
            update(Recording)
            .where(
                Recording.call_id.in_(held),
                Recording.owner == owner,
                Recording.state == RecordingState.PENDING,
                Recording.leased_until > now(),
            )
            .values(leased_until=now() + LEASE)
        )


def claim_due(database: Database, owner: str, limit: int) -> list[RecordingJob]:
    """Up to `limit` recordings that are due and nobody's, now `owner`'s."""
    due = select(Recording.call_id).where(_due(now())).order_by(Recording.due_at).limit(max(0, limit))
    with database.read() as db:
        if limit <= 0 or db.execute(due.limit(1)).first() is None:
            return []
    columns = (Recording.call_id, Recording.connection_id, Recording.recfile, Recording.attempts)
    with database.write() as db:  # SQLite has one writer at a time; PostgreSQL skips the rows that others are claiming
        call_ids = db.execute(due.with_for_update(skip_locked=True)).scalars().all()
        rows = db.execute(
            update(Recording)
            .where(Recording.call_id.in_(call_ids))
            .values(owner=owner, leased_until=now() + LEASE)
            .returning(*columns)
        ).mappings()
        return [RecordingJob(owner=owner, **row) for row in rows]


def release(database: Database, owner: str) -> int:
    """Gives back what an owner that stops has claimed: others may fetch it at once. How many there were."""
    _HELD.difference_update([each for each in list(_HELD) if each[0] == owner])
    with database.write() as db:
        released = db.execute(
            update(Recording)
            .where(Recording.owner == owner, Recording.state == RecordingState.PENDING)
            .values(owner=None, leased_until=None)
        )
    return released.rowcount


def fetch_one(deployment: Deployment, job: RecordingJob) -> None:
    """Fetches a claimed recording, with no transaction open, and settles it."""
    connection = deployment.connections.by_id(job.connection_id)
    if connection is None:
        return  # removed, and the recording with it
    try:
        outcome = bring(
            deployment,
            connection,
            job.call_id,
            job.recfile,
            whole=job.attempts < PATIENT_TRIES,
            make_mp3=partial(to_mp3, job.call_id) if plays_only_mp3(connection.crm) else None,
        )
    except Exception as error:  # whatever it was, the recording has its schedule and others go on
        log.exception("a recording could not be fetched", extra=about(job.call_id))
        outcome = NotYet(reason=f"{type(error).__name__}: {error}")
    if isinstance(outcome, Ready):
        _settle_ready(deployment, job, outcome)
    else:
        _settle_without(deployment.database, job, outcome)


def _due(moment: datetime) -> ColumnElement[bool]:
    free = or_(Recording.leased_until.is_(None), Recording.leased_until < moment)
    return (Recording.state == RecordingState.PENDING) & (Recording.due_at <= moment) & free


def _under_way(database: Database, owner: str) -> int:
    with database.read() as db:
        return db.execute(
            select(func.count()).where(
                Recording.state == RecordingState.PENDING, Recording.owner == owner, Recording.leased_until > now()
            )
        ).scalar_one()


def _settle_ready(deployment: Deployment, job: RecordingJob, ready: Ready) -> None:
    moment = now()
    changes = {
        "state": RecordingState.READY,
        "path": ready.path.relative_to(deployment.settings.instance).as_posix(),
        "content_type": ready.content_type,
        "size": ready.size,
        "error": None,
    }
    with deployment.database.write() as db:
        settled = _settle(db, job, changes)
        if settled:
            db.execute(
                update(Delivery)
                .where(_recording_delivery([job.call_id]), Delivery.state == DeliveryState.WAITING)
                .values(state=DeliveryState.PENDING, due_at=moment)
            )
            deployment.database.wake_workers(db)
        state = db.execute(select(Recording.state).where(Recording.call_id == job.call_id)).scalar_one_or_none()
    if settled:
        log.info("recording fetched, %d bytes", ready.size, extra=about(job.call_id))
    elif state in {None, RecordingState.FORGOTTEN}:
        ready.path.unlink(missing_ok=True)  # forgotten while it was on its way


def _settle_without(database: Database, job: RecordingJob, outcome: NotYet | Impossible) -> None:
    attempts = job.attempts + 1
    wait = wait_after(attempts) if isinstance(outcome, NotYet) else None
    changes: dict[str, Any] = {"attempts": attempts, "error": outcome.reason}
    changes |= {"state": RecordingState.MISSING} if wait is None else {"due_at": now() + wait}
    with database.write() as db:
        if _settle(db, job, changes) and wait is None:
            db.execute(
                update(Delivery)
                .where(_recording_delivery([job.call_id]), Delivery.state == DeliveryState.WAITING)
                .values(
                    state=DeliveryState.DEAD, settled_at=now(), error=f"no recording could be had: {outcome.reason}"
                )
            )
    level = logging.INFO if wait else logging.WARNING
    log.log(level, "no recording after %d tries: %s", attempts, outcome.reason, extra=about(job.call_id))


def _settle(db: SQLConnection, job: RecordingJob, changes: dict[str, Any]) -> bool:
    """Whether the recording was still the job's owner's to settle; it is free then."""
    settled = db.execute(
        update(Recording)
        .where(
            Recording.call_id == job.call_id,
            Recording.owner == job.owner,
            Recording.state == RecordingState.PENDING,
        )
        .values(owner=None, leased_until=None, **changes)
    )
    return bool(settled.rowcount)


def _recording_delivery(call_ids: Sequence[str]) -> ColumnElement[bool]:
    return Delivery.call_id.in_(call_ids) & (Delivery.kind == DeliveryKind.RECORDING)
