"""MP3s of recordings that are kept in another format, each made once, when somebody asks for it, by a worker."""

from __future__ import annotations

import logging
import time
from typing import Any

from sqlalchemy import Row, select, update

from connector.db import now
from connector.deployment import Deployment
from connector.log import about
from connector.models import Recording, RecordingState
from connector.recordings.fetch import FETCH_SECONDS, Fetched
from connector.recordings.files import bring_again, key_of, to_mp3
from connector.recordings.links import MPEG
from connector.recordings.stores import copy_out, incoming

log = logging.getLogger(__name__)

_LOOKING_SECONDS = 0.2


def wanted_mp3(deployment: Deployment, call_id: str, patience: float) -> Row[Any] | None:
    """The recording's row once its MP3 is there, or can't be made; None where that takes longer than `patience` s."""
    deadline = time.monotonic() + patience
    order_mp3(deployment, call_id)
    while True:
        row = _row(deployment, call_id)
        if row is None or row.state != RecordingState.READY or row.mp3_path or row.mp3_error:
            return row
        if time.monotonic() >= deadline:
            return None
        time.sleep(_LOOKING_SECONDS)


def order_mp3(deployment: Deployment, call_id: str) -> None:
    """Has a worker make the MP3, unless it is there or on its way."""
    with deployment.database.write() as db:
        db.execute(
            update(Recording)
            .where(
                Recording.call_id == call_id,
                Recording.state == RecordingState.READY,
                Recording.mp3_path.is_(None),
                Recording.mp3_error.is_(None),
                Recording.mp3_due_at.is_(None),
            )
            .values(mp3_due_at=now())
        )
        deployment.database.wake_workers(db)


def make_wanted_mp3(deployment: Deployment, call_id: str, owner: str) -> None:
    """Makes the MP3 of a claimed recording and settles that. Raises nothing of the store's."""
    row = _row(deployment, call_id)
    if row is None or row.path is None or row.state != RecordingState.READY:
        _settle(deployment, call_id, owner, {"mp3_due_at": None})
        return
    changes: dict[str, Any]
    try:
        changes = _made(deployment, row)
    except OSError as error:
        log.warning("an MP3 could not be made: %s", error, extra=about(call_id))
        changes = {"mp3_due_at": None}  # whoever still waits for it asks again
    if not _settle(deployment, call_id, owner, changes) and changes.get("mp3_path"):
        current = _row(deployment, call_id)
        if current is None or current.state == RecordingState.FORGOTTEN:
            deployment.store.delete(changes["mp3_path"])  # forgotten meanwhile


def _made(deployment: Deployment, row: Row[Any]) -> dict[str, Any]:
    with incoming(deployment.store, row.call_id) as folder:
        original = folder / "original"
        try:
            copy_out(deployment.store, row.path, original)
        except FileNotFoundError:
            bring_again(deployment, row, FETCH_SECONDS, FETCH_SECONDS)
            copy_out(deployment.store, row.path, original)
        made = to_mp3(row.call_id, Fetched(path=original, content_type=row.content_type, size=row.size))
        if made is None:
            return {"mp3_due_at": None, "mp3_error": "it can't be decoded"}
        key = key_of(row.connection_id, row.call_id, MPEG)
        deployment.store.keep(key, made.path, MPEG)
        return {"mp3_path": key, "mp3_size": made.size, "mp3_due_at": None, "mp3_error": None}


def _settle(deployment: Deployment, call_id: str, owner: str, changes: dict[str, Any]) -> bool:
    with deployment.database.write() as db:
        settled = db.execute(
            update(Recording)
            .where(Recording.call_id == call_id, Recording.owner == owner, Recording.state == RecordingState.READY)
            .values(owner=None, leased_until=None, **changes)
        )
    return bool(settled.rowcount)


def _row(deployment: Deployment, call_id: str) -> Row[Any] | None:
    with deployment.database.read() as db:
        return db.execute(select(Recording.__table__).where(Recording.call_id == call_id)).one_or_none()
