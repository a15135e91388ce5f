"""Bringing recordings here: asked from Evrotel, looked at, made into MP3 where they have to be, and kept."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import Row, update

from connector.connections.store import Connection
from connector.deployment import Deployment
from connector.log import about
from connector.models import Recording, RecordingState
from connector.recordings.fetch import ANY_SIZE, FETCH_SECONDS, Fetched, Impossible, NotYet, Outcome, fetch
from connector.recordings.links import EXTENSIONS, MPEG, hosts_of, plays_only_mp3
from connector.recordings.stores import ROOM, incoming

log = logging.getLogger(__name__)

_MAKING_MP3 = threading.BoundedSemaphore(2)
"""Turns in one process: Evrotel's events and the CRMs need its cores too."""


@dataclass(frozen=True, kw_only=True)
class Brought:
    """A recording that is whole and known: what its row says of it. The paths are keys where it is kept by us."""

    path: str | None
    mp3_path: str | None = None
    mp3_size: int | None = None
    as_mp3: bool = False
    content_type: str
    size: int
    source_type: str
    milliseconds: int | None
    waveform: bytes | None


def key_of(connection_id: int, call_id: str, content_type: str) -> str:
    """Where a recording is kept.

    A call's ID begins with its time and ends at random: the end spreads the files over 256 folders.
    """
    return f"{ROOM}/{connection_id}/{call_id[-2:]}/{call_id}.{EXTENSIONS[content_type]}"


def bring(
    deployment: Deployment, connection: Connection, call_id: str, recfile: str, *, settled_size: int | None = None
) -> Brought | NotYet | Impossible:
    """Fetches a recording for the first time and keeps it, where the connection's recordings are kept by us.

    Whatever the mode, it is fetched whole once: a CRM is told of no half file, but see `fetch` for `settled_size`.
    Raises OSError where the store is away.
    """
    with incoming(deployment.store, call_id) as folder:
        came = ask(deployment, connection, recfile, folder / "came", settled_size=settled_size)
        if not isinstance(came, Fetched):
            return came
        # Imported when it is needed: numpy is large.
        sound = import_module("connector.recordings.audio").examine(came.path)
        mode = connection.get("recordings_mode")
        served, mp3 = came, None
        as_mp3 = sound is not None and not sound.plays_anywhere
        if came.content_type != MPEG and mode != "link" and plays_only_mp3(connection.crm):
            served = to_mp3(call_id, came) or came
            as_mp3 = False
        elif as_mp3 and mode == "keep":
            mp3 = to_mp3(call_id, came)
        return Brought(
            path=_keep(deployment, connection, call_id, served) if mode == "keep" else None,
            mp3_path=_keep(deployment, connection, call_id, mp3) if mp3 else None,
            mp3_size=mp3.size if mp3 else None,
            as_mp3=as_mp3 and mode != "link",
            content_type=served.content_type,
            size=served.size,
            source_type=came.content_type,
            milliseconds=sound.milliseconds if sound else None,
            waveform=sound.waveform if sound else None,
        )


def _keep(deployment: Deployment, connection: Connection, call_id: str, file: Fetched) -> str:
    """Keeps a file, and gives back its key."""
    key = key_of(connection.id, call_id, file.content_type)
    deployment.store.keep(key, file.path, file.content_type)
    return key


def bring_again(deployment: Deployment, recording: Row[Any] | Recording, seconds: float, patience: float) -> int:
    """Fetches a kept recording whose file is gone, a dyno's disk being lost at each restart, in its row's format.

    Gives back its size. Raises OSError where it can't be had within `seconds`, and a turn to make its MP3 not within
    `patience`.
    """
    connection = deployment.connections.by_id(recording.connection_id)
    if connection is None or recording.path is None:
        raise OSError("its connection was removed")
    with incoming(deployment.store, recording.call_id) as folder:
        made = as_served(deployment, connection, recording, folder, seconds=seconds, patience=patience)
        deployment.store.keep(recording.path, made.path, made.content_type)
    with deployment.database.write() as db:
        still = db.execute(
            update(Recording)
            .where(Recording.call_id == recording.call_id, Recording.state == RecordingState.READY)
            .values(size=made.size)
        )
    if not still.rowcount:
        deployment.store.delete(recording.path)
        raise FileNotFoundError("it was forgotten meanwhile")
    return made.size


def as_served(
    deployment: Deployment,
    connection: Connection,
    recording: Row[Any] | Recording,
    folder: Path,
    *,
    seconds: float,
    patience: float,
    content_type: str | None = None,
) -> Fetched:
    """A ready recording in its row's format, or in another one, fetched into `folder`. Raises OSError as above."""
    wanted = content_type or recording.content_type
    came = ask(deployment, connection, recording.recfile, folder / "came", settled_size=ANY_SIZE, seconds=seconds)
    if not isinstance(came, Fetched):
        raise OSError(came.reason)
    if came.content_type == wanted:
        return came
    made = to_mp3(recording.call_id, came, patience=patience) if wanted == MPEG else None
    if made is None:
        raise OSError("it is of another format than before")
    return made


def ask(
    deployment: Deployment,
    connection: Connection,
    recfile: str,
    target: Path,
    *,
    settled_size: int | None,
    seconds: float = FETCH_SECONDS,
) -> Outcome:
    """Fetches a recording of the connection; see `fetch`."""
    return fetch(
        recfile,
        hosts_of(deployment.settings, connection),
        target,
        allow_local=deployment.settings.allow_local_addresses,
        seconds=seconds,
        settled_size=settled_size,
    )


def to_mp3(call_id: str, came: Fetched, *, patience: float | None = None) -> Fetched | None:
    """The recording as MP3, beside the file that came; None where that can't be decoded, which the log tells.

    Raises OSError, TimeoutError where no turn came within `patience` seconds.
    """
    if not _MAKING_MP3.acquire(timeout=patience):
        raise TimeoutError("too many recordings are being made into MP3")
    try:
        made = came.path.with_name("made.mp3")
        trouble = import_module("connector.recordings.mp3").make_mp3(came.path, made)
    finally:
        _MAKING_MP3.release()
    if trouble:
        log.warning("a recording can't be made into MP3: %s", trouble, extra=about(call_id))
        return None
    return Fetched(path=made, content_type=MPEG, size=made.stat().st_size)
