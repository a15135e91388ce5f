"""Clearing this machine's disk of recordings that are no longer kept.

A purge deletes the files of the machine it runs on; other machines may have fetched the same recordings on demand.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import select

from connector.deployment import Deployment
from connector.models import Recording, RecordingState

log = logging.getLogger(__name__)

UNTOUCHED_SECONDS = 3600.0
"""Younger files may belong to a fetch that is not settled yet."""
AT_ONCE = 500


def sweep(deployment: Deployment) -> int:
    """Deletes files of purged, forgotten and removed recordings, and halves of downloads; how many. Once a day."""
    instance = deployment.settings.instance
    before = time.time() - UNTOUCHED_SECONDS
    swept = 0
    for directory in (instance / "recordings").glob("*/*"):
        old = [path for path in directory.iterdir() if path.stat().st_mtime < before]
        for begin in range(0, len(old), AT_ONCE):
            swept += _sweep(deployment, instance, old[begin : begin + AT_ONCE])
    if swept:
        log.info("%d files of recordings that are no longer kept were deleted", swept)
    return swept


def _sweep(deployment: Deployment, instance: Path, paths: Sequence[Path]) -> int:
    names = {path.relative_to(instance).as_posix(): path for path in paths}
    with deployment.database.read() as db:
        kept = db.execute(
            select(Recording.path).where(Recording.path.in_(names), Recording.state == RecordingState.READY)
        ).scalars()
        strays = names.keys() - set(kept)
    for name in strays:
        names[name].unlink(missing_ok=True)
    return len(strays)
