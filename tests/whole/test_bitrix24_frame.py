"""The application's pages in the portal's frame: who sees what, and what proves it."""

from __future__ import annotations

import html
import re
import time
from dataclasses import replace
from datetime import timedelta

import pytest
import requests
from sqlalchemy import select

from connector.calls.people import refresh
from connector.frame import passes
from connector.models import Call
from connector.recordings.listening import plays_of
from tests.emulators.bitrix24 import Bitrix24
from tests.emulators.evrotel import Recordings
from tests.running import wait_for
from tests.served import Served


def frame_pass(page: requests.Response) -> str:
    found = re.search(r'name="pass" value="([^"]+)"', page.text)
    assert found, page.text
    return html.unescape(found[1])


def go(served: Served, page: str, token: str, **fields: str) -> requests.Response:
    return requests.post(f"{served.url}/frame/acme/{page}", data={"pass": token} | fields, timeout=30)


def test_the_installation_shows_its_steps_and_finishes_once_and_last(served: Served, portal: Bitrix24) -> None:
    page = served.open()
    assert page.headers["Content-Security-Policy"].endswith(f"frame-ancestors {portal.portal_url}")
    assert "X-Frame-Options" not in page.headers
    assert "Set-Cookie" not in page.headers
    assert page.text.count("state-success") == 6
    assert page.text.count("installed.js") == 1
    assert page.text.index("installed.js") > page.text.rindex("state-success")
    assert 'lang="uk"' in page.text
    assert sorted({bound.event for bound in portal.account.handlers}) == [
        "ONAPPTEST",
        "ONAPPUNINSTALL",
        "ONEXTERNALCALLBACKSTART",
        "ONEXTERNALCALLSTART",
    ]
    assert [place["placement"] for place in portal.account.placements] == ["CALL_CARD"]


def test_an_installation_that_lacks_permissions_does_not_finish(served: Served, portal: Bitrix24) -> None:
    portal.account.handlers.clear()
    with portal.faults.error("ERROR_EVENT_NOT_FOUND", method="event.bind"):
        page = served.open()
    assert page.status_code == 200
    assert "installed.js" not in page.text
    assert "state-danger" in page.text


def test_an_installation_without_a_page_works_too(served: Served, portal: Bitrix24) -> None:
    portal.account.handlers.clear()
    data = {"VERSION": "1", "ACTIVE": "Y", "INSTALLED": "Y", "LANGUAGE_ID": "ua"}
    token = portal.issue_token(1)
    address = f"{served.url}/bitrix24/acme/install"
    status, body = portal.send_event(
        address, "ONAPPINSTALL", data, access_token=token.access, refresh_token=token.refresh, expires_in=3600
    )
    assert (status, body) == (200, b"OK")
    assert len(portal.account.handlers) == 4


def test_employees_see_their_own_calls_and_nothing_to_set(served: Served, portal: Bitrix24) -> None:
    evrotel = served.transmitter()
    for extension, client in (("101", "0501111111"), ("102", "0502222222")):
        start = evrotel.start(client, extension)
        evrotel.end(start.callid, billsec="3", recfile="NULL")
    wait_for(lambda: len(portal.finished_calls()) == 2)
    page = served.open("app", user_id=2)
    assert "+380 50 111 1111" in page.text
    assert "+380 50 222 2222" not in page.text
    token = frame_pass(page)
    assert go(served, "settings", token).status_code == 403
    assert go(served, "check", token).status_code == 403
    everything = served.open("app")
    assert "+380 50 222 2222" in everything.text
    assert "installed.js" not in everything.text


@pytest.mark.parametrize("token", ["", "forged", "eyJhIjoxfQ.aaaa.bbbb"])
def test_a_page_without_a_good_pass_is_refused(served: Served, token: str) -> None:
    assert {go(served, page, token).status_code for page in ("calls", "settings", "check")} == {401}


def test_an_administrator_sets_rules_and_sees_inner_numbers(served: Served, portal: Bitrix24) -> None:
    portal.add_user(7, name="Doubled", inner_phone="101")
    portal.add_user(8, name="Silent")
    token = frame_pass(served.open("app", LANG="en"))
    go(served, "check", token, repair="1")
    page = go(served, "settings", token)
    assert "Silent" in page.text
    assert "Several employees have this number" in page.text
    kept = {"create_customers": "none", "language": "en", "routing": "all", "missed_call_task": "20", "save": "1"}
    saved = go(served, "settings", frame_pass(page), default_user="2", **kept)
    assert "The settings are saved." in saved.text
    connection = served.deployment.connections.get("acme")
    assert (connection.get("default_user"), connection.get("routing")) == ("2", "all")
    assert connection.get("evrotel_token")
    wrong = go(served, "settings", token, **kept | {"missed_call_task": "soon"})
    assert wrong.status_code == 400
    assert "minutes from 0 to 10080" in wrong.text


def test_the_checklist_of_a_good_connection_is_green(served: Served, portal: Bitrix24) -> None:
    portal.account.default_line = "REST_APP:3"
    start = served.transmitter().start("0501111111", "101")
    assert start.status == 200
    found = {finding.name: (str(finding.status), finding.text) for finding in served.check()}
    assert {name: status for name, (status, _) in found.items() if status != "ok"} == {}
    assert found.keys() >= {
        "installed",
        "signed-in",
        "scopes",
        "events",
        "round-trip",
        "lines",
        "outgoing-line",
        "users",
    }


