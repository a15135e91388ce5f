"""A visitor asks for a call: who may, what is dialled, what they are told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import requests
from sqlalchemy import select

from connector.callback.counting import open_counting
from connector.callback.refusals import refusals_of
from connector.models import CallbackRequest, ConsentText
from tests.connector.callback.conftest import SITE, Button
from tests.running import free_port, wait_for

PHONE = "067 123-45-67"


def rows(button: Button) -> list[Any]:
    with button.deployment.database.read() as db:
        return list(db.execute(select(*CallbackRequest.__table__.columns).order_by(CallbackRequest.created_at)))


def refused(button: Button) -> dict[str, int]:
    return dict(refusals_of(button.deployment.database, button.deployment.connections.get("acme").id))


def test_a_request_is_dialled_once_and_its_states_are_true(button: Button) -> None:
    button.apps.exchange.ring_seconds = 0.6  # type: ignore[union-attr]  # the fixture gives one
    answer = button.ask(PHONE)
    assert answer.status_code == 202
    assert answer.json().items() >= {"state": "calling", "eta": 28}.items()
    assert answer.headers["Access-Control-Allow-Origin"] == SITE
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert answer.headers["Vary"] == "Origin"
    assert "Set-Cookie" not in answer.headers
    request_id = answer.json()["id"]
    assert button.state(request_id)["state"] == "calling_operator"
    button.work()
    wait_for(lambda: button.state(request_id)["state"] == "calling_client")
    wait_for(lambda: button.state(request_id)["state"] == "connected")
    assert button.dialled() == [
        {"billcode": "20558", "numberA": ["101", "102"], "numberB": "380671234567", "routing": "rand"}
    ]


def test_what_comes_to_nothing_is_said(button: Button) -> None:
    button.apps.exchange.outcomes["380671234567"] = ("NO ANSWER", 0)  # type: ignore[union-attr]  # as above
    unreached = button.ask(PHONE).json()["id"]
    button.work()
    wait_for(lambda: button.state(unreached)["state"] == "no_client")
    button.apps.refuse = True
    failed = button.ask("0671230001").json()["id"]
    wait_for(lambda: button.state(failed)["state"] == "failed")


def test_other_sites_have_nothing(button: Button) -> None:
    for origin in (None, "null", "https://evil.example", "http://shop.example", f"{SITE}.evil.example", f"{SITE}:8443"):
        answer = button.ask(PHONE, origin)
        assert (answer.status_code, answer.json()["error"]) == (403, "origin")
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert button.get("acme/form", origin).status_code == 403
        preflight = requests.options(f"{button.url}/callback/acme", headers={"Origin": origin or ""}, timeout=10)
        assert "Access-Control-Allow-Origin" not in preflight.headers
    assert rows(button) == []
    assert refused(button) == {"origin": 12}


def test_a_list_without_sites_allows_none(button: Button) -> None:
    button.set(callback_origins="")
    assert button.ask(PHONE).status_code == 403
    assert button.ask(PHONE, button.url).status_code == 403  # the connector's own pages neither


def test_a_preflight_and_an_unknown_connection(button: Button) -> None:
    headers = {
        "Origin": SITE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    answer = requests.options(f"{button.url}/callback/acme", headers=headers, timeout=10)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (204, SITE)
    assert "Content-Type" in answer.headers["Access-Control-Allow-Headers"]
    for path in ("nobody.js", "nobody/form", "nobody/form.js", "nobody/requests/1", "acme/requests/install"):
        assert button.get(path).status_code == 404
    assert requests.post(f"{button.url}/callback/nobody", timeout=10).status_code == 404


def test_numbers_that_may_not_be_called(button: Button) -> None:
    for phone, error in ((None, "phone_invalid"), ("abc", "phone_invalid"), ("12", "phone_not_allowed")):
        answer = button.ask(phone, headers={"Accept-Language": "uk"})
        assert (answer.status_code, answer.json()["error"]) == (422, error)
        assert any("а" <= letter <= "я" for letter in answer.json()["message"])
    assert button.ask("+19005551234").json()["error"] == "phone_not_allowed"
    button.set(line_users="+380443334455=7")
    assert button.ask("044 333 44 55").json()["error"] == "phone_not_allowed"  # a line of ours
    assert rows(button) == []


def test_a_form_s_body_does_as_well_and_nonsense_does_not(button: Button) -> None:
    post: Any = {"headers": {"Origin": SITE}, "timeout": 10}
    assert requests.post(f"{button.url}/callback/acme", data={"phone": PHONE}, **post).status_code == 202
    for body in (b"", b"[]", b"\xff", b"[" * 5000, b'{"phone": '):
        answer = requests.post(f"{button.url}/callback/acme", data=body, **post)
        assert (answer.status_code, answer.json()["error"]) == (400, "body")
    assert requests.post(f"{button.url}/callback/acme", data=b"x" * 70000, **post).status_code == 413


def test_a_form_token_is_good_for_its_site_and_one_number(button: Button, monkeypatch: pytest.MonkeyPatch) -> None:
    token = button.token()
    first, again = button.ask(PHONE, token=token), button.ask("+380671234567", token=token)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]  # the answer was lost on its way: the form sends it again
    assert button.ask("0671234568", token=token).json()["error"] == "token_used"
    assert button.ask("0671234568", token=token[:-2]).json()["error"] == "token"
    button.set(callback_origins=f"{SITE},https://other.example")
    elsewhere = button.ask("0671234568", "https://other.example", token=button.token())
    assert (elsewhere.status_code, elsewhere.json()["error"]) == (422, "token")
    assert elsewhere.json()["form"].endswith("/callback/acme/form")
    monkeypatch.setattr("connector.callback.tokens.TOKEN_SECONDS", -1)
    assert button.ask("0671234568", token=button.token()).json()["error"] == "token_expired"
    assert len(rows(button)) == 1


def test_a_trap_catches_programs(button: Button) -> None:
    assert button.ask(PHONE, website="https://spam.example").json()["error"] == "bot"
    assert refused(button) == {"bot": 1}


def test_limits_answer_429_and_when_to_come_again(button: Button) -> None:
    button.set(callback_limits="address=2/1h; site=100/1h; ceiling=100/1h; tokenless=3/1h")
    proxied = [{"X-Forwarded-For": f"198.51.100.{place}, 203.0.113.{place}"} for place in range(5)]
    assert button.ask(PHONE, headers=proxied[0]).status_code == 202
    same = button.ask("380671234567", headers=proxied[1])
    assert (same.status_code, same.json()["limit"], 0 < int(same.headers["Retry-After"]) <= 300) == (
        429,
        "number",
        True,
    )
    assert button.ask("0671230001", headers=proxied[0]).status_code == 202
    # Whatever a visitor writes into the header, the last address is the proxy's word.
    forged = button.ask("0671230002", headers={"X-Forwarded-For": "198.51.100.77, 203.0.113.0"})
    assert (forged.status_code, forged.json()["limit"]) == (429, "address")
    assert button.ask("0671230003", headers=proxied[2]).status_code == 202
    bare = button.ask("0671230004", headers=proxied[3])
    assert (bare.status_code, bare.json()["limit"]) == (429, "tokenless")
    assert button.ask("0671230004", token=button.token(), headers=proxied[3]).status_code == 202
    assert refused(button) == {"number": 1, "address": 1, "tokenless": 1}


def test_the_ceiling_stops_the_button_and_is_shown(button: Button, caplog: pytest.LogCaptureFixture) -> None:
    button.set(callback_limits="ceiling=1/1h")
    assert button.ask(PHONE).status_code == 202
    assert "takes nothing for" in caplog.text
    stopped = button.ask("0671230001")
    assert (stopped.status_code, stopped.json()["error"]) == (503, "paused")
    assert int(stopped.headers["Retry-After"]) > 3000
    [finding] = [each for each in button.check() if each.name == "callback"]
    assert finding.status == "error"
    metrics = requests.get(f"{button.url}/metrics", timeout=10).text
    assert 'connector_callback_refused_total{connection="acme",reason="ceiling"} 1.0' in metrics


def test_where_limits_can_not_be_counted_nothing_is_dialled(button: Button) -> None:
    here = button.deployment
    gone = replace(here.settings, redis_url=f"redis://127.0.0.1:{free_port()}")
    here.counting = open_counting(gone, here.database)
    answer = button.ask(PHONE)
    assert (answer.status_code, answer.json()["error"], rows(button)) == (503, "unavailable", [])
    assert [each.status for each in button.check() if each.name == "callback"] == ["error"]


def test_consent_is_asked_for_and_its_text_kept(button: Button) -> None:
    button.set(callback_consent="Погоджуюсь", callback_consent_url="https://shop.example/policy")
    assert button.ask(PHONE).json()["error"] == "consent_required"
    consent = button.get("acme/form").json()["consent"]
    assert button.ask(PHONE, consent="0" * 16).json()["error"] == "consent_required"
    assert button.ask(PHONE, consent=consent["version"]).status_code == 202
    button.set(callback_consent="Згоден")
    [row] = rows(button)
    with button.deployment.database.read() as db:
        kept = db.execute(select(ConsentText.text).where(ConsentText.version == row.consent_version)).scalar_one()
    assert kept == "Погоджуюсь https://shop.example/policy"


def test_where_the_visitor_was_is_kept_and_only_addresses_are_links(button: Button) -> None:
    page = f"{SITE}/sale?utm_source=ads&utm_medium=cpc&x=1"
    button.ask(
        PHONE,
        page=page,
        title="Sale\n\0 now",
        referrer="javascript:alert(1)",
        utm={"utm_campaign": "autumn"},
        lang="ru",
    )
    [row] = rows(button)
    assert (row.page, row.title, row.referrer, row.language) == (page, "Sale now", "", "ru")
    assert row.utm == {"utm_source": "ads", "utm_medium": "cpc", "utm_campaign": "autumn"}
    assert (row.origin, row.network, row.number) == (SITE, "127.0.0.1", "+380671234567")


def test_without_a_billcode_it_says_so(button: Button) -> None:
    button.set(evrotel_billcode="")
    assert (button.ask(PHONE).status_code, refused(button)) == (503, {"unavailable": 1})


def test_the_scripts_are_small_compressed_and_fresh(button: Button) -> None:
    packed: Any = {"headers": {"Accept-Encoding": "gzip"}, "timeout": 10, "stream": True}
    loader = requests.get(f"{button.url}/callback/acme.js", **packed)
    name = button.get("acme.js").text.partition('"form":"')[2].partition('"')[0]
    form = requests.get(f"{button.url}/callback/acme/{name}", **packed)
    sizes = {"loader": len(loader.raw.read()), "form": len(form.raw.read())}
    assert sizes["loader"] <= 5 * 1024, sizes
    assert sizes["form"] <= 10 * 1024, sizes
    assert (loader.headers["Content-Encoding"], loader.headers["Cache-Control"]) == ("gzip", "public, max-age=60")
    assert "immutable" in form.headers["Cache-Control"]
    etag = {"If-None-Match": loader.headers["ETag"], "Accept-Encoding": "gzip"}
    assert requests.get(f"{button.url}/callback/acme.js", headers=etag, timeout=10).status_code == 304
    plain = requests.get(f"{button.url}/callback/acme.js", headers={"Accept-Encoding": ""}, timeout=10).text
    assert "G7bng65jYk8GF294" not in plain
    assert "20558" not in plain
    button.set(callback_origins="https://new.example")
    assert requests.get(f"{button.url}/callback/acme.js", headers=etag, timeout=10).status_code == 200
