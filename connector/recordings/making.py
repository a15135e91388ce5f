"""MP3s of recordings that are kept in another format, each made once, when somebody asks for it, by a worker."""

from __future__ import annotations

import logging
import time
from typing import Any

from sqlalchemy import update

from connector.db import now
from connector.deployment import Deployment
from connector.log import about
from connector.models import Recording, RecordingState
from connector.recordings.fetch import FETCH_SECONDS, Fetched
from connector.recordings.files import bring_again, key_of, to_mp3
from connector.recordings.links import MPEG, recording_row
from connector.recordings.stores import copy_out, incoming

log = logging.getLogger(__name__)

_LOOKING_SECONDS = 0.2


def wanted_mp3(deployment: Deployment, call_id: str, patience: float) -> Any:
    """The recording's row once its MP3 is there, or can't be made; None where that takes longer than `patience` s."""
    deadline = time.monotonic() + patience
    order_mp3(deployment, call_id)
    while True:
        row = recording_row(deployment, Recording.call_id == call_id)
        if row is None or row.state != RecordingState.READY or row.mp3_path or row.mp3_error:
            return row
        if time.monotonic() >= deadline:
            return None
        time.sleep(_LOOKING_SECONDS)


def order_mp3(deployment: Deployment, call_id: str) -> None:
    """Has a worker make the MP3, unless it is there or on its way."""
    with deployment.database.write() as db:
        ordered = db.execute(
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
        if ordered.rowcount:
            deployment.database.wake_workers(db)


def make_wanted_mp3(deployment: Deployment, call_id: str, owner: str) -> None:
    """Makes the MP3 of a claimed recording and settles that, whatever becomes of it."""
    row = recording_row(deployment, Recording.call_id == call_id)
    if row is None or row.path is None or row.state != RecordingState.READY:
        _settle(deployment, call_id, owner, {"mp3_due_at": None})
        return
    changes: dict[str, Any] = {"mp3_due_at": None}  # where it fails: whoever still waits for it asks again
    try:
        size = make_mp3(deployment, row, FETCH_SECONDS)
        if size is None:
            changes["mp3_error"] = "it can't be decoded"
        else:
            changes |= {"mp3_path": mp3_key(row), "mp3_size": size}
    except OSError as error:
        log.warning("an MP3 could not be made: %s", error, extra=about(call_id))
    except Exception:  # a recording that nobody foresaw must not be tried for ever
        log.exception("an MP3 could not be made", extra=about(call_id))
    if not _settle(deployment, call_id, owner, changes) and "mp3_path" in changes:
        current = recording_row(deployment, Recording.call_id == call_id)
        if current is None or current.state == RecordingState.FORGOTTEN:
            deployment.store.delete(changes["mp3_path"])  # forgotten meanwhile


def make_mp3(deployment: Deployment, recording: Any, seconds: float, patience: float | None = None) -> int | None:
    """Makes the MP3 of a kept recording and keeps it beside it; its size, None where it can't be decoded.

    The original is fetched again within `seconds` where it is lost. Raises OSError, also where no turn to make it came
    within `patience` seconds.
    """
    with incoming(deployment.store, recording.call_id) as folder:
        original = folder / "original"
        try:
            copy_out(deployment.store, recording.path, original)
        except FileNotFoundError:
            bring_again(deployment, recording, seconds, seconds)
            copy_out(deployment.store, recording.path, original)
        came = Fetched(path=original, content_type=recording.content_type, size=recording.size)
        made = to_mp3(recording.call_id, came, patience=patience)
        if made is None:
            return None
        deployment.store.keep(mp3_key(recording), made.path, MPEG)
        return made.size


def mp3_key(recording: Any) -> str:
    """Where the MP3 beside a recording is kept."""
    return key_of(recording.connection_id, recording.call_id, MPEG)


def _settle(deployment: Deployment, call_id: str, owner: str, changes: dict[str, Any]) -> bool:
    with deployment.database.write() as db:
        settled = db.execute(
            update(Recording)
            .where(Recording.call_id == call_id, Recording.owner == owner, Recording.state == RecordingState.READY)
            .values(owner=None, leased_until=None, **changes)
        )
    return bool(settled.rowcount)
