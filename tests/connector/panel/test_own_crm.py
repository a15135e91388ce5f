"""What the panel has for CRMs of one's own and for 1C: keys to show once more, a test event, cards on the live list."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import insert, update

from connector.calls.arrivals import new_call_id
from connector.db import now
from connector.delivery.announcements import CALLBACK_REQUESTED, announce
from connector.deployment import Deployment
from connector.models import Call, Delivery, DeliveryState
from tests.conftest import empty_database
from tests.connector.panel.rows import post
from tests.emulators.webhook import OwnCRM, Script


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Pages are the same on both engines."""
    return empty_database(request, tmp_path)


def test_the_secret_that_was_made_up_is_shown_on_demand(deployment: Deployment, admin: FlaskClient) -> None:
    shop = deployment.connections.add("shop", "webhook", {})
    secret = shop.get("webhook_secret")
    assert secret.startswith("whsec_")
    assert secret not in admin.get("/connections/shop").get_data(as_text=True)
    assert secret in post(admin, "/connections/shop/reveal", key="webhook_secret").get_data(as_text=True)
    assert post(admin, "/connections/shop/reveal", key="onec_password").status_code == 404


def test_a_test_event_says_what_came_back(deployment: Deployment, admin: FlaskClient) -> None:
    with OwnCRM() as crm:
        made = deployment.connections.add("shop", "webhook", {"webhook_url": crm.url})
        crm.secrets = [made.get("webhook_secret")]
        assert "127.0.0.1" in post(admin, "/connections/shop/test-event").get_data(as_text=True)
        crm.always = Script(503)
        assert "503" in post(admin, "/connections/shop/test-event").get_data(as_text=True)
        assert crm.types() == ["ping"]
        crm.always = Script(200, {"Content-Encoding": "gzip"}, b"a body that can't be read is no refusal")
        assert "503" not in post(admin, "/connections/shop/test-event").get_data(as_text=True)
        assert crm.types() == ["ping", "ping"]
    deployment.connections.add("other", "journal", {})
    assert post(admin, "/connections/other/test-event").status_code == 404


def test_what_is_no_call_is_among_the_failed_ones_too(deployment: Deployment, admin: FlaskClient) -> None:
    shop = deployment.connections.add("shop", "webhook", {})
    with deployment.database.write() as db:
        announce(db, shop, CALLBACK_REQUESTED, {"id": "7"}, key="7", at=now())
        db.execute(update(Delivery).values(state=DeliveryState.DEAD))
    shown = admin.get("/deliveries")
    assert shown.status_code == 200
    assert CALLBACK_REQUESTED in shown.get_data(as_text=True)


def test_1c_is_told_the_address_of_the_pbx(deployment: Deployment, admin: FlaskClient) -> None:
    deployment.connections.add("base", "onec", {})
    assert "http://127.0.0.1:8000/onec/base/telephony" in admin.get("/connections/base").get_data(as_text=True)


def test_the_live_list_shows_what_the_crm_said_of_the_client(deployment: Deployment, admin: FlaskClient) -> None:
    shop = deployment.connections.add("shop", "webhook", {})
    card = {"name": "Ольга <b>", "responsible": "101", "url": "https://crm.example/c/7"}
    row = {
        "id": new_call_id(),
        "connection_id": shop.id,
        "direction": "incoming",
        "client_number": "+380671234567",
        "started_at": now(),
        "state": "open",
        "source": "event",
        "awaits_start": False,
        "crm_notes": {"card": card},
        "created_at": now(),
        "updated_at": now(),
    }
    with deployment.database.write() as db:
        db.execute(insert(Call).values(row))
    for path in ("/live/rows", f"/calls/{row['id']}"):
        shown = admin.get(path).get_data(as_text=True)
        assert "Ольга &lt;b&gt;" in shown
        assert 'href="https://crm.example/c/7" target="_blank" rel="noopener noreferrer"' in shown


@pytest.mark.parametrize(
    "url", ["http://crm.example.com/", "https://127.0.0.1/", "https://localhost/", "https://[::1]/"]
)
def test_a_local_address_is_refused_when_it_is_set(
    deployment: Deployment, admin: FlaskClient, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = deployment.connections
    monkeypatch.setattr(store, "_allow_local", False)
    with pytest.raises(ValueError, match="webhook_url should be a public https address"):
        store.add("shop", "webhook", {"webhook_url": url})
    with pytest.raises(ValueError, match="onec_url should be"):
        store.add("shop", "onec", {"onec_url": url})
