"""What monitors are told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert
from sqlalchemy.exc import OperationalError

from connector import health
from connector.api.keys import create_api_key
from connector.db import now, upsert
from connector.delivery.outbox import delivery_row
from connector.deployment import EXTENSION, Deployment
from connector.locks import Lock
from connector.models import Counter, Delivery, DeliveryKind, InboundEvent, Lane
from tests.connector.recordings.rows import add_call, add_connection

OUTSIDE = {"REMOTE_ADDR": "203.0.113.7"}


@pytest.fixture
def client(deployment: Deployment) -> FlaskClient:
    app = Flask("test")
    app.extensions[EXTENSION] = deployment
    app.register_blueprint(health.blueprint)
    return app.test_client()


def add_late(deployment: Deployment, name: str = "default", minutes: int = 7) -> int:
    """A connection with a delivery that has been due for minutes; gives back the connection's ID."""
    connection = add_connection(deployment, name)
    call_id = add_call(deployment, connection)
    late = delivery_row(call_id, connection.id, DeliveryKind.FINISH, now() - timedelta(minutes=minutes))
    with deployment.database.write() as db:
        db.execute(insert(Delivery).values(late))
    return connection.id


def break_database(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OperationalError("SELECT 1", {}, Exception("connection refused"))

    monkeypatch.setattr(deployment.database, "read", fail)


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Values by name and the labels' values."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_process_that_lives_says_so(
    client: FlaskClient, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_database(deployment, monkeypatch)
    answer = client.get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok")


def test_ready_where_nothing_is_late(client: FlaskClient, deployment: Deployment) -> None:
    assert client.get("/readyz").status_code == 200
    add_late(deployment, minutes=4)
    assert (client.get("/readyz").status_code, client.get("/readyz").text) == (200, "ok")


def test_not_ready_where_something_is_late_unless_it_is_paused(client: FlaskClient, deployment: Deployment) -> None:
    connection_id = add_late(deployment)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.text == "1 due deliveries are older than 5 minutes, the oldest 7 minutes"
    deployment.connections.pause(connection_id, by="admin", reason="moving")
    assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize("path", ["/readyz", "/metrics"])
def test_not_ready_without_a_database(
    client: FlaskClient, deployment: Deployment, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    break_database(deployment, monkeypatch)
    for environ in ({}, OUTSIDE | {"HTTP_AUTHORIZATION": "Bearer key"}):
        answer = client.get(path, environ_overrides=environ)
        assert (answer.status_code, answer.text) == (503, "the database does not answer")


def test_metrics_are_counted_in_the_database(client: FlaskClient, deployment: Deployment) -> None:
    connection_id = add_late(deployment)
    other = add_connection(deployment, "other")
    deployment.connections.pause(other.id, by="connector", reason="revoked")
    event = {"connection_id": connection_id, "received_at": now(), "content_type": "", "body": b""}
    with deployment.database.write() as db:
        db.execute(insert(InboundEvent), [event | {"reason": None}, event | {"reason": None}, event | {"reason": "no"}])
        upsert(
            db,
            Counter,
            ["connection_id", "name"],
            {"connection_id": connection_id, "name": "refused_token", "value": 3},
        )
        db.execute(insert(Lane).values(connection_id=connection_id, probes=1, trouble="unreachable"))
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain; version=")
    found = samples(answer.text)
    assert found.pop(("connector_oldest_due_delivery_seconds",)) == pytest.approx(420, abs=30)
    assert found == {
        ("connector_calls", "default", "ended"): 1,
        ("connector_deliveries", "default", "pending"): 1,
        ("connector_inbound_events", "default", "accepted"): 2,
        ("connector_inbound_events", "default", "rejected"): 1,
        ("connector_refused_tokens_total", "default"): 3,
        ("connector_paused_connections",): 1,
        ("connector_lanes_in_trouble",): 1,
    }


def test_metrics_of_an_empty_database(client: FlaskClient) -> None:
    assert samples(client.get("/metrics").text)[("connector_oldest_due_delivery_seconds",)] == 0


@pytest.mark.parametrize(
    ("address", "status"),
    [("127.0.0.1", 200), ("127.8.8.8", 200), ("::1", 200), ("::ffff:127.0.0.1", 200), ("10.0.0.1", 401), ("", 401)],
)
def test_metrics_are_for_loopback(client: FlaskClient, address: str, status: int) -> None:
    assert client.get("/metrics", environ_overrides={"REMOTE_ADDR": address}).status_code == status


def test_a_proxy_on_the_same_machine_is_not_its_client(client: FlaskClient) -> None:
    assert client.get("/metrics", headers={"X-Forwarded-For": "203.0.113.7"}).status_code == 401


def test_metrics_are_for_any_key(client: FlaskClient, deployment: Deployment) -> None:
    key = create_api_key(deployment.database, add_connection(deployment).id)
    for given, status in ((key, 200), (f"{key}x", 401)):
        answer = client.get("/metrics", environ_overrides=OUTSIDE, headers={"Authorization": f"Bearer {given}"})
        assert answer.status_code == status
        assert ("WWW-Authenticate" in answer.headers) == (status == 401)


def test_each_view_declares_its_lock(client: FlaskClient) -> None:
    locks = {name: getattr(view, "lock", None) for name, view in client.application.view_functions.items()}
    locks.pop("static")
    assert locks == {"health.healthz": Lock.PUBLIC, "health.readyz": Lock.PUBLIC, "health.show_metrics": Lock.OPERATOR}
