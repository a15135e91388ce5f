"""The widget and its doors: clicks that dial, numbers that are given, calls that are announced; and who is kept out."""

from __future__ import annotations

import time
import zipfile
from io import BytesIO
from typing import Any

import jwt
import pytest
import requests
from playwright.sync_api import Browser

from connector.db import now
from tests.browsers import needs_browser, uncomplaining
from tests.crm_adapters.amocrm.widget_page import WidgetPage
from tests.emulators.amocrm import AmoCRM
from tests.emulators.evrotel import WebApps
from tests.running import wait_for
from tests.whole.amocrm import ANSWERED, CLIENT, Account, local_now

CLAIMS = ("iss", "aud", "jti", "iat", "nbf", "exp", "account_id", "client_uuid")
PHONE = {"phone": "+380987858227", "element": {"id": 1, "type": "contacts"}}


def ask(account: Account, door: str, token: str, body: Any = None, **headers: str) -> requests.Response:
    """What a script in the account's page asks."""
    verb = "GET" if body is None else "POST"
    given = {"X-Auth-Token": token, "Origin": account.amo.url} | headers
    return requests.request(verb, f"{account.url}/amocrm/acme/{door}", json=body, headers=given, timeout=20)


def token_without(amo: AmoCRM, claim: str) -> str:
    missing: dict[str, Any] = {claim: None}
    return amo.disposable_token(8, **missing)


def dialled(apps: WebApps) -> list[list[str]]:
    return [request.content["numberA"] for request in apps.requests if request.path == "/webapp/"]


def test_a_click_dials_once_from_the_users_extension_and_is_logged_for_them(
    account: Account, amo: AmoCRM, evrotel_apps: WebApps
) -> None:
    account.set(extensions="101=8,102=9")
    time.sleep(0.1)
    token = amo.disposable_token(8)
    clicked = ask(account, "click-to-call", token, PHONE)
    assert (clicked.status_code, clicked.json()) == (200, {"status": "dialling"})
    assert clicked.headers["Access-Control-Allow-Origin"] == amo.url
    again = ask(account, "click-to-call", token, PHONE)
    assert (again.status_code, list(again.json())) == (401, ["error"])
    assert dialled(evrotel_apps) == [["101"]]
    start = account.transmitter().start("101", CLIENT, "o", calldate=local_now())
    account.hang_up(start.callid, "o", **ANSWERED)
    [call] = wait_for(lambda: amo.calls)
    assert (call.created_by, call.direction, call.duration) == (8, "outbound", 30)
    without = ask(account, "click-to-call", amo.disposable_token(7), PHONE)
    assert (without.status_code, "внутрішній номер" in without.json()["error"].lower()) == (422, True)
    evrotel_apps.refuse = True
    refused = ask(account, "click-to-call", amo.disposable_token(9), PHONE)
    assert (refused.status_code, refused.json()["error"]) == (422, "Evrotel відмовив.")
    shown = ask(account, "calls", amo.disposable_token(9)).json()["calls"]
    assert [(each["state"], each["text"]) for each in shown] == [("not_dialled", "Evrotel відмовив.")]
    for body in ({}, {"phone": ""}, {"phone": None}, {"phone": "x" * 100}, [1], "text"):
        assert ask(account, "click-to-call", amo.disposable_token(8), body).status_code == 400


def test_a_door_for_scripts_opens_to_a_genuine_token_alone(account: Account, amo: AmoCRM) -> None:
    now = int(time.time())
    with AmoCRM(client_id=amo.client_id, client_secret=amo.client_secret, redirect_uri=amo.redirect_uri) as other:
        foreign = other.disposable_token(8)
    forged = [
        "",
        "no token",
        amo.disposable_token(8, key="another secret"),
        amo.disposable_token(8, algorithm="HS512"),
        amo.disposable_token(8, algorithm="none"),
        amo.disposable_token(8, aud="https://evil.example"),
        amo.disposable_token(8, iss="https://evil.amocrm.ru"),
        amo.disposable_token(8, exp=now - 60),
        amo.disposable_token(8, nbf=now + 600),
        amo.disposable_token(8, account_id=1),
        amo.disposable_token(8, client_uuid="another"),
        foreign,
        *(token_without(amo, claim) for claim in CLAIMS),
    ]
    for token in forged:
        for door, body in (("click-to-call", PHONE), ("settings", {"users": {}}), ("settings", None), ("calls", None)):
            answer = ask(account, door, token, body)
            assert (answer.status_code, list(answer.json())) == (401, ["error"]), (door, token)
    port = amo.redirect_uri.split("/")[2]
    good = [
        amo.disposable_token(8, aud=f"http://{port}"),
        amo.disposable_token(8, exp=now - 10),
        amo.disposable_token(8),
    ]
    for token in good:
        assert ask(account, "calls", token).status_code == 200
        assert jwt.decode(token, options={"verify_signature": False})["user_id"] == 8