def test_the_call_card_has_the_clients_earlier_calls(served: Served, portal: Bitrix24) -> None:
    start = served.transmitter().start("0501111111", "101")
    assert start.status == 200
    options = '{"CALL_ID": "x", "PHONE_NUMBER": "+380501111111"}'
    for user_id, sees in ((1, True), (2, True), (3, False)):  # the second is the one who was called
        page = served.open("app", user_id=user_id, PLACEMENT="CALL_CARD", PLACEMENT_OPTIONS=options)
        assert ("+380 50 111 1111" in page.text) is sees
    options = '{"PHONE_NUMBER": "+380509999999"}'
    other = served.open("app", user_id=2, PLACEMENT="CALL_CARD", PLACEMENT_OPTIONS=options)
    assert "+380 50 111 1111" not in other.text


@pytest.mark.parametrize("number", ['"anonymous"', '""', "null", '"a\\ud800"', '"a\\u0000"'])
def test_the_card_of_a_hidden_number_shows_nobodys_calls(served: Served, portal: Bitrix24, number: str) -> None:
    assert served.transmitter().start("0501111111", "101").status == 200
    page = served.open("app", PLACEMENT="CALL_CARD", PLACEMENT_OPTIONS=f'{{"PHONE_NUMBER": {number}}}')
    assert page.status_code == 200
    assert "+380 50 111 1111" not in page.text


def test_another_portals_users_see_nothing(served: Served, portal: Bitrix24) -> None:
    """Even where it has an application with the same ID and key."""
    assert served.transmitter().start("0501111111", "101").status == 200
    with Bitrix24(client_id=portal.client_id, client_secret=portal.client_secret) as other:
        served.deployment.settings = replace(served.deployment.settings, bitrix24_oauth_url=other.oauth_url)
        served.set(default_user="2")  # has the adapter made anew
        time.sleep(1.1)
        for user_id, more in ((1, {}), (2, {}), (1, {"PLACEMENT": "CALL_CARD", "PLACEMENT_OPTIONS": "{}"})):
            query, form = other.install_form(user_id, **more)
            page = requests.post(f"{served.url}/bitrix24/acme/app", params=query, data=form, timeout=30)
            assert page.status_code == 403
            assert "+380 50 111 1111" not in page.text


def test_a_pass_ends_however_busy_the_page_and_when_its_user_is_dismissed(
    served: Served, portal: Bitrix24, monkeypatch: pytest.MonkeyPatch
) -> None:
    portal.add_user(7, name="Boss", admin=True)
    acme = served.deployment.connections.get("acme")
    refresh(served.deployment, acme, timedelta(0), 5)
    token = frame_pass(served.open("app", 7))
    token = frame_pass(go(served, "settings", token))
    served.open("app")  # another administrator's sign-in is the connection's now
    portal.dismiss(7)
    refresh(served.deployment, acme, timedelta(0), 5)
    assert go(served, "settings", token).status_code == 401
    token = frame_pass(served.open("app"))
    assert go(served, "settings", token).status_code == 200
    monkeypatch.setattr(passes, "LASTS_IN_ALL_SECONDS", 0)
    assert go(served, "settings", token).status_code == 401


def test_setting_up_at_a_new_address_is_repeated_until_it_is_done(served: Served, portal: Bitrix24) -> None:
    served.deployment.settings = replace(served.deployment.settings, public_url=f"http://127.0.0.2:{served.port}")
    served.set(default_user="2")
    time.sleep(1.1)
    former = {bound.handler for bound in portal.account.handlers}
    with portal.faults.error("ERROR_CORE", 400, "no", method="event.bind"):
        assert "state-danger" in served.open("app").text
    assert {bound.handler for bound in portal.account.handlers} == former
    assert "state-danger" not in served.open("app").text
    assert {bound.handler for bound in portal.account.handlers} == {
        f"http://127.0.0.2:{served.port}/bitrix24/acme/events"
    }
    assert "aria-current" in served.open("app").text  # the calls: there is nothing more to set up


def test_employees_hear_their_recordings_and_are_written_down(
    served: Served, portal: Bitrix24, recordings: Recordings
) -> None:
    content = recordings.add("/wav/1.wav")
    evrotel = served.transmitter()
    start = evrotel.start("0501111111", "101")
    evrotel.end(start.callid, billsec="3", recfile="/wav/1.wav")
    wait_for(lambda: any(call.records_attached for call in portal.finished_calls()))
    page = served.open("app", user_id=2)
    [address] = re.findall(r'<audio[^>]* src="(/listen/[^"]+)"', page.text)
    answer = requests.get(served.url + address, headers={"Range": "bytes=0-99"}, timeout=30)
    assert (answer.status_code, answer.content) == (206, content[:100])
    [call] = _calls(served)
    [play] = plays_of(served.deployment.database, call)
    user = portal.account.users[2]
    assert play.way == "frame"
    assert {user.name, user.last_name} <= set(play.listener.split())
    token = address.removeprefix("/listen/").removesuffix(".wav")
    assert requests.get(f"{served.url}/listen/x{token}.wav", timeout=30).status_code == 404

    served.set(recordings_for="admin")
    assert "<audio" not in served.open("app", user_id=2).text
    assert "<audio" in served.open("app", user_id=1).text


def _calls(served: Served) -> list[str]:
    with served.deployment.database.read() as db:
        return list(db.execute(select(Call.id)).scalars())
