"""A recording's bytes, for a CRM that can't fetch our link."""

from __future__ import annotations

from contextlib import closing

from connector.deployment import Deployment
from connector.models import Recording
from connector.recordings.links import MPEG, recording_row
from connector.recordings.serving import Later, Nowhere, Playable, playable
from crm_adapters.errors import Refused, TryAgain

MOST_CONTENT = 30 * 1024 * 1024
"""Larger files would fill a small machine's memory: as base64 in JSON they are there four times."""
LARGE_CONTENT = 10 * 1024 * 1024
"""Of larger ones the MP3 is sent, which has a quarter of the bytes and is as good for a telephone's sound."""


def sent_as_mp3(content_type: str | None, size: int | None, as_mp3: bool | None) -> bool:
    """Whether a recording's content goes to a CRM as MP3."""
    return bool(as_mp3) or content_type == MPEG or (size or 0) > LARGE_CONTENT


def read_recording(deployment: Deployment, call_id: str) -> bytes:
    """The whole file. Raises TryAgain where it can't be had at the moment, Refused where it is too large."""
    recording = recording_row(deployment, Recording.call_id == call_id)
    connection = deployment.connections.by_id(recording.connection_id) if recording else None
    if recording is None or connection is None:
        raise TryAgain("the recording can't be read at the moment")
    mp3 = sent_as_mp3(recording.content_type, recording.size, recording.as_mp3)
    try:
        return _content(playable(deployment, connection, recording, mp3=mp3))
    except Nowhere:
        raise Refused("the recording is no longer there") from None
    except (Later, OSError) as error:
        raise TryAgain(f"the recording can't be read at the moment: {error}") from error


def _content(found: Playable) -> bytes:
    if found.size > MOST_CONTENT:
        found.close()
        raise Refused("the recording is too large to be sent as a file: the CRM has to reach PUBLIC_URL for its link")
    with closing(found.open(0, found.size)) as file:
        pieces = iter(lambda: file.read(1 << 20), b"")
        return b"".join(pieces)
