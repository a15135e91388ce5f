"""A key opens one connection; errors are problems; the OpenAPI tells the truth."""

from __future__ import annotations

import itertools
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sqlalchemy import select, update

from connector.api import keys
from connector.api.queries import Place
from connector.db import Unavailable, now
from connector.deployment import Deployment
from connector.locks import Lock
from connector.models import APIKey
from connector.secrets import digest
from tests.conftest import empty_database
from tests.connector.api.conftest import Tenant, make_tenant
from tests.connector.recordings.rows import add_recording


def not_our_error(ctx: Any, response: Any, case: Any) -> bool | None:
    """A 5xx is a fault, but for 502: a number that happens to be one can't be dialled without Evrotel."""
    return None if response.status_code == 502 else not_a_server_error(ctx, response, case)


CHECKS = [
    not_our_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Locks and errors are the same on both engines."""
    return empty_database(request, tmp_path)


def api_rules(app: Flask) -> list[tuple[str, str]]:
    return [
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/api/v1/connections/")
    ]


def test_each_view_declares_its_lock(app: Flask) -> None:
    locks = {endpoint: getattr(view, "lock", None) for endpoint, view in app.view_functions.items()}
    for public in ("openapi", "api_docs.page", "api_docs.file"):
        assert locks.pop(public) == Lock.PUBLIC
    assert set(locks.values()) == {Lock.API_KEY}


def test_another_connections_key_opens_nothing(app: Flask, deployment: Deployment, tenant: Tenant) -> None:
    stranger = make_tenant(app, deployment, "stranger")
    call_id = add_recording(deployment, tenant.connection)
    for method, rule in api_rules(app):
        path = rule.replace("<connection>", "shop").replace("<call_id>", call_id)
        missing = rule.replace("<connection>", "missing").replace("<call_id>", call_id)
        own = rule.replace("<connection>", "stranger").replace("<call_id>", call_id)
        answers = [stranger.client.open(each, method=method) for each in (path, missing)]
        assert {(answer.status_code, answer.data) for answer in answers} == {(404, answers[0].data)}
        assert answers[0].content_type == "application/problem+json"
        if "<call_id>" in rule:
            assert stranger.client.open(own, method=method).status_code == 404
        assert app.test_client().open(path, method=method).status_code == 401


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Bearer wrong", "Basic {key}", "{key}", "Bearer {key}x"]
)
def test_no_key_or_a_wrong_one_is_401(app: Flask, tenant: Tenant, authorization: str) -> None:
    headers = {"Authorization": authorization.format(key=tenant.key)}
    answer = app.test_client().get("/api/v1/connections/shop/calls", headers=headers)
    assert (answer.status_code, answer.content_type) == (401, "application/problem+json")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.json is not None
    assert answer.json["title"] == "Unauthorized"


def test_a_revoked_key_opens_nothing(deployment: Deployment, tenant: Tenant) -> None:
    with deployment.database.read() as db:
        row = db.execute(select(APIKey.__table__)).one()
    assert row.digest == digest(tenant.key)
    assert tenant.key not in str(row)
    assert not keys.revoke(deployment.database, tenant.connection.id + 1, row.id)
    assert keys.revoke(deployment.database, tenant.connection.id, row.id)
    assert not keys.revoke(deployment.database, tenant.connection.id, row.id)
    assert tenant.client.get("/api/v1/connections/shop/calls").status_code == 401


def test_a_keys_use_is_noted_once_a_minute(deployment: Deployment, tenant: Tenant) -> None:
    def last_used() -> object:
        with deployment.database.read() as db:
            return db.execute(select(APIKey.last_used_at)).scalar_one()

    assert last_used() is None
    tenant.get("/calls")
    first = last_used()
    tenant.get("/calls")
    assert last_used() == first
    earlier = now() - timedelta(minutes=2)
    with deployment.database.write() as db:
        db.execute(update(APIKey).values(last_used_at=earlier))
    tenant.get("/calls")
    assert last_used() != earlier


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v1/connections/shop/nothing", 404),
        ("GET", "/api/v1/connections/shop/calls/unknown", 404),
        ("GET", "/api/v1/connections/shop/calls/\x00", 404),
        ("DELETE", "/api/v1/connections/shop/calls", 405),
        ("POST", "/api/v1/openapi.json", 405),
    ],
)
def test_errors_are_problems(tenant: Tenant, method: str, path: str, status: int) -> None:
    answer = tenant.client.open(path, method=method)
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert answer.json is not None
    assert answer.json["status"] == status
    assert answer.json["detail"]
    assert "Allow" in answer.headers or status != 405


CALL = '{"to": "+380671234567", "from": ["101"]}'
"""Good but for what is around it: the connection has no billcode, so it is answered 409."""


@pytest.mark.parametrize(
    ("content", "label", "status"),
    [
        (CALL, "application/json", 409),
        ("\ufeff" + CALL, "application/json", 409),
        ("{", "application/json", 400),
        (b"\xff\xfe{", "application/json", 400),
        ('{"to": ' + "1" * 5000 + "}", "application/json", 400),
        ("[" * 60000, "application/json", 400),
        ('{"to": "\\ud800"}', "application/json", 400),
        ("", "application/json", 422),
        (CALL, "text/plain", 415),
        ("to=0671234567&from=101", "application/x-www-form-urlencoded", 415),
        (" " * 100_000, "application/json", 413),
        (CALL.replace("7", "77", 1), "application/json", 422),
    ],
)
def test_content_that_is_no_json_is_told_what_it_should_be(
    tenant: Tenant, content: str | bytes, label: str, status: int
) -> None:
    tenant.client.application.config["MAX_CONTENT_LENGTH"] = 65536  # as the whole application has it
    answer = tenant.client.post("/api/v1/connections/shop/calls", data=content, content_type=label)
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert answer.json is not None
    assert answer.json["detail"]


def test_patterns_are_read_the_same_by_python_and_by_javascript(app: Flask) -> None:
    described = app.test_client().get("/api/v1/openapi.json").text
    assert '"^[0-9]{1,5}$"' in described
    assert "\\Z" not in described


def test_other_pages_keep_their_errors(tenant: Tenant) -> None:
    assert tenant.client.get("/nothing").content_type.startswith("text/html")


def test_a_database_that_is_away_is_503(app: Flask, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.api.queries.calls", _unavailable)
    answer = tenant.client.get("/api/v1/connections/shop/calls")
    assert (answer.status_code, answer.content_type) == (503, "application/problem+json")


def _unavailable(*_: object) -> None:
    raise Unavailable[1]("no connection")


@given(st.text(max_size=60))
def test_any_cursor_is_a_place_or_none(text: str) -> None:
    try:
        place = Place.read(text)
    except ValueError:
        return
    assert Place.read(place.text()) == place


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # the stricter one: it takes no NUL in a text
def test_the_server_does_what_its_openapi_says(app: Flask, deployment: Deployment, tenant: Tenant) -> None:
    add_recording(deployment, tenant.connection)
    deployment.connections.set("shop", {"evrotel_billcode": "20558"})
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)
    documented = 0
    for operation in schema.get_all_operations():
        documented += 1
        assert isinstance(operation, Ok)
        _fuzz(operation.ok(), tenant)
    assert documented == len(api_rules(app))


def _fuzz(operation: Any, tenant: Tenant) -> None:
    @given(case=operation.as_strategy())
    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    def check(case: schemathesis.Case[Any]) -> None:
        connection, key = next(doors)
        case.path_parameters["connection"] = connection or case.path_parameters["connection"]
        case.call_and_validate(headers={"Authorization": f"Bearer {key}"}, checks=CHECKS)

    # Mostly its own door; now and then another key's or another connection's.
    doors = itertools.cycle([("shop", tenant.key)] * 8 + [("shop", "wrong"), (None, tenant.key)])
    check()
