"""A call's recording in the panel: who hears it, who heard it, and what an administrator does about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert, update

from connector.connections.store import Connection
from connector.db import now
from connector.deployment import Deployment
from connector.models import Delivery, DeliveryKind, DeliveryState, Recording, RecordingPlay
from connector.recordings import jobs
from connector.recordings.listening import ListeningPass, plays_of, read_listening, sign_listening
from tests.conftest import empty_database
from tests.connector.panel.rows import add_call, add_connection, post, signed_in
from tests.connector.recordings.doors import fetch_due
from tests.connector.recordings.rows import delivery_of, recording_of, url_of
from tests.emulators.evrotel import Recordings, wav

KEYS = ("test-key-of-enough-length",)


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Pages are the same on both engines."""
    return empty_database(request, tmp_path)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recordings]:
    monkeypatch.setattr(jobs, "_HELD", {})
    with Recordings() as recordings:
        yield recordings


@pytest.fixture
def shop(deployment: Deployment, host: Recordings) -> Connection:
    return add_connection(deployment, evrotel_recordings_url=host.url)


def add_recording(deployment: Deployment, shop: Connection, path: str = "/wav/1.wav", **changes: Any) -> str:
    """A call of extension 101 with a recording at Evrotel's, and a telling that waits for it."""
    call = add_call(deployment.database, shop.id, recfile=path, **changes)
    values = {"recfile": path, "state": "pending", "attempts": 0, "link_nonce": call, "due_at": now()}
    waiting = {
        "kind": DeliveryKind.RECORDING,
        "step": 3,
        "state": DeliveryState.WAITING,
        "due_at": now(),
        "attempts": 0,
    }
    both = {"connection_id": shop.id, "call_id": call, "created_at": now()}
    with deployment.database.write() as db:
        db.execute(insert(Recording).values(values | both))
        db.execute(insert(Delivery).values(waiting | both | {"progress": {}, "attempts": 0}))
    return call


@pytest.fixture
def call(deployment: Deployment, shop: Connection, host: Recordings) -> str:
    """A call whose recording is there."""
    host.add("/wav/1.wav")
    call = add_recording(deployment, shop)
    fetch_due(deployment)
    return call


def page(client: FlaskClient, call: str) -> str:
    return str(client.get(f"/calls/{call}", headers={"Accept-Language": "en"}).get_data(as_text=True))


def sound(client: FlaskClient, call: str, query: str = "", **headers: str) -> Any:
    return client.get(f"/calls/{call}/recording.wav{query}", headers=headers, buffered=True)


@pytest.mark.parametrize(
    ("least", "may"), [("agent", "agent supervisor admin"), ("supervisor", "supervisor admin"), ("admin", "admin")]
)
def test_roles_decide_who_may_listen(  # noqa: PLR0917 - the fixtures and one row of the table
    app: Flask, deployment: Deployment, shop: Connection, call: str, least: str, may: str
) -> None:
    deployment.connections.set(shop.name, {"recordings_for": least})
    scopes: dict[str, dict[str, Any]] = {
        "agent": {"connection_id": shop.id, "extension": "101"},
        "supervisor": {"connection_id": shop.id},
        "admin": {},
    }
    users = {role: signed_in(app, deployment.database, role, role, **scope) for role, scope in scopes.items()}
    for role, client in users.items():
        allowed = role in may.split()
        assert sound(client, call).status_code == (200 if allowed else 403), role
        assert ("<audio" in page(client, call)) is allowed, role
        assert ("You may not listen" in page(client, call)) is not allowed, role
    assert {play.listener for play in plays_of(deployment.database, call)} == set(may.split())


def test_others_calls_and_strangers_hear_nothing(
    app: Flask, deployment: Deployment, shop: Connection, call: str
) -> None:
    colleague = signed_in(app, deployment.database, "Ivan", "agent", connection_id=shop.id, extension="102")
    other = add_connection(deployment, "other")
    neighbour = signed_in(app, deployment.database, "Petro", "supervisor", connection_id=other.id)
    for client in (colleague, neighbour):
        assert sound(client, call).status_code == 404
    assert sound(app.test_client(), call).headers["Location"].startswith("/sign-in")
    assert list(plays_of(deployment.database, call)) == []


