"""Fetching as a job of its own: any worker claims one recording at a time, so a slow download holds up no call.

A claim is a short lease, renewed while the job lasts. Who dies loses it, and another does it again; who comes too
late changes nothing, because a recording is settled only by the owner of its lease. Making the MP3 of a recording that
is kept, because somebody asks for one, is such a job too.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy import Connection as SQLConnection

from connector.db import Database, now
from connector.deployment import Deployment
from connector.log import about
from connector.models import Delivery, DeliveryKind, DeliveryState, Recording, RecordingState
from connector.recordings.fetch import Impossible, NotYet
from connector.recordings.files import Brought, bring
from connector.recordings.forgetting import delete_files
from connector.recordings.making import make_wanted_mp3

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=10)
AT_ONCE = 40
MOST_OF_ONE = 8
"""Of these for one connection: a host that keeps us waiting must not hold up the recordings of others."""
MP3_AT_ONCE = 4

_WAITS = [*(2, 5, 10, 20, 40, 60, 120, 300, 900), *[3600] * 24]
PATIENT_TRIES = 3
"""After so many tries, 17 seconds, a file that is half by its header and as large as at the try before does not grow
any more: its writer died, and it is taken as it is."""


@dataclass(frozen=True, kw_only=True)
class RecordingJob:
    """A recording that `owner` may fetch, or make into MP3, until the lease lapses. `attempts` were made before."""

    call_id: str
    connection_id: int
    recfile: str
    attempts: int
    size: int | None
    owner: str
    state: str

    @property
    def is_mp3(self) -> bool:
        """Whether it is here already and its MP3 is wanted."""
        return self.state == RecordingState.READY


_HELD: dict[str, dict[str, RecordingJob]] = {}
"""By owner of this process and by call: what they are at, or about to be."""


def wait_after(attempts: int) -> timedelta | None:
    """How long to wait after the given number of tries without a file; None: a day and more has passed, it won't come.

    The file appears some time after the end of its call: mostly in seconds, so the first tries are close together.
    """
    return timedelta(seconds=_WAITS[attempts - 1]) if attempts <= len(_WAITS) else None


def work_recordings(deployment: Deployment, owner: str, submit: Callable[[Callable[[], None]], object]) -> None:
    """Claims what is due, as much as one owner may hold, and submits each as a job that claims on when done.

    Called every second and whenever there may be work.
    """
    held = _HELD.setdefault(owner, {})
    for job in claim_due(deployment.database, owner, list(held.values())):
        held[job.call_id] = job
        submit(partial(_work_and_go_on, deployment, job, submit))


def _work_and_go_on(deployment: Deployment, job: RecordingJob, submit: Callable[[Callable[[], None]], object]) -> None:
    try:
        work_one(deployment, job)
    finally:
        _HELD.get(job.owner, {}).pop(job.call_id, None)
    work_recordings(deployment, job.owner, submit)


def renew(database: Database, owner: str) -> None:
    """Keeps what `owner` is at or about to be; called every few seconds while it lives.

    A job that ended without being settled (the database was away) is not renewed: its lease lapses, it is done again.
    """
    held = list(_HELD.get(owner, {}))
    if not held:
        return
    with database.write() as db:
        db.execute(
            update(Recording)
            .where(Recording.call_id.in_(held), Recording.owner == owner, Recording.leased_until > now())
            .values(leased_until=now() + LEASE)
        )


def claim_due(database: Database, owner: str, held: Sequence[RecordingJob] = ()) -> list[RecordingJob]:
    """Recordings that are due and nobody's, now `owner`'s, who holds others already; the longest due first."""
    moment = now()
    with database.read() as db:
        due = db.execute(_wanted(_to_fetch(moment), Recording.due_at)).all()
        due_mp3 = db.execute(_wanted(_to_make(moment), Recording.mp3_due_at)).all()
    making = sum(job.is_mp3 for job in held)
    chosen = [row.call_id for row in due_mp3[: max(0, MP3_AT_ONCE - making)]]
    chosen += _fairly(due, Counter(job.connection_id for job in held), AT_ONCE - len(held) - len(chosen))
    if not chosen:
        return []
    columns = (
        Recording.call_id,
        Recording.connection_id,
        Recording.recfile,
        Recording.attempts,
        Recording.size,
        Recording.state,
    )
    with database.write() as db:
        # Of two who claim the same row the later one finds it leased.
        rows = db.execute(
            update(Recording)
            .where(Recording.call_id.in_(chosen), or_(_to_fetch(moment), _to_make(moment)))
            .values(owner=owner, leased_until=now() + LEASE)
            .returning(*columns)
        ).mappings()
        return [RecordingJob(owner=owner, **row) for row in rows]


def _wanted(condition: ColumnElement[bool], since: Any) -> Any:
    """The first MOST_OF_ONE of each connection, the longest due first."""
    turn = func.row_number().over(partition_by=Recording.connection_id, order_by=since).label("turn")
    due = select(Recording.call_id, Recording.connection_id, since.label("since"), turn).where(condition).subquery()
    return select(due.c.call_id, due.c.connection_id).where(due.c.turn <= MOST_OF_ONE).order_by(due.c.since)


def _fairly(due: Sequence[Any], held: Counter[int], most: int) -> list[str]:
    """Up to `most` of the rows' call IDs, at most MOST_OF_ONE of each connection together with what it has already."""
    shares = Counter(held)
    chosen: list[str] = []
    for row in due:
        if len(chosen) < most and shares[row.connection_id] < MOST_OF_ONE:
            shares[row.connection_id] += 1
            chosen.append(row.call_id)
    return chosen


