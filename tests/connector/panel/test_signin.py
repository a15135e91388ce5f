"""Signing in by link and by password, and what ends a session."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from connector.app import create_app
from connector.db import now
from connector.deployment import Deployment
from connector.models import SignInLink
from connector.panel.signin import (
    check_password,
    create_user,
    end_sessions,
    make_sign_in_link,
    set_password,
    use_link,
    user_row,
)
from tests.conftest import MakeDeployment, empty_database
from tests.connector.panel.rows import PASSWORD, add_connection, csrf_token, post, signed_in


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Pages are the same on both engines; the brakes have tests of their own."""
    return empty_database(request, tmp_path)


def sign_in(client: FlaskClient, name: str, password: str, query: str = "") -> int:
    token = csrf_token(client)
    data = {"csrf_token": token, "name": name, "password": password}
    return client.post(f"/sign-in{query}", data=data).status_code


def test_a_link_signs_in_once_and_looking_at_it_uses_nothing_up(app: Flask, deployment: Deployment) -> None:
    user_id = create_user(deployment.database, "Oksana", "admin")
    path = f"/sign-in/{make_sign_in_link(deployment.database, user_id)}"
    client = app.test_client()
    assert client.head(path).status_code == 200
    assert client.get(path).status_code == 200
    answer = client.post(path, data={"csrf_token": csrf_token(client, path)})
    assert answer.headers["Location"] == "/password"
    assert client.get("/").status_code == 200

    other = app.test_client()
    assert other.get(path).status_code == 410
    assert other.post(path, data={"csrf_token": csrf_token(other, "/sign-in")}).status_code == 410
    assert other.get("/").status_code == 302


def test_of_two_at_once_one_wins(deployment: Deployment) -> None:
    user_id = create_user(deployment.database, "Oksana", "admin")
    token = make_sign_in_link(deployment.database, user_id)
    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(lambda _: use_link(deployment.database, token), range(4)))
    assert sorted(won, key=str) == [user_id, None, None, None]


def test_an_expired_link_is_refused(deployment: Deployment) -> None:
    token = make_sign_in_link(deployment.database, create_user(deployment.database, "Oksana", "admin"))
    with deployment.database.write() as db:
        db.execute(update(SignInLink).values(expires_at=now() - timedelta(seconds=1)))
    assert use_link(deployment.database, token) is None


def test_the_link_itself_is_not_kept(deployment: Deployment) -> None:
    token = make_sign_in_link(deployment.database, create_user(deployment.database, "Oksana", "admin"))
    with deployment.database.read() as db:
        kept = db.execute(SignInLink.__table__.select()).all()
    assert token not in str(kept)


def test_name_and_password_after_the_link(app: Flask, deployment: Deployment, admin: FlaskClient) -> None:
    answer = post(admin, "/password", password=PASSWORD, again=PASSWORD)
    assert answer.headers["Location"] == "/"
    client = app.test_client()
    assert sign_in(client, "Oksana", "wrong") == 401
    assert sign_in(client, "nobody", PASSWORD) == 401
    assert sign_in(client, "Oksana", PASSWORD) == 302
    assert client.get("/").status_code == 200


def test_a_short_or_mistyped_password_is_not_taken(admin: FlaskClient) -> None:
    assert post(admin, "/password", password="short", again="short").status_code == 400
    assert post(admin, "/password", password=PASSWORD, again=PASSWORD + "x").status_code == 400


def test_changing_a_password_later_needs_the_current_one(app: Flask, deployment: Deployment) -> None:
    set_password(deployment.database, create_user(deployment.database, "Oksana", "admin"), PASSWORD)
    client = app.test_client()
    assert sign_in(client, "Oksana", PASSWORD) == 302
    fresh = "another long password"
    assert post(client, "/password", password=fresh, again=fresh, current="wrong").status_code == 400
    assert post(client, "/password", password=fresh, again=fresh, current=PASSWORD).status_code == 302
    assert check_password(deployment.database, "Oksana", fresh)


def test_signing_in_starts_a_new_session(app: Flask, deployment: Deployment) -> None:
    set_password(deployment.database, create_user(deployment.database, "Oksana", "admin"), PASSWORD)
    client = app.test_client()
    before = csrf_token(client)
    assert sign_in(client, "Oksana", PASSWORD) == 302
    assert client.post("/sign-out", data={"csrf_token": before}).status_code == 400


