"""Own CRMs by webhook: what they are told, how often, and what becomes of it when they are slow, down or refuse."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from connector.api.keys import create_api_key
from crm_adapters.webhook.fields import TYPES
from tests.emulators.evrotel import Exchange, Recordings, WebApps
from tests.emulators.evrotel.sounds import wav
from tests.emulators.webhook import OldReceiver, OwnCRM, Script
from tests.emulators.webhook.crm import SECRET
from tests.running import wait_for
from tests.served import TOKEN, ServedHere
from tests.whole.documented import SAMPLES, differences

SITE, MEDIA = "https://shop.example", "20558_greeting.wav"
CLIENT, LINE = "0671234567", "0441112233"
ANSWERED = {"disposition": "ANSWERED", "billsec": "5"}


@pytest.fixture
def crm() -> Iterator[OwnCRM]:
    with OwnCRM() as crm:
        yield crm


@pytest.fixture
def here(tmp_path: Path, crm: OwnCRM) -> Iterator[ServedHere]:
    with ServedHere(tmp_path) as here:
        values = {"evrotel_token": TOKEN, "webhook_url": crm.url, "webhook_secret": SECRET, "extensions": "101=u-7"}
        here.deployment.connections.add("acme", "webhook", values)
        here.work()
        yield here


def play(here: ServedHere, number: str = CLIENT, **end: Any) -> str:
    """A call to the line, from its start to its end; the callid."""
    evrotel = here.transmitter()
    started = evrotel.start(number, LINE)
    assert started.status == 200
    assert evrotel.end(started.callid, **({"disposition": "NO ANSWER", "billsec": "0"} | end)).status == 200
    return started.callid


def as_documented(crm: OwnCRM) -> None:
    assert [found for event in crm.taken if (found := differences(event.type, event.data))] == []


def test_a_call_is_told_from_its_start_to_its_recording(here: ServedHere, crm: OwnCRM) -> None:
    crm.answer = lambda event: {"id": f"crm-{event.data['id'][-4:]}", "name": "Ірина", "responsible": "101"}
    with Recordings() as recordings:
        recordings.add("/wav/1.wav", wav(1.0))
        here.set(evrotel_recordings_url=recordings.url)
        callid = play(here, **ANSWERED, recfile="/wav/1.wav")
        wait_for(lambda: crm.of_type("recording.ready"))
    assert callid.startswith("crm-")
    assert crm.types() == ["call.started", "call.finished", "recording.ready"]
    started, finished, recording = (event.data for event in crm.taken)
    assert started["client_number"] == "+380671234567"
    assert started["line"] == "+380441112233"
    assert {finished["callid"], recording["callid"]} == {callid}
    assert {finished["crm_call_id"], recording["crm_call_id"]} == {callid}
    assert (finished["disposition"], finished["billsec"]) == ("answered", 5)
    assert recording["recording"].startswith(f"{here.url}/recordings/")
    as_documented(crm)


def test_a_missed_call_is_one_missed_call_and_returned_once(here: ServedHere, crm: OwnCRM) -> None:
    missed = play(here)
    wait_for(lambda: crm.of_type("call.missed"))
    evrotel = here.transmitter()
    evrotel.end(evrotel.start("101", CLIENT, "o").callid, "o", **ANSWERED)
    wait_for(lambda: crm.of_type("call.returned"))
    assert [event.data["callid"] for event in crm.of_type("call.missed")] == [missed]
    [returned] = crm.of_type("call.returned")
    assert returned.data["callid"] == missed
    wait_for(lambda: len(crm.of_type("call.finished")) == 2)
    assert returned.data["returned_by"] == crm.of_type("call.finished")[-1].data["id"]
    as_documented(crm)


def test_a_withheld_number_is_told_too(here: ServedHere, crm: OwnCRM) -> None:
    evrotel = here.transmitter()
    evrotel.end(evrotel.start("anonymous", LINE).callid, disposition="NO ANSWER", billsec="0")
    wait_for(lambda: crm.of_type("call.missed"))
    assert {event.data["client_number"] for event in crm.taken} == {None}


def test_what_was_not_taken_comes_again_with_the_same_id_and_in_order(here: ServedHere, crm: OwnCRM) -> None:
    crm.scripts = [Script(500), Script(drop=True, effect=True), Script(302, {"Location": crm.url}), Script(400)]
    play(here)
    wait_for(lambda: len(crm.taken) == 3, 40)
    assert crm.types()[0] == "call.started"
    assert len({event.id for event in crm.requests}) == 3
    assert not crm.refusals


def test_nobody_is_lost_while_the_receiver_is_down(here: ServedHere, crm: OwnCRM) -> None:
    crm.go_down()
    callids = [play(here, f"067123450{number}") for number in range(5)]
    crm.come_up()
    wait_for(lambda: len(crm.taken) == 15, 30)
    for callid in callids:
        told = [event.type for event in crm.taken if event.data["callid"] == callid]
        assert sorted(told) == ["call.finished", "call.missed", "call.started"]
        assert told[0] == "call.started"


def test_retry_after_quiets_the_whole_connection(here: ServedHere, crm: OwnCRM) -> None:
    crm.scripts = [Script(503, {"Retry-After": "2"})]
    play(here)
    asked_at = crm.requests[0].time
    play(here, "0671234568")
    wait_for(lambda: len(crm.taken) == 6, 20)
    assert min(event.time for event in crm.requests[1:]) - asked_at >= 1.9


def test_gone_pauses_and_resume_sends_what_waits(here: ServedHere, crm: OwnCRM) -> None:
    crm.scripts = [Script(410)]
    play(here)
    wait_for(lambda: here.deployment.connections.get("acme").paused, 10)
    assert "410" in str(here.deployment.connections.get("acme").paused_reason)
    play(here, "0671234568")
    time.sleep(0.5)
    assert len(crm.requests) == 1
    here.deployment.connections.resume(here.deployment.connections.get("acme").id)
    wait_for(lambda: len(crm.taken) == 6, 10)


def test_a_slow_receiver_costs_evrotel_no_more_than_its_patience(here: ServedHere, crm: OwnCRM) -> None:
    crm.always = Script(seconds=4.5)
    assert here.transmitter().start(CLIENT, LINE).status == 200
    assert crm.taken == []  # it is thinking still
    wait_for(lambda: crm.of_type("call.started"), 15)
    assert [event.type for event in crm.requests] == ["call.started"]  # not once more while it thinks


def test_both_secrets_sign_while_one_takes_the_others_place(here: ServedHere, crm: OwnCRM) -> None:
    new = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
    here.set(webhook_secret=f"{new} {SECRET}")
    play(here)
    wait_for(lambda: len(crm.taken) == 3)
    crm.secrets = [new]
    play(here, "0671234568")
    wait_for(lambda: len(crm.taken) == 6)
    assert not crm.refusals


def test_old_receivers_get_evrotels_own_requests_and_give_the_callid(here: ServedHere, crm: OwnCRM) -> None:
    with OldReceiver(TOKEN) as old:
        here.set(webhook_forward_url=old.url, webhook_events="call.finished")
        assert play(here, **ANSWERED) == "old-1"
        old.seconds = 3.0
        late = play(here, "0671234568", **ANSWERED)
        assert late != "old-2"
        wait_for(lambda: len(old.ended) + len(old.lost) == 2, 20)
    assert old.ended == ["old-1", "old-2"]
    assert old.received[0].content_type == "application/x-www-form-urlencoded"
    assert old.received[0].fields["numberA"] == CLIENT
    assert set(crm.types()) == {"call.finished"}


def test_each_event_has_a_body_in_the_page() -> None:
    assert set(SAMPLES) == {*TYPES, "ping"}


def test_an_old_receiver_that_is_down_does_not_keep_the_events_back(here: ServedHere, crm: OwnCRM) -> None:
    with OldReceiver(TOKEN) as old:
        here.set(webhook_forward_url=old.url)
        old.statuses = [502, 503]
        for number in range(2):
            play(here, f"067123450{number}", **ANSWERED)
        wait_for(lambda: len(crm.of_type("call.started")) == 2, 10)
        assert here.deployment.connections.get("acme").trouble is None


def test_check_sends_a_ping_and_says_what_came_back(here: ServedHere, crm: OwnCRM) -> None:
    assert next(each for each in here.check() if each.name == "webhook").status == "ok"
    assert crm.types() == ["ping"]
    as_documented(crm)
    crm.always = Script(404)
    assert "404" in next(each for each in here.check() if each.name == "webhook").text


def test_call_backs_and_campaigns_are_told_from_beginning_to_end(
    tmp_path: Path, crm: OwnCRM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.connections.store.FRESH_SECONDS", 0.0)
    with (
        WebApps() as apps,
        ServedHere(tmp_path, evrotel_api_url=apps.url, evrotel_dial_url=apps.dial_url) as here,
    ):
        apps.media[MEDIA] = wav(0.2)
        values = {"evrotel_billcode": "20558", "callback_origins": SITE, "callback_extensions": "101"}
        values |= {"evrotel_token": TOKEN, "webhook_url": crm.url, "webhook_secret": SECRET}
        made = here.deployment.connections.add("acme", "webhook", values)
        here.work()
        apps.exchange = Exchange(transmitter=here.transmitter())
        wish = {"phone": CLIENT, "page": f"{SITE}/sale", "utm": {"utm_source": "ads"}}
        asked = requests.post(f"{here.url}/callback/acme", json=wish, headers={"Origin": SITE}, timeout=10).json()["id"]
        wait_for(lambda: crm.of_type("callback.finished"), 30)
        key = create_api_key(here.deployment.database, made.id)
        campaign = {"mediafile": MEDIA, "numbers": ["0671234568"], "name": "Spring"}
        requests.post(
            f"{here.url}/api/v1/connections/acme/autodial/campaigns",
            json=campaign,
            headers={"Authorization": f"Bearer {key}"},
            timeout=10,
        )
        wait_for(lambda: crm.of_type("autodial.campaign.finished") and crm.of_type("autodial.call.finished"), 30)
    [requested], [finished] = crm.of_type("callback.requested"), crm.of_type("callback.finished")
    assert (requested.data["id"], requested.data["client_number"]) == (asked, "+380671234567")
    assert (requested.id, finished.id) == (f"msg_callback-requested-{asked}", f"msg_callback-finished-{asked}")
    assert (finished.data["outcome"], finished.data["utm"]) == ("connected", {"utm_source": "ads"})
    [call] = crm.of_type("call.finished")
    assert (call.data["kind"], call.data["callback_id"], call.data["id"]) == (
        "callback",
        asked,
        finished.data["call_id"],
    )
    assert finished.data["callid"] == call.data["callid"]
    [played], [ended] = crm.of_type("autodial.call.finished"), crm.of_type("autodial.campaign.finished")
    assert (played.data["campaign"], played.data["kind"]) == ("Spring", "autodial")
    assert (ended.data["status"], ended.data["counts"]["answered"]) == ("finished", 1)
    assert {each.id: 1 for each in crm.requests} == Counter(each.id for each in crm.requests)  # what was taken is done
    as_documented(crm)