def release(database: Database, owner: str) -> int:
    """Gives back what an owner that stops has claimed: others may do it at once. How many there were."""
    held = _HELD.pop(owner, {})
    if not held:
        return 0
    with database.write() as db:
        released = db.execute(
            update(Recording)
            .where(Recording.call_id.in_(list(held)), Recording.owner == owner)
            .values(owner=None, leased_until=None)
        )
    return released.rowcount


def work_one(deployment: Deployment, job: RecordingJob) -> None:
    """Does a claimed job, with no transaction open, and settles it."""
    connection = deployment.connections.by_id(job.connection_id)
    if connection is None:
        return  # removed, and the recording with it
    if job.is_mp3:
        make_wanted_mp3(deployment, job.call_id, job.owner)
        return
    outcome: Brought | NotYet | Impossible
    try:
        settled_size = job.size if job.attempts >= PATIENT_TRIES else None
        outcome = bring(deployment, connection, job.call_id, job.recfile, settled_size=settled_size)
    except OSError as error:
        outcome = NotYet(reason=f"{type(error).__name__}: {error}")
    except Exception as error:  # whatever it was, the recording has its schedule and others go on
        log.exception("a recording could not be fetched", extra=about(job.call_id))
        outcome = NotYet(reason=f"{type(error).__name__}: {error}")
    if isinstance(outcome, Brought):
        _settle_ready(deployment, job, outcome)
    else:
        _settle_without(deployment.database, job, outcome)


def _to_fetch(moment: datetime) -> ColumnElement[bool]:
    return (Recording.state == RecordingState.PENDING) & (Recording.due_at <= moment) & _free(moment)


def _to_make(moment: datetime) -> ColumnElement[bool]:
    return (Recording.mp3_due_at <= moment) & (Recording.state == RecordingState.READY) & _free(moment)


def _free(moment: datetime) -> ColumnElement[bool]:
    return or_(Recording.leased_until.is_(None), Recording.leased_until < moment)


def _settle_ready(deployment: Deployment, job: RecordingJob, brought: Brought) -> None:
    moment = now()
    changes = asdict(brought) | {"state": RecordingState.READY, "error": None}
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
        log.info("recording fetched, %d bytes", brought.size, extra=about(job.call_id))
    elif state in {None, RecordingState.FORGOTTEN}:
        delete_files(deployment.store, brought)  # forgotten while it was on its way


def _settle_without(database: Database, job: RecordingJob, outcome: NotYet | Impossible) -> None:
    attempts = job.attempts + 1
    wait = wait_after(attempts) if isinstance(outcome, NotYet) else None
    size = outcome.size if isinstance(outcome, NotYet) else None
    changes: dict[str, Any] = {"attempts": attempts, "error": outcome.reason, "size": size}
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
