"""Requests to dial that go wrong, come late, or meet other calls to the same client."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

import tests.emulators.evrotel
from connector.calls.people import refresh
from connector.click_to_call import dialling
from connector.click_to_call.dial_requests import DialRequest, ask_to_dial
from connector.db import now
from connector.delivery import worker
from connector.models import Call, Delivery, Dial, DialOrigin
from tests.conftest import MakeDeployment
from tests.emulators.bitrix24 import Bitrix24
from tests.emulators.evrotel import WebApps
from tests.emulators.http import Response
from tests.running import wait_for
from tests.served import Served
from tests.whole.test_click_to_call import NUMBER, dialled, local_now, notices

CLIENT, LINE = "0987858227", "0443334455"


def dials(served: Served) -> list[Any]:
    with served.deployment.database.read() as db:
        return list(db.execute(select(*Dial.__table__.columns).order_by(Dial.created_at)).all())


def age(served: Served, **by: float) -> None:
    """Makes all that was asked for older."""
    at = now() - timedelta(**by)
    with served.deployment.database.write() as db:
        db.execute(update(Dial).values(created_at=at))
        db.execute(update(Call).values(created_at=at))


def played(apps: WebApps) -> list[Any]:
    return [each for each in apps.requests if "call_worker" in each.path]


def play_message(portal: Bitrix24, apps: WebApps, *answers: str) -> None:
    apps.media["20558_hello.wav"] = b"RIFF"
    apps.dial_answers["380987858227"] = list(answers)
    portal.run_robot("evrotel_play", "token-play", phone=NUMBER, mediafile="20558_hello.wav")
    wait_for(lambda: played(apps))


def test_wishes_to_be_called_back_at_the_same_moment_are_one(make_deployment: MakeDeployment) -> None:
    """On PostgreSQL as well, where two transactions do not see each other."""
    one, two = make_deployment(), make_deployment()
    connection = one.connections.add("acme", "bitrix24", {})
    for number in range(8):
        barrier = threading.Barrier(2)

        def ask(name: str, number: int = number, barrier: threading.Barrier = barrier) -> str | None:
            wanted = DialRequest(key=name, origin=DialOrigin.CALLBACK, number=f"+38098785820{number}")
            barrier.wait()
            return ask_to_dial((one if name.startswith("a") else two).database, connection, wanted)

        with ThreadPoolExecutor(2) as pool:
            kept = list(pool.map(ask, (f"a{number}", f"b{number}")))
        assert sum(call is not None for call in kept) == 1


def test_a_call_back_whose_first_try_met_nobody_rings_where_it_should(
    served: Served, portal: Bitrix24, evrotel_apps: WebApps
) -> None:
    portal.add_user(9, name="New", inner_phone=None)
    portal.add_contact("X", "+380501112233", assigned_by_id=9)
    served.set(callback_extensions="101")
    time.sleep(1.1)
    evrotel_apps.go_down()
    portal.ask_for_callback("+380501112233")
    wait_for(lambda: any(dial.answer for dial in dials(served)))
    evrotel_apps.come_up()
    wait_for(lambda: dialled(evrotel_apps))
    assert dialled(evrotel_apps)[0]["numberA"] == ["101"]


def test_clicks_get_in_while_pages_wait_for_the_portal(served: Served, portal: Bitrix24, evrotel_apps: WebApps) -> None:
    with portal.oauth_faults.slow(2) as fault, ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(served.open, "app", 3)
        wait_for(lambda: fault.hits >= 4)
        portal.click_to_call(2, NUMBER)
        wait_for(lambda: dialled(evrotel_apps), 1.5)


def test_an_answer_of_a_proxy_says_nothing_of_the_call(
    served: Served, portal: Bitrix24, evrotel_apps: WebApps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tests.emulators.evrotel.web_apps, "_text", lambda _: Response(b"<html>504</html>", 504))
    call = portal.click_to_call(2, NUMBER)
    wait_for(lambda: [dial for dial in dials(served) if dial.answer])
    evrotel = served.transmitter()
    start = evrotel.start("101", CLIENT, "o", calldate=local_now())
    evrotel.end(start.callid, "o", billsec="42", recfile="NULL", calldate=None)
    wait_for(lambda: call.finished)
    assert (portal.calls, call.duration, notices(portal, 2)) == ([call], 42, [])


def test_evrotel_is_asked_with_its_token_whatever_the_environment_says(
    served: Served, portal: Bitrix24, evrotel_apps: WebApps, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("default login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    portal.click_to_call(2, NUMBER)
    wait_for(lambda: evrotel_apps.requests)
    assert evrotel_apps.requests[0].authorization == evrotel_apps.token


def test_other_calls_to_the_same_client_are_not_taken_for_the_one_that_was_asked_for(
    served: Served, portal: Bitrix24, evrotel_apps: WebApps
) -> None:
    served.set(callback_extensions="101,102")
    time.sleep(1.1)
    portal.ask_for_callback("+380501112233")
    wait_for(lambda: dialled(evrotel_apps))
    evrotel = served.transmitter()
    by_hand = evrotel.start("100", "0501112233", "o", calldate=local_now())
    back = evrotel.start("101", "0501112233", "o", calldate=local_now())
    assert [portal.account.calls[start.callid].type for start in (by_hand, back)] == [1, 4]
    # An end without a callid is rather that of a call which has begun than of one that was only asked for.
    going = evrotel.start(LINE, CLIENT, "o", calldate=local_now())
    call = portal.click_to_call(2, NUMBER)
    wait_for(lambda: len(dialled(evrotel_apps)) == 2)
    evrotel.end(None, "o", numberA=LINE, numberB=CLIENT, billsec="1", recfile="NULL", calldate=None)
    wait_for(lambda: portal.account.calls[going.callid].finished)
    assert not call.finished


def test_with_a_shared_inner_number_the_call_is_whose_click_it_was(
    served: Served, portal: Bitrix24, evrotel_apps: WebApps
) -> None:
    portal.add_user(9, name="Second", inner_phone="101")
    refresh(served.deployment, served.deployment.connections.get("acme"), timedelta(0), 5)
    call = portal.click_to_call(9, NUMBER)
    wait_for(lambda: dialled(evrotel_apps))
    evrotel = served.transmitter()
    start = evrotel.start("101", CLIENT, "o", calldate=local_now())
    evrotel.end(start.callid, "o", billsec="42", recfile="NULL", calldate=None)
    wait_for(lambda: call.finished)
    assert call.finished_by == 9


def test_a_number_with_a_remark_is_dialled_and_known_again(
    served: Served, portal: Bitrix24, evrotel_apps: WebApps
) -> None:
    portal.run_robot("evrotel_call", "token-9", phone="+380 98 785 82 27 (мобільний)", user="user_2")
    wait_for(lambda: dialled(evrotel_apps))
    assert dialled(evrotel_apps)[0]["numberB"] == "380987858227"
    assert served.transmitter().start("101", CLIENT, "o", calldate=local_now()).status == 200
    with served.deployment.database.read() as db:
        assert db.execute(select(Call.client_number)).scalars().all() == [NUMBER]


def test_a_text_without_a_number_is_not_dialled_and_the_workflow_goes_on(
    served: Served, portal: Bitrix24, evrotel_apps: WebApps
) -> None:
    portal.run_robot("evrotel_call", "token-9", phone="немає", user="user_2")
    wait_for(lambda: portal.account.workflow_answers)
    assert portal.account.workflow_answers[0]["RETURN_VALUES"]["result"] == "failed"
    assert (dialled(evrotel_apps), portal.calls) == ([], [])


def test_a_message_that_plays_late_is_one_call(
    served: Served, portal: Bitrix24, evrotel_apps: WebApps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialling, "TOO_SOON_WAIT", timedelta(seconds=1))
    play_message(portal, evrotel_apps, "TimeLimit 60 sec !", "good")
    age(served, seconds=125)
    wait_for(lambda: len(played(evrotel_apps)) == 2)
    wait_for(lambda: dials(served)[0].state == "accepted")
    evrotel = served.transmitter()
    by_hand = evrotel.start("101", CLIENT, "o", calldate=local_now())
    start = evrotel.start("001", CLIENT, "o", calldate=local_now())
    evrotel.end(start.callid, "o", billsec="7", disposition="ANSWERED", recfile="NULL")
    wait_for(lambda: portal.account.workflow_answers)
    [answer] = portal.account.workflow_answers
    assert answer["RETURN_VALUES"]["seconds"] in {7, "7"}
    assert {call.call_id: call.type for call in portal.calls} == {by_hand.callid: 1, start.callid: 5}


def test_a_message_that_can_not_be_played_is_given_up(
    served: Served, portal: Bitrix24, evrotel_apps: WebApps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialling, "PLAY_AGAIN", timedelta(seconds=0.2))
    evrotel_apps.go_down()
    portal.run_robot("evrotel_play", "token-3", phone=NUMBER, mediafile="20558_hello.wav")
    wait_for(lambda: any(dial.answer for dial in dials(served)))
    age(served, minutes=11)
    wait_for(lambda: portal.account.workflow_answers)
    assert [dial.state for dial in dials(served)] == ["failed"]


def test_messages_being_played_hold_up_no_click(
    tmp_path: Path, portal: Bitrix24, evrotel_apps: WebApps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "PLAYS_AT_ONCE", 2)
    urls = {"evrotel_api_url": evrotel_apps.url, "evrotel_dial_url": evrotel_apps.dial_url}
    with Served(tmp_path, portal, **urls) as served:
        served.connect()
        served.install()
        served.work()
        evrotel_apps.answer_seconds = 3
        for number in range(4):
            portal.run_robot("evrotel_play", f"t-{number}", phone=f"+38098785820{number}", mediafile="20558_hello.wav")
        wait_for(lambda: len(evrotel_apps.requests) == 2)
        portal.click_to_call(2, NUMBER)
        wait_for(lambda: dialled(evrotel_apps), 2)
        assert len(played(evrotel_apps)) == 2


def test_an_employee_reads_why_though_the_portal_will_not_finish_the_call(
    served: Served, portal: Bitrix24, evrotel_apps: WebApps
) -> None:
    evrotel_apps.refuse = True
    with portal.faults.error("", 400, "User is not found or is not active", method="telephony.externalCall.finish"):
        portal.click_to_call(2, NUMBER)
        wait_for(lambda: notices(portal, 2))

    def states() -> dict[str, str]:
        with served.deployment.database.read() as db:
            return {row.kind: row.state for row in db.execute(select(Delivery.kind, Delivery.state))}

    wait_for(lambda: states() == {"finish": "dead", "notice": "done"})
