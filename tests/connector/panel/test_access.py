"""Locks: who may see and do what, CSRF, and the headers of every page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from connector.deployment import Deployment
from connector.locks import Lock
from connector.panel.headers import POLICY
from tests.conftest import empty_database
from tests.connector.panel.rows import add_call, add_connection, add_delivery, add_event, post, signed_in

ROOMS = (
    "sign_in.",
    "calls.",
    "call_recording.",
    "live.",
    "deliveries.",
    "events.",
    "connections.",
    "autodial.",
    "campaigns.",
    "api_key_pages.",
    "links.",
)


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Locks are the same on both engines."""
    return empty_database(request, tmp_path)


def panel_rules(app: Flask, lock: Lock, method: str) -> list[str]:
    """The addresses of the panel with this lock, with values in them."""
    found = [
        re.sub(r"<int(\(\w+=\d+\))?:\w+>", "1", rule.rule)
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith(ROOMS)
        and method in (rule.methods or ())
        and getattr(app.view_functions[rule.endpoint], "lock", None) is lock
    ]
    found = [re.sub(r"<any\((\w+)[^>]*>", r"\1", path) for path in found]
    return [re.sub(r"<\w+>", "shop", path) for path in found]


def test_each_view_of_the_panel_declares_its_lock(app: Flask) -> None:
    endpoints = [rule.endpoint for rule in app.url_map.iter_rules()]
    panel = [name for name in endpoints if name.startswith((*ROOMS, "panel.", "bootstrap."))]
    assert len(panel) > 25
    assert all(isinstance(getattr(app.view_functions[name], "lock", None), Lock) for name in panel)


@pytest.mark.parametrize("lock", [Lock.SESSION, Lock.SUPERVISOR, Lock.ADMIN])
def test_strangers_get_no_further_than_the_sign_in(app: Flask, lock: Lock) -> None:
    client = app.test_client()
    for path in panel_rules(app, lock, "GET"):
        answer = client.get(path)
        if path.startswith("/live/"):
            assert answer.status_code == 401
        else:
            assert answer.headers["Location"].startswith("/sign-in"), path


def test_agents_and_supervisors_get_into_nothing_of_the_admin(app: Flask, deployment: Deployment) -> None:
    connection = add_connection(deployment)
    agent = signed_in(app, deployment.database, "Ivan", "agent", connection_id=connection.id, extension="101")
    supervisor = signed_in(app, deployment.database, "Petro", "supervisor", connection_id=connection.id)
    for client in (agent, supervisor):
        assert {client.get(path).status_code for path in panel_rules(app, Lock.ADMIN, "GET")} == {403}
        assert {post(client, path).status_code for path in panel_rules(app, Lock.ADMIN, "POST")} == {403}
    assert {agent.get(path).status_code for path in panel_rules(app, Lock.SUPERVISOR, "GET")} == {403}
    assert {post(agent, path).status_code for path in panel_rules(app, Lock.SUPERVISOR, "POST")} == {403}
    assert deployment.connections.by_id(connection.id) is not None


def test_no_post_of_the_panel_goes_without_its_token(app: Flask, admin: FlaskClient) -> None:
    for lock in (Lock.SESSION, Lock.SUPERVISOR, Lock.ADMIN, Lock.SIGN_IN, Lock.PUBLIC):
        for path in panel_rules(app, lock, "POST"):
            answer = admin.post(path, data={"csrf_token": "made-up"})
            assert answer.status_code == 400, path


def test_machines_doors_need_no_csrf_token(app: Flask, deployment: Deployment) -> None:
    add_connection(deployment)
    assert app.test_client().post("/evrotel/shop/events", data={"callstatus": "start"}).status_code == 401


def test_an_agent_sees_own_calls_only(app: Flask, deployment: Deployment) -> None:
    shop, other = add_connection(deployment), add_connection(deployment, "other")
    own = add_call(deployment.database, shop.id, extension="101")
    hidden = [
        add_call(deployment.database, shop.id, extension="102"),
        add_call(deployment.database, shop.id, extension=None),
        add_call(deployment.database, other.id, extension="101"),
    ]
    agent = signed_in(app, deployment.database, "Ivan", "agent", connection_id=shop.id, extension="101")
    for page in (agent.get("/").get_data(as_text=True), agent.get("/live/rows").get_data(as_text=True)):
        assert own in page
        assert not any(call in page for call in hidden)
    assert agent.get(f"/calls/{own}").status_code == 200
    assert {agent.get(f"/calls/{call}").status_code for call in hidden} == {404}
    assert {post(agent, f"/calls/{call}/customer", name="x").status_code for call in hidden} == {404}
    assert agent.get("/?connection=other").status_code == 404


def test_an_agent_does_not_see_what_was_sent(app: Flask, deployment: Deployment) -> None:
    shop = add_connection(deployment)
    call = add_call(deployment.database, shop.id)
    add_delivery(deployment.database, shop.id, call)
    add_event(deployment.database, shop.id, b"numberA=0501112233", call_id=call)
    agent = signed_in(app, deployment.database, "Ivan", "agent", connection_id=shop.id, extension="101")
    supervisor = signed_in(app, deployment.database, "Petro", "supervisor", connection_id=shop.id)
    assert "0501112233" not in agent.get(f"/calls/{call}").get_data(as_text=True)
    assert "externalCall.finish" not in agent.get(f"/calls/{call}").get_data(as_text=True)
    assert "0501112233" in supervisor.get(f"/calls/{call}").get_data(as_text=True)


def test_a_supervisor_sees_their_connection_or_all(app: Flask, deployment: Deployment) -> None:
    shop, other = add_connection(deployment), add_connection(deployment, "other")
    calls = add_call(deployment.database, shop.id, extension=None), add_call(deployment.database, other.id)
    bound = signed_in(app, deployment.database, "Petro", "supervisor", connection_id=shop.id)
    free = signed_in(app, deployment.database, "Olha", "supervisor")
    assert [call in bound.get("/").get_data(as_text=True) for call in calls] == [True, False]
    assert [call in free.get("/").get_data(as_text=True) for call in calls] == [True, True]


def test_every_page_has_the_security_headers_and_no_inline_code(
    app: Flask, deployment: Deployment, admin: FlaskClient
) -> None:
    shop = add_connection(deployment)
    call = add_call(deployment.database, shop.id)
    add_delivery(deployment.database, shop.id, call)
    add_event(deployment.database, shop.id, b"x", reason="unreadable")
    pages = [path for lock in (Lock.SESSION, Lock.SUPERVISOR, Lock.ADMIN) for path in panel_rules(app, lock, "GET")]
    pages = [path for path in pages if not path.startswith("/live/")]
    answers = [
        *(admin.get(path) for path in [*pages, f"/calls/{call}", "/new-connection?crm=bitrix24"]),
        app.test_client().get("/sign-in"),
        app.test_client().get("/sign-in/unknown"),
        app.test_client().post("/sign-in"),
        admin.get("/events?before=x"),
        admin.get("/connections/nothing-here"),
    ]
    assert len(answers) > 12
    for answer in answers:
        page = answer.get_data(as_text=True)
        assert answer.headers["Content-Security-Policy"] == POLICY
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"
        assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", page), answer.request.path
