"""Forgets what is older than RETENTION_DAYS: calls with all that hangs on them, events, recordings' files."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta

from sqlalchemy import Connection as SQLConnection
from sqlalchemy import delete, select

from connector.connections.offers import forget_offers
from connector.connections.one_use import forget_used
from connector.db import Database, now
from connector.deployment import Deployment
from connector.models import (
    Announcement,
    Call,
    CallbackRequest,
    Campaign,
    InboundEvent,
    LimitWindow,
    Media,
    Recording,
    SignInFailure,
    SignInLink,
)
from connector.recordings.forgetting import delete_files
from connector.recordings.stores import Store, clear_incoming

logger = logging.getLogger(__name__)

AT_ONCE = 500


def purge(deployment: Deployment) -> int:
    """Deletes in small transactions, so that nobody waits for it; returns how many calls went."""
    before = now() - timedelta(days=deployment.settings.retention_days)
    database = deployment.database
    purged = 0
    try:
        while gone := _purge_calls(database, deployment.store, before):
            purged += gone
    except OSError as error:  # these calls stay until the store answers; what else is old goes all the same
        logger.warning("old recordings can't be deleted, so their calls are kept: %s", error)
    for connection in deployment.connections.all():
        while _purge_events(database, connection.id, before):
            pass
    with database.write() as db:
        db.execute(delete(SignInLink).where(SignInLink.expires_at < now() - timedelta(days=30)))
        db.execute(delete(SignInFailure).where(SignInFailure.blocked_until < now() - timedelta(days=1)))
        db.execute(delete(LimitWindow).where(LimitWindow.until < time.time()))
        db.execute(delete(Announcement).where(Announcement.created_at < before))
        db.execute(delete(CallbackRequest).where(CallbackRequest.updated_at < before))
        _forget_campaigns(db, before)
    forget_used(database)
    forget_offers(database)
    clear_incoming(deployment.store)
    if purged:
        logger.info("purged %s calls older than %s days", purged, deployment.settings.retention_days)
    return purged


def _forget_campaigns(db: SQLConnection, before: datetime) -> None:
    """Lists of numbers and audio files go too; a campaign that was never ended does not live for ever."""
    db.execute(delete(Campaign).where(Campaign.created_at < before))
    db.execute(delete(Media).where(Media.created_at < before))


def _purge_events(database: Database, connection_id: int, before: datetime) -> int:
    old = select(InboundEvent.id).where(InboundEvent.connection_id == connection_id, InboundEvent.received_at < before)
    with database.read() as db:
        ids = list(db.execute(old.limit(AT_ONCE)).scalars())
    if ids:
        with database.write() as db:
            db.execute(delete(InboundEvent).where(InboundEvent.id.in_(ids)))
    return len(ids)


def _purge_calls(database: Database, store: Store, before: datetime) -> int:
    """Files go first: a file without a row would stay for ever, a row without its file is purged the next time."""
    with database.read() as db:
        ids = list(db.execute(select(Call.id).where(Call.updated_at < before).limit(AT_ONCE)).scalars())
        kept = db.execute(select(Recording.path, Recording.mp3_path).where(Recording.call_id.in_(ids))).all()
    for recording in kept:
        delete_files(store, recording)
    if ids:
        with database.write() as db:
            db.execute(delete(Call).where(Call.id.in_(ids)))
    return len(ids)
