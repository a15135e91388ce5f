"""Calls with recordings, put straight into the database."""

from __future__ import annotations

import secrets
import uuid
from datetime import timedelta
from typing import Any

from sqlalchemy import insert, select, update

from connector.connections.store import Connection
from connector.db import now
from connector.delivery.outbox import delivery_row
from connector.deployment import Deployment
from connector.models import Call, Delivery, DeliveryKind, DeliveryState, Recording, RecordingState
from connector.recordings.links import LINK_COLUMNS, given_url

RECFILE = "/wav/9/2018-04-01/1522566805.1461640-1198614775.wav"


def add_connection(deployment: Deployment, name: str = "default", **settings: str) -> Connection:
    """A connection of the journal."""
    return deployment.connections.add(name, "journal", settings)


def add_call(deployment: Deployment, connection: Connection, **columns: Any) -> str:
    """An ended, answered call; gives back its ID."""
    moment = now()
    row = {
        "id": uuid.uuid4().hex,
        "connection_id": connection.id,
        "direction": "incoming",
        "client_number": "+380987858227",
        "line": "+380679853913",
        "started_at": moment,
        "ended_at": moment + timedelta(seconds=80),
        "disposition": "answered",
        "billsec": 78,
        "state": "ended",
        "source": "event",
        "awaits_start": False,
        "created_at": moment,
        "updated_at": moment,
    } | columns
    with deployment.database.write() as db:
        db.execute(insert(Call).values(row))
    return str(row["id"])


def add_recording(deployment: Deployment, connection: Connection, recfile: str = RECFILE, **columns: Any) -> str:
    """A call with a recording to be fetched and a telling that waits for it; gives back the call's ID."""
    call_id = add_call(deployment, connection)
    row = {
        "call_id": call_id,
        "connection_id": connection.id,
        "recfile": recfile,
        "state": RecordingState.PENDING,
        "attempts": 0,
        "due_at": now(),
        "link_nonce": secrets.token_hex(16),
        "created_at": now(),
    } | columns
    waiting = delivery_row(call_id, connection.id, DeliveryKind.RECORDING, now(), state=DeliveryState.WAITING)
    with deployment.database.write() as db:
        db.execute(insert(Recording).values(row))
        db.execute(insert(Delivery).values(waiting))
    return call_id


def recording_of(deployment: Deployment, call_id: str) -> Any:
    with deployment.database.read() as db:
        return db.execute(select(Recording.__table__).where(Recording.call_id == call_id)).one()


def delivery_of(deployment: Deployment, call_id: str) -> Any:
    with deployment.database.read() as db:
        return db.execute(select(Delivery.__table__).where(Delivery.call_id == call_id)).one()


def change(deployment: Deployment, call_id: str, **columns: Any) -> None:
    """Sets columns of a call's recording."""
    with deployment.database.write() as db:
        db.execute(update(Recording).where(Recording.call_id == call_id).values(columns))


def path_of(deployment: Deployment, call_id: str) -> str:
    """The path of the recording's link."""
    url = url_of(deployment, call_id)
    assert url is not None
    return url.removeprefix(deployment.settings.public_url)


def url_of(deployment: Deployment, call_id: str) -> str | None:
    """What a CRM is given."""
    with deployment.database.read() as db:
        row = db.execute(select(*LINK_COLUMNS, Recording.connection_id).where(Recording.call_id == call_id)).mappings()
        facts = dict(row.one_or_none() or {})
    connection = deployment.connections.by_id(facts.pop("connection_id")) if facts else None
    return given_url(deployment.settings, connection, **facts) if connection else None