def test_signing_out_ends_stolen_cookies_too(app: Flask, admin: FlaskClient) -> None:
    cookie = admin.get_cookie("session")
    assert cookie
    thief = app.test_client()
    thief.set_cookie("session", cookie.value)
    assert thief.get("/").status_code == 200
    assert post(admin, "/sign-out").status_code == 302
    assert admin.get("/").status_code == 302
    assert thief.get("/").status_code == 302


def test_sign_out_is_no_link(admin: FlaskClient) -> None:
    assert admin.get("/sign-out").status_code == 405


def test_a_raised_session_version_ends_sessions(deployment: Deployment, admin: FlaskClient) -> None:
    with deployment.database.read() as db:
        user_id = db.exec_driver_sql("SELECT id FROM users").scalar_one()
    end_sessions(deployment.database, user_id)
    assert admin.get("/").headers["Location"] == "/sign-in"


@pytest.mark.parametrize(
    ("wanted", "goes_to"),
    [
        ("/calls/abc?x=1", "/calls/abc?x=1"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
    ],
)
def test_one_goes_on_to_where_one_wanted_within_the_site(
    app: Flask, deployment: Deployment, wanted: str, goes_to: str
) -> None:
    set_password(deployment.database, create_user(deployment.database, "Oksana", "admin"), PASSWORD)
    client = app.test_client()
    data = {"csrf_token": csrf_token(client), "name": "Oksana", "password": PASSWORD}
    assert client.post("/sign-in", query_string={"next": wanted}, data=data).headers["Location"] == goes_to


@pytest.mark.parametrize(
    ("name", "role", "message"),
    [
        ("Oksana", "admin", "already"),
        ("", "admin", "name should be"),
        ("x" * 81, "admin", "name should be"),
        ("Ivan", "boss", "role should be"),
        ("Ivan", "agent", "an agent needs"),
    ],
)
def test_users_that_can_not_be(deployment: Deployment, name: str, role: str, message: str) -> None:
    create_user(deployment.database, "Oksana", "admin")
    with pytest.raises(ValueError, match=message):
        create_user(deployment.database, name, role)


def test_passwords_are_kept_as_argon2_hashes(deployment: Deployment) -> None:
    user_id = create_user(deployment.database, "Oksana", "admin")
    set_password(deployment.database, user_id, PASSWORD)
    assert user_row(deployment.database, user_id).password_hash.startswith("$argon2id$")


def test_the_first_admin_needs_the_set_up_token_and_nobody_before(make_deployment: MakeDeployment) -> None:
    deployment = make_deployment(environment={"SETUP_TOKEN": "let-me-set-up"})
    client = create_app(deployment.settings, deployment).test_client()
    assert client.get("/", follow_redirects=True).request.path == "/setup"
    data = {"csrf_token": csrf_token(client, "/setup"), "name": "Oksana", "password": PASSWORD}
    assert client.post("/setup", data={**data, "token": "guess"}).status_code == 403
    assert client.post("/setup", data={**data, "token": "let-me-set-up"}).headers["Location"] == "/connections"
    assert client.get("/connections").status_code == 200
    assert client.get("/setup").status_code == 404


@pytest.mark.parametrize(("url", "told"), [("", True), ("s3://calls/shop", False), ("file:///srv/calls", True)])
def test_the_set_up_says_that_a_dynos_disk_is_not_kept(
    make_deployment: MakeDeployment, url: str, *, told: bool
) -> None:
    settings = {"environment": {"SETUP_TOKEN": "let-me-set-up"}, "disk_is_kept": False, "recordings_url": url}
    deployment = make_deployment(**settings)
    client = create_app(deployment.settings, deployment).test_client()
    page = client.get("/setup", headers={"Accept-Language": "en"}).get_data(as_text=True)
    assert ("empties its disk at each restart" in page) is told
    assert ("RECORDINGS_URL=s3://" in page and "recordings_mode=proxy" in page) is told


def test_without_a_set_up_token_there_is_no_set_up(app: Flask) -> None:
    assert app.test_client().get("/setup").status_code == 404


def test_an_agent_is_bound_to_a_connection_and_extension(app: Flask, deployment: Deployment) -> None:
    connection = add_connection(deployment)
    agent = signed_in(app, deployment.database, "Ivan", "agent", connection_id=connection.id, extension="101")
    assert agent.get("/").status_code == 200
