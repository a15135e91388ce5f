"""The call-back button in the panel: for administrators and supervisors, of their connection alone."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient

from connector.deployment import Deployment
from connector.models import Role
from tests.connector.panel.rows import add_connection, post, signed_in

ENGLISH = {"Accept-Language": "en"}
SITE = "https://shop.example"


def test_snippet_policy_requests_and_refusals_are_shown(deployment: Deployment, admin: FlaskClient, app: Flask) -> None:
    add_connection(deployment, evrotel_billcode="20558", callback_origins=SITE, callback_consent="I <agree>")
    visitor = app.test_client()
    wish = {"phone": "0671234567", "page": f"{SITE}/<sale>", "title": "<b>Sale", "utm_source": "ads"}
    version = visitor.get("/callback/shop/form", headers={"Origin": SITE}).json["consent"]["version"]  # type: ignore[index]  # it is there
    asked = visitor.post("/callback/shop", json=wish | {"consent": version}, headers={"Origin": SITE})
    assert asked.status_code == 202
    visitor.post("/callback/shop", json=wish, headers={"Origin": "https://evil.example"})
    shown = admin.get("/call-back", headers=ENGLISH, follow_redirects=True).get_data(as_text=True)
    for part in ("/callback/shop.js", "script-src http://127.0.0.1:8000", "+380 67 123 4567", "&lt;b&gt;Sale"):
        assert part in shown
    assert "Another site than those of the list" in shown
    assert "Calling the operator" in shown
    with deployment.database.read() as db:
        call_id = db.exec_driver_sql("SELECT call_id FROM callback_requests").scalar_one()
    call = admin.get(f"/calls/{call_id}", headers=ENGLISH).get_data(as_text=True)
    for part in ("I &lt;agree&gt;", version, "utm_source", f"{SITE}/&lt;sale&gt;"):
        assert part in call


def test_settings_are_checked_at_their_fields(deployment: Deployment, admin: FlaskClient) -> None:
    add_connection(deployment, crm="journal")
    wrong = {"callback_hours": "9-18", "callback_limits": "5", "callback_numbers": "Mars", "callback_countdown": "1"}
    answer = post(admin, "/connections/shop/settings", **wrong)
    assert answer.status_code == 400
    for key in wrong:
        assert f'id="{key}-error"' in answer.get_data(as_text=True)
    post(admin, "/connections/shop/settings", callback_origins="https://Shop.Example:443/, https://магазин.укр")
    kept = deployment.connections.get("shop").get("callback_origins")
    assert kept == "https://shop.example,https://xn--80aairftm.xn--j1amh"  # as browsers send them


def test_supervisors_see_their_connection_s_and_agents_none(deployment: Deployment, app: Flask) -> None:
    shop, _ = add_connection(deployment), add_connection(deployment, "other")
    supervisor = signed_in(app, deployment.database, "Petro", role=Role.SUPERVISOR, connection_id=shop.id)
    assert supervisor.get("/call-back/shop").status_code == 200
    assert supervisor.get("/call-back/other").status_code == 404
    agent = signed_in(app, deployment.database, "Ivan", role=Role.AGENT, connection_id=shop.id, extension="101")
    assert agent.get("/call-back").status_code == 403
    assert agent.get("/call-back/shop").status_code == 403