def test_a_listening_is_written_down_once_and_shown(
    app: Flask, deployment: Deployment, shop: Connection, admin: FlaskClient, call: str
) -> None:
    agent = signed_in(app, deployment.database, "Ivan", "agent", connection_id=shop.id, extension="101")
    assert "Who listened" not in page(admin, call)
    answer = sound(agent, call)
    assert (answer.data, answer.headers["Content-Type"]) == (wav(), "audio/wav")
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.headers["Content-Disposition"].startswith("inline")
    for part in ("bytes=0-99", "bytes=100-199"):  # the same player asks for its parts
        assert sound(agent, call, Range=part).status_code == 206
    assert sound(agent, call, Range="bytes=99999999-").status_code == 416
    saved = sound(agent, call, "?download")
    assert saved.headers["Content-Disposition"].startswith("attachment")
    assert admin.head(f"/calls/{call}/recording.wav").status_code == 200
    assert [(play.listener, play.way) for play in plays_of(deployment.database, call)] == [
        ("Ivan", "download"),
        ("Ivan", "panel"),
    ]
    with deployment.database.write() as db:
        db.execute(update(RecordingPlay).values(at=now() - timedelta(minutes=11)))
    sound(agent, call)
    assert len(plays_of(deployment.database, call)) == 3
    shown = page(admin, call)
    assert "Who listened" in shown
    assert shown.count("<strong>Ivan</strong>") == 3
    assert "Who listened" not in page(agent, call)


def test_a_withdrawn_link_ends_and_the_panel_plays_on(deployment: Deployment, admin: FlaskClient, call: str) -> None:
    link = url_of(deployment, call)
    assert link is not None
    path = link.removeprefix(deployment.settings.public_url)
    assert admin.get(path, buffered=True).status_code == 200
    assert post(admin, f"/calls/{call}/recording/revoke").status_code == 302
    assert admin.get(path).status_code == 404
    assert "link was withdrawn" in page(admin, call)
    assert sound(admin, call).status_code == 200


def test_all_recordings_of_a_number_are_deleted_from_its_call(
    deployment: Deployment, shop: Connection, admin: FlaskClient, call: str
) -> None:
    other = add_recording(deployment, shop, "/wav/2.wav")
    stranger = add_recording(deployment, shop, "/wav/3.wav", client_number="+380501112233")
    assert post(admin, f"/calls/{call}/recording/forget").status_code == 302
    assert [recording_of(deployment, each).state for each in (call, other, stranger)] == [
        "forgotten",
        "forgotten",
        "pending",
    ]
    assert sound(admin, call).status_code == 404


def test_a_missing_recording_says_why_and_is_looked_for_again(
    deployment: Deployment, shop: Connection, admin: FlaskClient, host: Recordings
) -> None:
    call = add_recording(deployment, shop)
    with deployment.database.write() as db:
        db.execute(update(Recording).values(attempts=33))
    fetch_due(deployment)
    assert delivery_of(deployment, call).state == DeliveryState.DEAD
    shown = page(admin, call)
    assert "Evrotel has no recording of this call." in shown
    assert "the recordings host answered 404" in shown
    host.add("/wav/1.wav")
    assert post(admin, f"/calls/{call}/recording/retry").status_code == 302
    assert delivery_of(deployment, call).state == DeliveryState.WAITING
    fetch_due(deployment)
    assert "<audio" in page(admin, call)
    assert delivery_of(deployment, call).state == DeliveryState.PENDING


def test_the_waveform_is_drawn_for_each_channel(admin: FlaskClient, call: str) -> None:
    shown = page(admin, call)
    [path, again] = re.findall(r'<path class="waveform-\w+" d="([^"]+)"', shown)
    assert path == again
    assert path.count("M") == 240
    assert 'viewBox="0 0 240 40"' in shown


def test_a_listening_pass_is_of_one_recording_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    given = ListeningPass(call_id="0199", listener="Олена")
    token = sign_listening(KEYS, given)
    assert read_listening(("a-newer-key-of-enough-length", *KEYS), token) == given
    assert read_listening(("another-key-of-enough-length",), token) is None
    assert read_listening(KEYS, token[:-3] + ("A" if token[-3] != "A" else "B") + token[-2:]) is None
    monkeypatch.setattr("connector.recordings.listening.LASTS_SECONDS", -1)
    assert read_listening(KEYS, token) is None
