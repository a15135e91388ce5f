"""Recordings on this machine's disk: where they lie, how they come here, and how they become MP3."""

from __future__ import annotations

import logging
import threading
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import Row

from connector.connections.store import Connection
from connector.deployment import Deployment
from connector.log import about
from connector.models import Recording, RecordingState
from connector.recordings.fetch import FETCH_SECONDS, MakeMP3, NotYet, Outcome, Ready, fetch
from connector.recordings.links import MPEG

log = logging.getLogger(__name__)

TURN_SECONDS = 20.0
"""How long a player may wait for others' MP3s to be made before it is asked to come again."""

_ON_DEMAND = [threading.Lock() for _ in range(64)]
_MAKING_MP3 = threading.BoundedSemaphore(2)
"""Turns of a web process: players of a machine with an empty disk must not take its cores from Evrotel's events."""


def ensure_file(deployment: Deployment, recording: Row[Any] | Recording, seconds: float = FETCH_SECONDS) -> Path | None:
    """The file of a ready recording on this machine, fetched again where another machine has it or a disk was lost.

    None where it can't be had within `seconds`; what is kept as MP3 is made into it again, which may take longer.
    """
    if recording.state != RecordingState.READY or recording.path is None:
        return None
    path = deployment.settings.instance / recording.path
    with _ON_DEMAND[hash(recording.call_id) % len(_ON_DEMAND)]:  # a player asks for several ranges at once
        if path.is_file():
            return path
        connection = deployment.connections.by_id(recording.connection_id)
        if connection is None:
            return None
        outcome = _bring_again(deployment, connection, recording, seconds)
    if isinstance(outcome, Ready):
        return outcome.path
    log.warning("a recording could not be fetched again: %s", outcome.reason, extra=about(recording.call_id))
    return None


def relative_target(connection_id: int, call_id: str) -> Path:
    """Where a recording is kept, without its extension, under the instance's directory.

    A call's ID begins with its time and ends at random: the end spreads the files over 256 directories.
    """
    return Path("recordings") / str(connection_id) / call_id[-2:] / call_id


def bring(
    deployment: Deployment,
    connection: Connection,
    call_id: str,
    recfile: str,
    *,
    seconds: float = FETCH_SECONDS,
    whole: bool = False,
    make_mp3: MakeMP3 | None = None,
) -> Outcome:
    """Fetches a recording to its place; see `fetch`."""
    return fetch(
        recfile,
        connection.get("evrotel_recordings_url"),
        deployment.settings.instance / relative_target(connection.id, call_id),
        allow_local=deployment.settings.allow_local_addresses,
        seconds=seconds,
        whole=whole,
        make_mp3=make_mp3,
    )


def to_mp3(call_id: str, source: Path, made: Path) -> bool:
    """Makes the MP3. False where the recording can't be decoded, which the log tells. Raises OSError."""
    # Imported when it is needed: numpy is large, and most CRMs play what Evrotel has.
    trouble = import_module("connector.recordings.mp3").make_mp3(source, made)
    if trouble:
        log.warning("a recording can't be made into MP3 and is kept as it came: %s", trouble, extra=about(call_id))
    return not trouble


def _bring_again(
    deployment: Deployment, connection: Connection, recording: Row[Any] | Recording, seconds: float
) -> Outcome:
    """The file in the format that its row tells of, whatever the connection's CRM is now."""
    is_mp3 = recording.content_type == MPEG
    outcome = bring(
        deployment,
        connection,
        recording.call_id,
        recording.recfile,
        seconds=seconds,
        make_mp3=partial(_to_mp3_in_turn, recording.call_id) if is_mp3 else None,
    )
    if is_mp3 and isinstance(outcome, Ready) and outcome.content_type != MPEG:
        outcome.path.unlink(missing_ok=True)
        return NotYet(reason="it can't be decoded any more")
    return outcome


def _to_mp3_in_turn(call_id: str, source: Path, made: Path) -> bool:
    if not _MAKING_MP3.acquire(timeout=TURN_SECONDS):
        raise TimeoutError("too many recordings are being made into MP3")
    try:
        return to_mp3(call_id, source, made)
    finally:
        _MAKING_MP3.release()
