"""Rows and signed-in browsers for the panel's tests."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert

from connector.connections.store import Connection
from connector.db import Database, now
from connector.deployment import Deployment
from connector.models import Attempt, Call, Delivery, Dial, InboundEvent
from connector.panel.signin import create_user, make_sign_in_link

PASSWORD = "correct horse battery"


def add_connection(deployment: Deployment, name: str = "shop", crm: str = "bitrix24", **settings: str) -> Connection:
    return deployment.connections.add(name, crm, {"evrotel_token": f"token-of-{name}", **settings})


def add_call(database: Database, connection_id: int, **changes: Any) -> str:
    moment = now()
    values: dict[str, Any] = {
        "id": uuid.uuid4().hex,
        "connection_id": connection_id,
        "direction": "incoming",
        "client_number": "+380987858227",
        "line": "+380443334455",
        "extension": "101",
        "started_at": moment,
        "state": "ended",
        "disposition": "answered",
        "billsec": 75,
        "source": "event",
        "awaits_start": False,
        "created_at": moment,
        "updated_at": moment,
    }
    values |= changes
    with database.write() as db:
        db.execute(insert(Call).values(values))
    return str(values["id"])


def add_delivery(database: Database, connection_id: int, call_id: str, **changes: Any) -> int:
    moment = now() - timedelta(hours=1)
    values: dict[str, Any] = {
        "connection_id": connection_id,
        "call_id": call_id,
        "kind": "finish",
        "step": 2,
        "state": "dead",
        "due_at": moment,
        "attempts": 1,
        "progress": {},
        "error": "the portal refused the call",
        "failed_at": moment,
        "created_at": moment,
    }
    values |= changes
    with database.write() as db:
        delivery_id: int = db.execute(insert(Delivery).values(values).returning(Delivery.id)).scalar_one()
        db.execute(
            insert(Attempt).values(
                delivery_id=delivery_id,
                at=moment,
                milliseconds=120,
                outcome="Refused",
                request="telephony.externalCall.finish <b>sent</b>",
                answer='{"error": "<script>alert(1)</script>"}',
                error="the portal refused the call",
            )
        )
    return delivery_id


def add_dial(database: Database, connection_id: int, call_id: str, **changes: Any) -> None:
    moment = now()
    values: dict[str, Any] = {
        "id": uuid.uuid4().hex,
        "connection_id": connection_id,
        "key": call_id,
        "call_id": call_id,
        "origin": "click",
        "user_id": "2",
        "extensions": ["101"],
        "state": "failed",
        "reason": "refused",
        "answer": "200 bad",
        "due_at": moment,
        "expires_at": moment,
        "created_at": moment,
    }
    with database.write() as db:
        db.execute(insert(Dial).values(values | changes))


def add_event(database: Database, connection_id: int, body: bytes, **changes: Any) -> int:
    values: dict[str, Any] = {
        "connection_id": connection_id,
        "received_at": now(),
        "content_type": "application/x-www-form-urlencoded",
        "body": body,
    }
    values |= changes
    with database.write() as db:
        event_id: int = db.execute(insert(InboundEvent).values(values).returning(InboundEvent.id)).scalar_one()
    return event_id


def csrf_token(client: FlaskClient, path: str = "/sign-in") -> str:
    """The token of a page that the client has open."""
    page = client.get(path, follow_redirects=True).get_data(as_text=True)
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found, page
    return found[1]


def signed_in(app: Flask, database: Database, name: str, role: str = "admin", **more: Any) -> FlaskClient:
    """A client in which a new user of this role has used a one-time link."""
    user_id = create_user(database, name, role, **more)
    client = app.test_client()
    path = f"/sign-in/{make_sign_in_link(database, user_id)}"
    answer = client.post(path, data={"csrf_token": csrf_token(client, path)})
    assert answer.status_code == 302, answer.get_data(as_text=True)
    return client


def post(client: FlaskClient, path: str, **data: Any) -> Any:
    """A POST as the panel's own pages send it."""
    return client.post(path, data={"csrf_token": csrf_token(client, "/password"), **data})
