"""What the pages show and do."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert, select

from connector.connections.store import Connection
from connector.db import now
from connector.deployment import Deployment
from connector.models import Call, Delivery, Recording
from connector.panel.bodies import readable
from connector.panel.language import clock, phone
from tests.connector.panel.rows import add_call, add_connection, add_delivery, add_dial, add_event, post, signed_in

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def shop(deployment: Deployment) -> Connection:
    return add_connection(deployment)


def text_of(client: FlaskClient, path: str, **more: str) -> str:
    answer = client.get(path, headers={"Accept-Language": more.get("language", "en")})
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def test_what_strangers_sent_is_shown_escaped(deployment: Deployment, admin: FlaskClient, shop: Connection) -> None:
    call = add_call(deployment.database, shop.id, client_number=EVIL[:40], extension="<b>1", callid=EVIL, note=EVIL)
    add_delivery(deployment.database, shop.id, call, error=EVIL)
    add_event(deployment.database, shop.id, f"numberA={EVIL}".encode(), reason=EVIL, call_id=call, content_type=EVIL)
    deployment.connections.pause(shop.id, by="connector", reason=EVIL)
    post(admin, f"/calls/{call}/customer", name=EVIL)
    for path in ("/", "/live/rows", f"/calls/{call}", "/deliveries", "/events", "/connections", "/connections/shop"):
        page = text_of(admin, path)
        assert "<script>alert" not in page, path
        assert "<b>1" not in page, path
    assert "&lt;script&gt;alert" in text_of(admin, f"/calls/{call}")


def test_a_users_name_is_escaped(app: Flask, deployment: Deployment) -> None:
    client = signed_in(app, deployment.database, f'"{EVIL}')
    for path in ("/", "/password"):
        assert "<script>alert" not in text_of(client, path)


def test_the_list_shows_the_time_in_the_connections_zone(
    deployment: Deployment, admin: FlaskClient, shop: Connection
) -> None:
    add_call(deployment.database, shop.id, started_at=datetime(2026, 1, 15, 10, 30, tzinfo=UTC))
    page = text_of(admin, "/")
    assert "12:30" in page
    assert "+380 98 785 8227" in page
    assert "Answered" in page
    assert "1:15" in page


def test_older_calls_are_a_page_further(deployment: Deployment, admin: FlaskClient, shop: Connection) -> None:
    begin = now() - timedelta(days=1)
    ids = [add_call(deployment.database, shop.id, started_at=begin - timedelta(minutes=n // 2)) for n in range(60)]
    first = text_of(admin, "/")
    cursor = first.split("cursor=")[1].split('"')[0]
    second = text_of(admin, f"/?cursor={cursor}")
    shown = [call for page in (first, second) for call in re.findall(r'data-call="(\w+)"', page)]
    assert len(shown) == 60
    assert set(shown) == set(ids)
    assert first.count("data-call=") == 50


@pytest.mark.parametrize("path", ["/?cursor=x", "/?cursor=2026-01-01~a", "/deliveries?before=-1", "/events?before=9e9"])
def test_a_made_up_cursor_is_refused(admin: FlaskClient, path: str) -> None:
    assert admin.get(path).status_code == 400


def test_a_customers_name_shows_at_all_calls_of_the_number(
    deployment: Deployment, admin: FlaskClient, shop: Connection
) -> None:
    first, second = add_call(deployment.database, shop.id), add_call(deployment.database, shop.id)
    post(admin, f"/calls/{first}/customer", name="  Марія   Шевченко ")
    assert "Марія Шевченко" in text_of(admin, f"/calls/{second}")
    assert "Марія Шевченко" in text_of(admin, "/")
    post(admin, f"/calls/{second}/customer", name="")
    assert "Шевченко" not in text_of(admin, "/")


def test_a_call_that_was_asked_for_says_by_whom_and_what_evrotel_answered(
    app: Flask, deployment: Deployment, admin: FlaskClient, shop: Connection
) -> None:
    call = add_call(deployment.database, shop.id, direction="outgoing")
    add_dial(deployment.database, shop.id, call, answer=EVIL)
    page = text_of(admin, f"/calls/{call}")
    assert "A number clicked in the CRM" in page
    assert "Evrotel refused it." in page
    assert "&lt;script&gt;alert" in page
    agent = signed_in(app, deployment.database, "Ivan", "agent", connection_id=shop.id, extension="101")
    assert "&lt;script&gt;alert" not in text_of(agent, f"/calls/{call}")
    assert "Dialled by request" not in text_of(admin, f"/calls/{add_call(deployment.database, shop.id)}")


def test_a_dead_delivery_is_shown_retried_and_given_up(
    deployment: Deployment, admin: FlaskClient, shop: Connection
) -> None:
    calls = [add_call(deployment.database, shop.id) for _ in range(2)]
    ids = [add_delivery(deployment.database, shop.id, call) for call in calls]
    assert "the portal refused the call" in text_of(admin, "/deliveries")
    assert post(admin, "/deliveries/retry", id=str(ids[0])).status_code == 302
    assert post(admin, "/deliveries/give-up", id=str(ids[1])).status_code == 302
    with deployment.database.read() as db:
        states = db.execute(select(Delivery.state).order_by(Delivery.id)).scalars().all()
    assert states == ["pending", "given_up"]
    assert post(admin, "/deliveries/retry", id="1; DROP TABLE users").status_code == 400


def test_rejected_events_come_first_and_can_be_run_again(
    deployment: Deployment, admin: FlaskClient, shop: Connection
) -> None:
    good = b"callstatus=start&calldate=2026-04-01+00%3A00%3A11&numberA=0987858227&numberB=0679853913&direction=i"
    rejected = add_event(deployment.database, shop.id, good, reason="the parser was wrong then")
    add_event(deployment.database, shop.id, b"callstatus=end&accepted=one")
    page = text_of(admin, "/events")
    assert "the parser was wrong then" in page
    assert "accepted = one" not in page
    assert "accepted = one" in text_of(admin, "/events?show=all")
    assert post(admin, f"/events/{rejected}/replay").status_code == 302
    with deployment.database.read() as db:
        assert db.execute(select(Call.client_number)).scalars().all() == ["+380987858227"]
    for unknown in ("999", "9" * 30):
        assert post(admin, f"/events/{unknown}/replay").status_code == 404


@pytest.mark.parametrize("body", [rb'{"callstatus": "\ud800"}', b"\xff\xfe", b'{"a": 1', b"", b"\x00\x01"])
def test_events_of_any_bytes_are_shown(
    deployment: Deployment, admin: FlaskClient, shop: Connection, body: bytes
) -> None:
    add_event(deployment.database, shop.id, body, reason="unreadable")
    assert "unreadable" in text_of(admin, "/events")


@pytest.mark.parametrize("cursor", ["x", "0001-01-01T00:00:00+23:00~x", "9999-12-31T23:59:59-23:00~x"])
def test_a_cursor_that_is_none_of_ours_is_refused(admin: FlaskClient, cursor: str) -> None:
    assert admin.get("/", query_string={"cursor": cursor}).status_code == 400


def test_what_is_rejected_again_says_why(deployment: Deployment, admin: FlaskClient, shop: Connection) -> None:
    event = add_event(deployment.database, shop.id, b"callstatus=what", reason="unreadable")
    post(admin, f"/events/{event}/replay")
    assert "rejected again" in text_of(admin, "/events")


def test_secrets_do_not_show_in_bodies(shop: Connection) -> None:
    assert readable(b"callstatus=start&token=token-of-shop", shop) == "callstatus = start\ntoken = ***"
    assert readable(b'{"a": ["token-of-shop"]}', shop) == '{\n  "a": [\n    "***"\n  ]\n}'
    assert readable(b"\xff\xfe\x00 no form", shop).endswith("no form")


@pytest.mark.parametrize("body", [b"[" * 50_000, b"=" * 9_000, b"&" * 50_000, b"", b"\xff" * 20_000])
def test_no_body_is_too_strange_to_be_shown(shop: Connection, body: bytes) -> None:
    assert len(readable(body, shop)) <= 8_001


@pytest.mark.parametrize(
    ("state", "revoked", "shown"),
    [
        ("ready", False, '<audio controls preload="none" src="/calls/'),
        ("ready", True, '<audio controls preload="none" src="/calls/'),
        ("missing", False, "Evrotel has no recording of this call."),
        (None, False, "This call has no recording."),
    ],
)
def test_a_recording_can_be_played_or_why_not(  # noqa: PLR0917 - the fixtures and one row of the table
    deployment: Deployment, admin: FlaskClient, shop: Connection, state: str | None, revoked: bool, shown: str
) -> None:
    call = add_call(deployment.database, shop.id)
    if state:
        values = {"recfile": "/wav/1.wav", "state": state, "attempts": 1, "link_nonce": "n" * 22, "due_at": now()}
        values |= {"content_type": "audio/wav", "revoked_at": now() if revoked else None, "created_at": now()}
        with deployment.database.write() as db:
            db.execute(insert(Recording).values(call_id=call, connection_id=shop.id, **values))
    assert shown in text_of(admin, f"/calls/{call}")


def test_a_missing_call_answers_404_as_a_page(app: Flask, admin: FlaskClient) -> None:
    answer = admin.get("/calls/nothing")
    assert answer.status_code == 404
    assert "<h1>" in answer.get_data(as_text=True)


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "–"), (0, "0:00"), (75, "1:15"), (3675, "1:01:15"), (36000, "10:00:00")]
)
def test_durations(seconds: int | None, text: str) -> None:
    assert clock(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [("+380987858227", "+380 98 785 8227"), ("101", "101"), (None, "–"), ("+1", "+1"), ("anonymous", "anonymous")],
)
def test_phone_numbers(number: str | None, text: str) -> None:
    assert phone(number) == text


def test_what_postgresql_takes_in_no_text_is_refused(app: Flask, admin: FlaskClient, shop: Connection) -> None:
    assert admin.get("/calls/%00").status_code == 400
    assert admin.get("/?cursor=2026-11-01T00:00:00%2B00:00~%00").status_code == 400
    assert post(admin, f"/connections/{shop.name}/pause", reason="a\0b").status_code == 400
    assert app.test_client().post("/sign-in", data={"name": "a\0b", "password": "x"}).status_code == 400
