"""A recording's bytes, for a CRM that can't fetch our link."""

from __future__ import annotations

from sqlalchemy import select

from connector.deployment import Deployment
from connector.models import Recording
from connector.recordings.files import ensure_file
from crm_adapters.errors import Refused, TryAgain

CONTENT_SECONDS = 15.0
"""How long a lane may wait for a file that another machine has: the next try finds it here."""
MOST_CONTENT = 30 * 1024 * 1024
"""Larger files would fill a small machine's memory: as base64 in JSON they are there four times."""


def read_recording(deployment: Deployment, call_id: str) -> bytes:
    """The whole file. Raises TryAgain where it can't be had at the moment, Refused where it is too large."""
    with deployment.database.read() as db:
        recording = db.execute(select(Recording.__table__).where(Recording.call_id == call_id)).one_or_none()
    path = ensure_file(deployment, recording, CONTENT_SECONDS) if recording else None
    if path is None:
        raise TryAgain("the recording can't be read at the moment")
    if path.stat().st_size > MOST_CONTENT:
        raise Refused("the recording is too large to be sent as a file: the CRM has to reach PUBLIC_URL for its link")
    return path.read_bytes()
