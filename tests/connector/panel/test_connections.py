"""Connections in the panel: adding, settings, the values for Evrotel, pause, removal."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from connector.deployment import Deployment
from tests.conftest import empty_database
from tests.connector.panel.rows import add_connection, post

ENGLISH = {"Accept-Language": "en"}


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Forms are the same on both engines."""
    return empty_database(request, tmp_path)


def page(client: FlaskClient, path: str) -> str:
    return client.get(path, headers=ENGLISH).get_data(as_text=True)


def test_adding_one_shows_what_evrotel_asks_for(deployment: Deployment, admin: FlaskClient) -> None:
    answer = post(admin, "/new-connection?crm=bitrix24", name="shop", evrotel_billcode="20558", language="uk")
    assert answer.headers["Location"] == "/connections/shop"
    shown = page(admin, "/connections/shop")
    assert 'value="20558"' in shown
    assert 'value="http://127.0.0.1:8000/evrotel/shop/events"' in shown
    assert 'value="http://127.0.0.1:8000/bitrix24/shop/app"' in shown
    assert 'value="http://127.0.0.1:8000/bitrix24/shop/install"' in shown
    assert len(deployment.connections.get("shop").get("evrotel_token")) >= 20


def test_the_token_shows_on_demand_only(deployment: Deployment, admin: FlaskClient) -> None:
    add_connection(deployment)
    for path in ("/connections", "/connections/shop", "/connections/shop/settings"):
        assert "token-of-shop" not in page(admin, path)
    assert admin.get("/connections/shop/reveal").status_code in {404, 405}
    assert "token-of-shop" in post(admin, "/connections/shop/reveal").get_data(as_text=True)


def test_a_taken_or_unfit_name_is_said_at_its_field(deployment: Deployment, admin: FlaskClient) -> None:
    add_connection(deployment)
    for name in ("shop", "Магазин", "a/b", ""):
        answer = post(admin, "/new-connection?crm=journal", name=name)
        assert answer.status_code == 400
        assert 'id="name-error"' in answer.get_data(as_text=True)
    assert [each.name for each in deployment.connections.all()] == ["shop"]


def test_a_wrong_setting_is_said_at_its_field_and_nothing_is_saved(deployment: Deployment, admin: FlaskClient) -> None:
    add_connection(deployment, evrotel_billcode="20558")
    answer = post(admin, "/connections/shop/settings", evrotel_timezone="Mars/Base", evrotel_billcode="1")
    assert answer.status_code == 400
    shown = answer.get_data(as_text=True)
    assert 'aria-describedby="evrotel_timezone-help evrotel_timezone-error"' in shown
    assert 'value="Mars/Base"' in shown
    assert deployment.connections.by_id(deployment.connections.get("shop").id).values["evrotel_billcode"] == "20558"  # type: ignore[union-attr]  # it is there


def test_an_empty_secret_keeps_what_is_kept_and_a_tick_forgets_it(deployment: Deployment, admin: FlaskClient) -> None:
    shop = add_connection(deployment, bitrix24_client_secret="very-secret")

    def kept() -> dict[str, str]:
        found = deployment.connections.by_id(shop.id)
        assert found
        return dict(found.values)

    post(admin, "/connections/shop/settings", bitrix24_client_id="local.12345", bitrix24_client_secret="")
    assert kept()["bitrix24_client_secret"] == "very-secret"
    assert kept()["bitrix24_client_id"] == "local.12345"
    assert "very-secret" not in page(admin, "/connections/shop/settings")
    post(admin, "/connections/shop/settings", bitrix24_client_secret="a-new-one")
    assert kept()["bitrix24_client_secret"] == "a-new-one"
    post(admin, "/connections/shop/settings", clear_bitrix24_client_secret="y", clear_evrotel_token="y")
    assert "bitrix24_client_secret" not in kept()
    assert kept()["evrotel_token"] not in {"", "token-of-shop"}


def test_pause_and_resume(deployment: Deployment, admin: FlaskClient) -> None:
    shop = add_connection(deployment)
    post(admin, "/connections/shop/pause", reason="moving the office")
    paused = deployment.connections.by_id(shop.id)
    assert paused
    assert (paused.paused_by, paused.paused_reason) == ("admin", "moving the office")
    assert "moving the office" in page(admin, "/connections")
    post(admin, "/connections/shop/resume")
    resumed = deployment.connections.by_id(shop.id)
    assert resumed
    assert not resumed.paused


def test_the_check_shows_its_findings(deployment: Deployment, admin: FlaskClient) -> None:
    add_connection(deployment, "notes", "journal")
    answer = post(admin, "/connections/notes/check")
    assert answer.status_code == 200
    assert "Дзвінки зберігає вбудований журнал." in answer.get_data(as_text=True)


def test_removal_needs_the_name_typed(deployment: Deployment, admin: FlaskClient) -> None:
    shop = add_connection(deployment)
    assert post(admin, "/connections/shop/remove", confirmation="Shop").status_code == 400
    assert deployment.connections.by_id(shop.id)
    assert post(admin, "/connections/shop/remove", confirmation="shop").status_code == 302
    assert deployment.connections.by_id(shop.id) is None
    assert admin.get("/connections/shop").status_code == 404


def test_the_widget_is_downloaded_where_there_is_one(deployment: Deployment, admin: FlaskClient) -> None:
    deployment.connections.add("amo", "amocrm", {})
    add_connection(deployment)
    assert "/connections/amo/widget" in page(admin, "/connections/amo")
    answer = admin.get("/connections/amo/widget")
    assert (answer.status_code, answer.mimetype) == (200, "application/zip")
    assert "evrotel-widget.zip" in answer.headers["Content-Disposition"]
    with zipfile.ZipFile(BytesIO(answer.data)) as archive:
        assert "http://127.0.0.1:8000/amocrm/amo" in archive.read("script.js").decode()
    assert admin.get("/connections/shop/widget").status_code == 404
