"""Calls as scripts read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, update

from connector.api.queries import Place
from connector.db import now
from connector.delivery.outbox import delivery_row
from connector.deployment import Deployment
from connector.models import Attempt, Delivery, DeliveryKind, DeliveryState, InboundEvent
from tests.connector.api.conftest import Tenant
from tests.connector.recordings.rows import add_call, add_recording, change, delivery_of, url_of

SUMMER = datetime(2026, 7, 1, 6, 30, 15, 250000, UTC)


def add_event(deployment: Deployment, tenant: Tenant, reason: str | None) -> None:
    event = {
        "connection_id": tenant.connection.id,
        "received_at": SUMMER,
        "content_type": "application/x-www-form-urlencoded",
        "body": b"callstatus=start&numberA=\xff",
        "reason": reason,
    }
    with deployment.database.write() as db:
        db.execute(insert(InboundEvent).values(event))


def test_a_call_is_told_as_documented(deployment: Deployment, tenant: Tenant) -> None:
    call_id = add_call(
        deployment,
        tenant.connection,
        callid="externalCall.1",
        crm_call_id="externalCall.1",
        extension="101",
        started_at=SUMMER,
        ended_at=SUMMER + timedelta(seconds=90),
    )
    assert tenant.get("/calls") == {
        "items": [
            {
                "id": call_id,
                "callid": "externalCall.1",
                "crm_call_id": "externalCall.1",
                "direction": "incoming",
                "client_number": "+380987858227",
                "line": "+380679853913",
                "extension": "101",
                "started_at": "2026-07-01T09:30:15+03:00",
                "ended_at": "2026-07-01T09:31:45+03:00",
                "disposition": "answered",
                "billsec": 78,
                "recording": None,
                "state": "ended",
                "source": "event",
            }
        ],
        "next": None,
    }


def test_a_call_that_goes_on_has_no_end(deployment: Deployment, tenant: Tenant) -> None:
    add_call(deployment, tenant.connection, ended_at=None, disposition=None, billsec=None, state="open")
    [call] = tenant.get("/calls")["items"]
    assert [call[name] for name in ("ended_at", "disposition", "billsec", "state")] == [None, None, None, "open"]


def test_a_recording_is_a_link(deployment: Deployment, tenant: Tenant) -> None:
    call_id = add_recording(deployment, tenant.connection)
    [call] = tenant.get("/calls")["items"]
    assert call["recording"] == url_of(deployment, call_id)
    assert call["recording"].startswith("http://127.0.0.1:8000/recordings/")
    change(deployment, call_id, state="missing")
    assert tenant.get(f"/calls/{call_id}")["recording"] is None


def test_pages_tell_each_call_once_newest_first(deployment: Deployment, tenant: Tenant) -> None:
    times = [SUMMER + timedelta(minutes=number // 2) for number in range(7)]  # pairs at the same moment
    made = [(moment, add_call(deployment, tenant.connection, started_at=moment)) for moment in times]
    expected = [call_id for _, call_id in sorted(made, reverse=True)]
    found: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = tenant.get("/calls", **query)
        found += [call["id"] for call in page["items"]]
        add_call(deployment, tenant.connection, started_at=now())  # what comes meanwhile moves nothing
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert found == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"from": "2026-07-01", "to": "2026-07-01"}, ["day", "night"]),
        ({"from": "2026-07-01T09:00:00"}, ["later", "day"]),
        ({"from": "2026-07-01T06:00:00Z", "to": "2026-07-01T20:00:00+00:00"}, ["day"]),
        ({"from": "2026-07-01T06:00:00 00:00", "to": "2026-07-01T20:00:00 00:00"}, ["day"]),
        ({"to": "2026-06-30"}, []),
        ({"from": "0001-01-01", "to": "9999-12-31T23:59:59"}, ["later", "day", "night"]),
        ({"direction": "outgoing"}, ["later"]),
        ({"disposition": "busy"}, ["night"]),
        ({"number": "067 985-39-13"}, ["later"]),
        ({"number": "+380679853913"}, ["later"]),
        ({"number": " 380679853913"}, ["later"]),
        ({"number": "101"}, []),
        ({"direction": "outgoing", "disposition": "busy"}, []),
    ],
)
def test_filters(deployment: Deployment, tenant: Tenant, query: dict[str, str], expected: list[str]) -> None:
    calls: dict[str, dict[str, Any]] = {
        "night": {"started_at": datetime(2026, 6, 30, 21, 0, tzinfo=UTC), "disposition": "busy"},
        "day": {"started_at": SUMMER},
        "later": {
            "started_at": datetime(2026, 7, 1, 21, 0, tzinfo=UTC),
            "direction": "outgoing",
            "client_number": "+380679853913",
        },
    }
    names = {add_call(deployment, tenant.connection, **columns): name for name, columns in calls.items()}
    assert [names[call["id"]] for call in tenant.get("/calls", **query)["items"]] == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "201"),
        ("limit", "x"),
        ("from", "yesterday"),
        ("to", "2026-13-01"),
        ("from", "20260701"),
        ("from", "2026-W27-3"),
        ("direction", "up"),
        ("disposition", "ANSWERED"),
        ("number", ""),
        ("number", "*\0"),
        ("cursor", "x"),
        ("cursor", "MjAyNi0wNy0wMQ"),
        ("cursor", "дзвінок"),
    ],
)
def test_what_is_wrong_is_said(tenant: Tenant, name: str, value: str) -> None:
    answer = tenant.client.get("/api/v1/connections/shop/calls", query_string={name: value})
    assert (answer.status_code, answer.content_type) == (422, "application/problem+json")
    assert answer.json is not None
    assert list(answer.json["errors"]) == [name]
    assert answer.json["status"] == 422


def test_one_call_tells_what_its_crm_was_told(deployment: Deployment, tenant: Tenant) -> None:
    call_id = add_call(deployment, tenant.connection)
    finish = delivery_row(call_id, tenant.connection.id, DeliveryKind.FINISH, SUMMER, error="503", attempts=1)
    with deployment.database.write() as db:
        delivery_id = db.execute(insert(Delivery).values(finish).returning(Delivery.id)).scalar_one()
        attempt = {
            "delivery_id": delivery_id,
            "at": SUMMER,
            "milliseconds": 12,
            "outcome": "Unreachable",
            "request": "POST /",
            "answer": "503",
            "error": "no answer",
        }
        db.execute(insert(Attempt).values(attempt))
    call = tenant.get(f"/calls/{call_id}")
    assert call["id"] == call_id
    [delivery] = call["deliveries"]
    assert (delivery["id"], delivery["kind"], delivery["state"]) == (delivery_id, "finish", "pending")
    assert delivery["due_at"] == "2026-07-01T09:30:15+03:00"
    del attempt["delivery_id"]
    assert delivery["attempts"] == [attempt | {"at": "2026-07-01T09:30:15+03:00"}]


def test_failed_deliveries_are_tried_again(deployment: Deployment, tenant: Tenant) -> None:
    call_id = add_recording(deployment, tenant.connection, state="missing")
    path = f"/api/v1/connections/shop/calls/{call_id}/deliveries/retry"
    assert tenant.client.post(path).json == {"retried": 0}
    with deployment.database.write() as db:
        db.execute(update(Delivery).values(state=DeliveryState.DEAD))
    answer = tenant.client.post(path)
    assert (answer.status_code, answer.json) == (200, {"retried": 1})
    assert delivery_of(deployment, call_id).state == DeliveryState.WAITING
    with deployment.database.write() as db:
        db.execute(update(Delivery).values(state=DeliveryState.PENDING, error="no connection to the portal"))
    assert tenant.client.post(path).json == {"retried": 1}
    assert tenant.client.post("/api/v1/connections/shop/calls/unknown/deliveries/retry").status_code == 404


def test_kept_events_are_listed(deployment: Deployment, tenant: Tenant) -> None:
    for reason in (None, "numberA is missing", None):
        add_event(deployment, tenant, reason)
    page = tenant.get("/events", limit=2)
    rest = tenant.get("/events", limit=2, cursor=page["next"])
    identities = [event["id"] for event in page["items"] + rest["items"]]
    assert identities == sorted(identities, reverse=True)
    assert len(identities) == 3
    assert rest["next"] is None
    of_call = Place(at=SUMMER, id="a" * 32).text()
    wrong = tenant.client.get("/api/v1/connections/shop/events", query_string={"cursor": of_call})
    assert wrong.status_code == 422
    [rejected] = tenant.get("/events", rejected=1)["items"]
    assert rejected | {"id": 0} == {
        "id": 0,
        "received_at": "2026-07-01T09:30:15+03:00",
        "accepted": False,
        "reason": "numberA is missing",
        "call_id": None,
        "content_type": "application/x-www-form-urlencoded",
        "body": "callstatus=start&numberA=\ufffd",
    }
