"""A number clicked in the CRM, a call-back form, a robot: one request to Evrotel, one call in the portal."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import update

from connector.db import now
from connector.models import Dial
from tests.emulators.bitrix24 import Bitrix24
from tests.emulators.bitrix24.state import Call
from tests.emulators.evrotel import WebApps
from tests.running import wait_for
from tests.served import Served

NUMBER = "+380987858227"


def local_now() -> str:
    return datetime.now(ZoneInfo("Europe/Kyiv")).strftime("%Y-%m-%d %H:%M:%S")


def dialled(apps: WebApps) -> list[Any]:
    return [each.content for each in apps.requests if each.path == "/webapp/"]


def two_minutes_pass(served: Served) -> None:
    with served.deployment.database.write() as db:
        db.execute(update(Dial).values(expires_at=now() - timedelta(seconds=1)))


def notices(portal: Bitrix24, user_id: int) -> list[str]:
    return [notice.message for notice in portal.account.notices if notice.user_id == user_id]


@pytest.mark.parametrize("client", ["0987858227", "380987858227"])
def test_a_click_is_one_call(served: Served, portal: Bitrix24, evrotel_apps: WebApps, client: str) -> None:
    call = portal.click_to_call(2, NUMBER, times=3, CALL_LIST_ID="7", IS_MOBILE="1")
    wait_for(lambda: dialled(evrotel_apps))
    evrotel = served.transmitter()
    start = evrotel.start("101", client, "o", calldate=local_now())
    assert start.callid == call.call_id
    evrotel.end(start.callid, "o", billsec="42", disposition="ANSWERED", recfile="NULL")
    wait_for(lambda: call.finished)
    assert dialled(evrotel_apps) == [
        {"billcode": "20558", "numberA": ["101"], "numberB": "380987858227", "routing": "rand"}
    ]
    assert evrotel_apps.requests[0].authorization == evrotel_apps.token
    assert (call.duration, call.status_code, call.finished_by, call.finishes_accepted) == (42, "200", 2, 1)
    assert portal.calls == [call]
    assert portal.invocation_count("telephony.externalCall.register") == 0


def test_clicks_at_the_same_time_dial_once_each(served: Served, portal: Bitrix24, evrotel_apps: WebApps) -> None:
    def fire(data: dict[str, str]) -> None:
        portal.send_event(f"{served.url}/bitrix24/acme/events", "ONEXTERNALCALLSTART", data)

    calls = [portal.click_to_call(user, NUMBER, times=0) for user in (2, 3)]
    same = [
        {"PHONE_NUMBER": NUMBER, "USER_ID": str(call.user_id), "CALL_ID": call.call_id, "CALL_LIST_ID": "0"}
        for call in calls
        for _ in range(4)
    ]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fire, same))
    wait_for(lambda: len(dialled(evrotel_apps)) == 2)
    time.sleep(0.5)
    assert sorted(each["numberA"] for each in dialled(evrotel_apps)) == [["101"], ["102"]]
    evrotel = served.transmitter()
    # Both dial the same client: the extension tells whose call it is.
    assert evrotel.start("102", "0987858227", "o", calldate=local_now()).callid == calls[1].call_id
    assert evrotel.start("101", "0987858227", "o", calldate=local_now()).callid == calls[0].call_id


def failed_with(served: Served, portal: Bitrix24, call: Call, user_id: int = 2) -> str:
    wait_for(lambda: call.finished and notices(portal, user_id))
    assert (call.duration, call.status_code, call.finished_by) == (0, "OTHER", user_id)
    [notice] = notices(portal, user_id)
    assert call.failed_reason is not None
    assert call.failed_reason in notice
    assert portal.calls == [call]
    return notice


def test_evrotel_refusing_ends_the_call_and_tells_the_employee(
    served: Served, portal: Bitrix24, evrotel_apps: WebApps
) -> None:
    evrotel_apps.refuse = True
    notice = failed_with(served, portal, portal.click_to_call(2, NUMBER, times=2))
    assert "+380 98 785 8227" in notice
    assert len(dialled(evrotel_apps)) == 1


def test_an_employee_without_an_extension_is_told_so(served: Served, portal: Bitrix24, evrotel_apps: WebApps) -> None:
    portal.add_user(9, name="New", inner_phone=None)
    failed_with(served, portal, portal.click_to_call(9, NUMBER), 9)
    assert dialled(evrotel_apps) == []


def test_a_call_that_does_not_begin_is_given_up_after_two_minutes(
    served: Served, portal: Bitrix24, evrotel_apps: WebApps
) -> None:
    call = portal.click_to_call(2, NUMBER)
    wait_for(lambda: dialled(evrotel_apps))
    time.sleep(0.3)
    assert not call.finished
    two_minutes_pass(served)
    failed_with(served, portal, call)
    # What begins now is another call.
    late = served.transmitter().start("101", "0987858227", "o", calldate=local_now())
    assert late.callid != call.call_id


def test_evrotel_away_for_a_moment_is_asked_again_and_away_for_long_is_said(
    served: Served, portal: Bitrix24, evrotel_apps: WebApps
) -> None:
    evrotel_apps.go_down()
    portal.click_to_call(2, NUMBER)
    time.sleep(0.7)
    evrotel_apps.come_up()
    wait_for(lambda: dialled(evrotel_apps))
    assert notices(portal, 2) == []


def test_the_end_comes_home_though_the_start_was_lost(served: Served, portal: Bitrix24, evrotel_apps: WebApps) -> None:
    call = portal.click_to_call(2, NUMBER)
    wait_for(lambda: dialled(evrotel_apps))
    served.transmitter().end(
        None, "o", numberA="101", numberB="0987858227", billsec="5", disposition="ANSWERED", calldate=local_now()
    )
    wait_for(lambda: call.finished)
    assert (call.duration, portal.calls) == (5, [call])


def test_a_call_back_is_registered_and_rings_at_the_responsible(
    served: Served, portal: Bitrix24, evrotel_apps: WebApps
) -> None:
    [contact] = portal.account.entities
    assert portal.ask_for_callback(NUMBER, "+380441112233", contact) == [200]
    portal.ask_for_callback(NUMBER, "+380441112233", contact)
    wait_for(lambda: dialled(evrotel_apps))
    assert dialled(evrotel_apps) == [
        {"billcode": "20558", "numberA": ["102"], "numberB": "380987858227", "routing": "rand"}
    ]
    evrotel = served.transmitter()
    start = evrotel.start("102", "380987858227", "o", calldate=local_now())
    [call] = portal.calls
    assert (start.callid, call.type, call.user_id, call.crm_entity) == (call.call_id, 4, 3, contact)
    evrotel.end(start.callid, "o", billsec="9", disposition="ANSWERED", recfile="NULL")
    wait_for(lambda: call.finished)
    assert (call.duration, call.finished_by, call.line_number) == (9, 3, "+380441112233")


def test_a_call_back_of_nobody_s_client_rings_at_the_connection_s_extensions(
    served: Served, portal: Bitrix24, evrotel_apps: WebApps
) -> None:
    served.set(callback_extensions="101,102", routing="all")
    time.sleep(1.1)
    portal.ask_for_callback("+380501112233")
    wait_for(lambda: dialled(evrotel_apps))
    [asked] = dialled(evrotel_apps)
    assert (asked["numberA"], asked["routing"]) == (["101", "102"], "all")
    wait_for(lambda: portal.calls and portal.calls[0].shown_to == [2, 3])
    evrotel = served.transmitter()
    start = evrotel.start("102", "0501112233", "o", calldate=local_now())
    [call] = portal.calls
    assert (start.callid, call.type, call.user_id) == (call.call_id, 4, 2)
    evrotel.end(start.callid, "o", billsec="9", disposition="ANSWERED", recfile="NULL")
    wait_for(lambda: call.finished)
    assert call.finished_by == 3  # who picked up
    served.set(callback_extensions="", default_user="99")  # nobody who has a phone: all there are
    time.sleep(1.1)
    portal.ask_for_callback("+380501112234")
    wait_for(lambda: len(dialled(evrotel_apps)) == 2)
    assert set(dialled(evrotel_apps)[1]["numberA"]) > {"102"}


def test_a_call_back_does_not_ring_at_somebody_who_was_dismissed(
    served: Served, portal: Bitrix24, evrotel_apps: WebApps
) -> None:
    served.set(callback_extensions="101")
    time.sleep(1.1)
    portal.dismiss(3)  # the client's responsible, whose extension is known since the installation
    portal.ask_for_callback(NUMBER)
    wait_for(lambda: dialled(evrotel_apps))
    assert dialled(evrotel_apps)[0]["numberA"] == ["101"]


def test_a_call_back_that_fails_leaves_something_to_do(served: Served, portal: Bitrix24, evrotel_apps: WebApps) -> None:
    evrotel_apps.refuse = True
    portal.ask_for_callback(NUMBER)
    wait_for(lambda: [each for each in portal.account.activities if each.kind == "TODO"])
    [todo] = [each for each in portal.account.activities if each.kind == "TODO"]
    assert todo.responsible_id == 3
    [call] = portal.calls
    assert (call.type, call.status_code) == (4, "OTHER")


def test_a_robot_has_the_client_called_and_its_workflow_hears_of_it(
    served: Served, portal: Bitrix24, evrotel_apps: WebApps
) -> None:
    assert portal.run_robot("evrotel_call", "token-1", phone="0987858227, 050", user="user_2")[0] == 200
    portal.run_robot("evrotel_call", "token-1", phone="0987858227", user="user_2")
    wait_for(lambda: dialled(evrotel_apps))
    evrotel = served.transmitter()
    start = evrotel.start("101", "0987858227", "o", calldate=local_now())
    [call] = portal.calls
    assert (start.callid, call.type, call.user_id) == (call.call_id, 1, 2)
    evrotel.end(start.callid, "o", billsec="0", disposition="BUSY", recfile="NULL")
    wait_for(lambda: portal.account.workflow_answers)
    [answer] = portal.account.workflow_answers
    assert answer["EVENT_TOKEN"] == "token-1"
    assert answer["RETURN_VALUES"]["result"] == "busy"
    assert len(dialled(evrotel_apps)) == 1


def test_a_robot_that_can_not_call_says_so_to_its_workflow(
    served: Served, portal: Bitrix24, evrotel_apps: WebApps
) -> None:
    portal.run_robot("evrotel_call", "token-2", phone="")
    wait_for(lambda: portal.account.workflow_answers)
    [answer] = portal.account.workflow_answers
    assert answer["RETURN_VALUES"]["result"] == "failed"
    assert (portal.calls, dialled(evrotel_apps)) == ([], [])


def test_a_robot_plays_a_message(
    served: Served, portal: Bitrix24, evrotel_apps: WebApps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.click_to_call.dialling.EVENTS_FOLLOW", timedelta(seconds=1))
    evrotel_apps.media["20558_hello.wav"] = b"RIFF"
    evrotel_apps.dial_answers["380987858227"] = ["NOANSWER"]
    portal.run_robot("evrotel_play", "token-3", phone=NUMBER, mediafile="20558_hello.wav")
    wait_for(lambda: portal.account.workflow_answers)
    [answer] = portal.account.workflow_answers
    assert answer["RETURN_VALUES"]["result"] == "no_answer"
    wait_for(portal.finished_calls)
    [call] = portal.calls
    assert (call.type, call.status_code, call.show) == (5, "480", False)


def test_forged_events_dial_nobody(served: Served, portal: Bitrix24, evrotel_apps: WebApps) -> None:
    call = portal.click_to_call(2, NUMBER, times=0)
    data = {"PHONE_NUMBER": NUMBER, "USER_ID": "2", "CALL_ID": call.call_id}
    address = f"{served.url}/bitrix24/acme/events"
    assert portal.send_event(address, "ONEXTERNALCALLSTART", data, application_token="forged")[0] == 403
    assert portal.send_event(f"{served.url}/bitrix24/acme/robot", "", data, application_token="")[0] == 403
    for wrong in ({"USER_ID": ""}, {"USER_ID": "2 or 3"}, {"CALL_ID": "x" * 201}, {"PHONE_NUMBER": "\0"}):
        assert portal.send_event(address, "ONEXTERNALCALLSTART", data | wrong)[0] == 400
    assert portal.run_robot("evrotel_call", "x" * 501, phone=NUMBER)[0] == 400
    time.sleep(0.5)
    assert dialled(evrotel_apps) == []
