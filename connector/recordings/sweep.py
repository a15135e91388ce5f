"""Clearing the store of recordings that nobody keeps: of removed connections, or fetched when they were forgotten.

A purge deletes the files of the folder of the machine it runs on; other machines may have fetched the same recordings.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from itertools import islice

from sqlalchemy import or_, select

from connector.db import now
from connector.deployment import Deployment
from connector.models import Recording, RecordingState
from connector.recordings.stores import ROOM, Stored, clear_incoming

log = logging.getLogger(__name__)

UNTOUCHED = timedelta(hours=1)
"""Younger files may belong to a fetch that is not settled yet."""
AT_ONCE = 500


def sweep(deployment: Deployment) -> int:
    """Deletes strays, and what jobs that were killed have left; how many strays. Once a day. Raises OSError."""
    before = now() - UNTOUCHED
    old = (each for each in deployment.store.stored() if each.at < before)
    swept = 0
    while batch := list(islice(old, AT_ONCE)):
        swept += _sweep(deployment, batch)
    clear_incoming(deployment.store)
    if swept:
        log.info("%d files of recordings that are no longer kept were deleted", swept)
    return swept


def _sweep(deployment: Deployment, batch: Sequence[Stored]) -> int:
    keys = {each.key for each in batch}
    columns = (Recording.path, Recording.mp3_path)
    kept: set[str | None] = set()
    with deployment.database.read() as db:
        for row in db.execute(
            select(*columns).where(
                or_(*(column.in_(keys) for column in columns)), Recording.state == RecordingState.READY
            )
        ):
            kept.update(row)
    strays = keys - kept
    for key in strays:
        deployment.store.delete(key)
    return len(strays)


def sweep_connection(deployment: Deployment, connection_id: int) -> None:
    """Deletes all files of a connection that was removed. What can't be deleted now, `sweep` deletes within a day."""
    try:
        for each in list(deployment.store.stored(f"{ROOM}/{connection_id}")):
            deployment.store.delete(each.key)
    except OSError as error:
        log.warning("recordings of a removed connection are deleted later: %s", error)
