"""Every door of the deployment declares its lock, and the lock holds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from werkzeug.routing import Rule

from connector.app import create_app
from connector.deployment import Deployment
from connector.locks import Lock
from crm_adapters.contract import Door
from crm_adapters.registry import DESCRIPTIONS
from tests.conftest import MakeDeployment

STRANGER = {"REMOTE_ADDR": "203.0.113.9"}

OPEN = {
    "health.healthz",
    "health.readyz",
    "openapi",
    "api_docs.page",
    "api_docs.file",
    "call_app.manifest",
    "call_app.icon",
    "call_app.numbers",
    "bootstrap.static",
    "panel.static",
    "sign_in.choose_language",
    "evrotel.only_by_post",
    "callback.loader",
    "callback.form_script",
}
"""What needs no proof: monitors' questions, files of the pages, the choice of a language. A new one is added here."""

TURNED_AWAY = {
    Lock.EVROTEL_TOKEN: {401},
    Lock.API_KEY: {401},
    Lock.OPERATOR: {401},
    Lock.FRAME_PASS: {401},
    Lock.SIGNED_LINK: {404},
    Lock.SITE: {403},
    Lock.LISTENING_PASS: {404},
    Lock.SETUP_TOKEN: {400, 404},  # no set-up token is set: there is no such page; 400 as below
    Lock.ADAPTER: {400, 401, 403, 404, 405},
    Lock.SESSION: {302, 400, 401},  # 400: the missing CSRF token is noticed first
    Lock.SUPERVISOR: {302, 400, 401},
    Lock.ADMIN: {302, 400, 401},
}
"""What a request without any proof is answered."""


@pytest.fixture
def app(make_deployment: MakeDeployment) -> Flask:
    deployment = make_deployment()
    for slug in DESCRIPTIONS:
        deployment.connections.add(slug, slug, {})
    return create_app(deployment.settings, deployment)


@pytest.fixture
def database_url(tmp_path: object) -> str:
    """Locks are the same on both engines: one is enough."""
    return f"sqlite:///{tmp_path}/connector.db"


def _rules(app: Flask) -> Iterator[tuple[Rule, Lock | None]]:
    for rule in app.url_map.iter_rules():
        yield rule, getattr(app.view_functions[rule.endpoint], "lock", None)


def test_every_route_declares_its_lock(app: Flask) -> None:
    assert [rule.rule for rule, lock in _rules(app) if not isinstance(lock, Lock)] == []


def test_only_the_known_routes_are_open_to_all(app: Flask) -> None:
    assert {rule.endpoint for rule, lock in _rules(app) if lock is Lock.PUBLIC} == OPEN


def test_every_lock_holds(app: Flask) -> None:
    """A request from outside that proves nothing gets nothing, whatever the route and the method."""
    client = app.test_client()
    let_in = []
    for rule, lock in _rules(app):
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            if lock in {Lock.PUBLIC, Lock.SIGN_IN}:
                continue
            answer = client.open(_path(app, rule), method=method, environ_base=STRANGER)
            if lock is None or answer.status_code not in TURNED_AWAY[lock]:
                let_in.append(f"{method} {rule.rule}: {answer.status}")
    assert let_in == []


@pytest.mark.parametrize(
    ("slug", "name", "door"),
    [(slug, name, door) for slug, description in DESCRIPTIONS.items() for name, door in description.doors.items()],
)
def test_every_door_of_an_adapter_says_its_lock_and_turns_a_stranger_away(
    app: Flask, slug: str, name: str, door: Door
) -> None:
    assert len(door.lock.split()) >= 2
    assert door.methods
    client = app.test_client()
    for method in door.methods:
        assert client.open(f"/{slug}/{slug}/{name}", method=method, environ_base=STRANGER).status_code in {
            400,
            401,
            403,
        }


def test_an_unknown_connection_and_an_undeclared_door_are_not_there(
    app: Flask, make_deployment: MakeDeployment
) -> None:
    client = app.test_client()
    for slug, description in DESCRIPTIONS.items():
        for name in description.doors:
            assert client.post(f"/{slug}/nobody/{name}").status_code in {404, 405}
        assert client.post(f"/{slug}/{slug}/no-such-door").status_code == 404
    assert client.post("/evrotel/nobody/events").status_code == 404


def test_the_key_of_one_connection_opens_no_other(make_deployment: MakeDeployment) -> None:
    """The same deployment's other connection is as unknown to it as one that there is not."""
    deployment: Deployment = make_deployment()
    first = deployment.connections.add("first", "journal", {"evrotel_token": "first-token"})
    second = deployment.connections.add("second", "journal", {"evrotel_token": "second-token"})
    client = create_app(deployment.settings, deployment).test_client()
    answer = client.post(f"/evrotel/{second.name}/events", headers={"Authorization": first.values["evrotel_token"]})
    assert (answer.status_code, answer.text) == (401, "Access denied")


def _path(app: Flask, rule: Rule) -> str:
    """An address that the rule matches."""
    samples = {
        "crm": "bitrix24",
        "name": "journal",
        "connection": "journal",
        "extension": "wav",
        "event_id": 1,
        "key_id": 1,
    }
    values = {argument: samples.get(argument, "install") for argument in rule.arguments}
    return app.url_map.bind("localhost").build(rule.endpoint, values, method=next(iter(rule.methods or {"GET"})))