@pytest.mark.parametrize("door", ["click-to-call", "settings", "calls"])
def test_only_the_accounts_own_pages_may_read_the_answers(account: Account, amo: AmoCRM, door: str) -> None:
    for origin, trusted in [
        (amo.url, True),
        ("https://evil.example", False),
        (f"{amo.url}.evil", False),
        ("null", False),
    ]:
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        answer = requests.options(f"{account.url}/amocrm/acme/{door}", headers=asked, timeout=5)
        assert (answer.status_code, "Access-Control-Allow-Origin" in answer.headers) == (204, trusted)
        if trusted:
            assert "X-Auth-Token" in answer.headers["Access-Control-Allow-Headers"]
        assert "Origin" in answer.headers["Vary"]


def test_numbers_given_in_the_widget_are_used_at_once(account: Account, amo: AmoCRM) -> None:
    account.set(extensions="")
    given = ask(account, "settings", amo.disposable_token(7), {"users": {"9": "105", "8": " 101 ", "7": ""}})
    assert (given.status_code, given.json()) == (200, {"saved": 2})
    account.play(CLIENT, "105", **ANSWERED)
    [call] = wait_for(lambda: amo.calls)
    assert call.created_by == 9
    state = ask(account, "settings", amo.disposable_token(8)).json()
    assert state == {"connected": True, "text": "З'єднання працює.", "unknown_extensions": []}
    text = '{"8": "105"}'
    assert ask(account, "settings", amo.disposable_token(7, is_admin=None), {"users": text}).status_code == 200
    for token in (amo.disposable_token(8), token_without(amo, "is_admin")):
        refused = ask(account, "settings", token, {"users": {"8": "1"}})
        assert refused.status_code == 403
    mistakes: list[Any] = [{"8": "1", "9": "1"}, {"8": "abc"}, {"x": "1"}, {"8": "123456"}, [], None]
    for wrong in mistakes:
        assert ask(account, "settings", amo.disposable_token(7), {"users": wrong}).status_code == 400
    account.play(CLIENT, "105", **ANSWERED)
    wait_for(lambda: len(amo.calls) == 2)
    assert amo.calls[1].created_by == 8


@needs_browser[0]
@needs_browser[1]
def test_the_widget_in_amocrms_page(account: Account, amo: AmoCRM, browser: Browser, evrotel_apps: WebApps) -> None:
    """The very archive that is uploaded, in a real browser, against the real doors."""
    archive = account.deployment.adapter(account.state()).widget(now())
    settings = {"oauth_client_uuid": amo.client_id}
    shown = WidgetPage(
        archive,
        lambda: amo.disposable_token(8),
        language="uk",
        user={"id": 8, "name": "Олена"},
        settings=settings,
        pace={"seen": 100, "hidden": 100, "most": 500},
    )
    amo.rest.page = shown.answer
    with uncomplaining(browser) as context:
        page = context.new_page()
        page.goto(f"{amo.url}/widget-page")
        page.wait_for_selector("body[data-ready]")
        button = page.get_by_role("button", name="+380501112233")
        button.focus()
        page.keyboard.press("Enter")
        page.wait_for_function("amo.told.length === 1")
        assert dialled(evrotel_apps) == [["101"]]
        callid = account.ring(CLIENT, "101")
        page.wait_for_function("amo.told.some(each => each.params.click_link)")
        told = page.evaluate("amo.told[1].params")
        assert "Olena Client" in told["text"]
        assert told["click_link"] == f"/contacts/detail/{amo.contacts[0].id}"
        account.hang_up(callid)
        page.wait_for_function("amo.told.length === 3")
        assert "ропущен" in page.evaluate("amo.told[2].params.text")
    with zipfile.ZipFile(BytesIO(archive)) as files:
        assert amo.client_secret not in "".join(files.read(name).decode("latin-1") for name in files.namelist())
