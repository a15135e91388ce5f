"""Who sees the card of an incoming call, whom it is logged for, and what a missed one leaves behind."""

from __future__ import annotations

import itertools
import time
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from connector.calls.kinds import AMONG_EMPLOYEES
from connector.calls.people import refresh
from connector.models import Call as CallRow
from connector.models import Delivery, DeliveryKind
from tests.emulators.bitrix24 import Bitrix24
from tests.emulators.bitrix24.state import Activity, Call
from tests.emulators.evrotel import Recordings, WebApps
from tests.running import wait_for
from tests.served import Served

LINE, CLIENT, STRANGER = "0443334455", "0987858227", "0501112233"
KYIV = ZoneInfo("Europe/Kyiv")


_seconds = itertools.count()


def local_now() -> str:
    """A time of its own for each call: the same numbers at the same second are the same call."""
    moment = datetime.now(KYIV) - timedelta(seconds=60) + timedelta(seconds=next(_seconds))
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def play(served: Served, client: str, ours: str, direction: str = "i", **end: Any) -> str:
    """A whole call; missed unless `end` says otherwise."""
    evrotel = served.transmitter()
    start = evrotel.start(*((client, ours) if direction == "i" else (ours, client)), direction, calldate=local_now())
    assert start.status == 200
    wait_for(lambda: any(call.call_id == start.callid for call in served.portal.calls))
    values = {"calldate": None} | {"billsec": "0", "disposition": "NO ANSWER", "recfile": "NULL"} | end
    evrotel.end(start.callid, direction, **values)
    return start.callid


def todos(portal: Bitrix24) -> list[Activity]:
    return [each for each in portal.account.activities if each.kind == "TODO"]


def call_of(portal: Bitrix24, callid: str) -> Call:
    return portal.account.calls[callid]


def test_a_call_to_a_line_goes_to_the_clients_responsible(served: Served, portal: Bitrix24) -> None:
    call = call_of(portal, play(served, CLIENT, LINE))
    wait_for(lambda: call.finished)
    assert (call.user_id, call.shown_to, call.finished_by) == (3, [3], 3)
    assert (call.status_code, call.duration, call.line_number) == ("304", 0, "+380443334455")


def test_a_responsible_who_was_dismissed_gets_no_calls(served: Served, portal: Bitrix24) -> None:
    portal.dismiss(3)
    refused = call_of(portal, play(served, CLIENT, LINE))
    assert (refused.user_id, refused.show) == (1, True)
    [todo] = wait_for(lambda: todos(portal))
    assert todo.responsible_id == 1
    refresh(served.deployment, served.deployment.connections.get("acme"), timedelta(0), 5)
    asked = portal.request_count("telephony.externalCall.register")
    assert call_of(portal, play(served, CLIENT, LINE)).user_id == 1
    assert portal.request_count("telephony.externalCall.register") == asked + 1


def test_a_line_s_group_sees_the_card_until_the_call_ends(served: Served, portal: Bitrix24) -> None:
    served.set(line_users="044 333 44 55=2+3+1".replace(" ", ""), bitrix24_line_sources="+380443334455=CALL")
    time.sleep(1.1)
    evrotel = served.transmitter()
    start = evrotel.start(STRANGER, LINE, calldate=local_now())
    [call] = portal.calls
    assert (start.callid, call.user_id) == (call.call_id, 2)
    wait_for(lambda: len(call.shown_to) == 3)
    assert (sorted(call.shown_to), call.created[0].source) == ([1, 2, 3], "CALL")
    evrotel.end(start.callid, numberA=STRANGER, numberB="102", billsec="7", recfile="NULL")
    wait_for(lambda: call.finished)
    assert (sorted(call.hidden_from), call.finished_by) == ([1, 3, 3], 3)
    assert call.created[0].assigned_by_id == 3


def test_an_unknown_extension_goes_to_the_default_user_and_is_listed(served: Served, portal: Bitrix24) -> None:
    served.set(default_user="2")
    time.sleep(1.1)
    assert call_of(portal, play(served, CLIENT, "555")).user_id == 2
    [finding] = [each for each in served.check() if each.name == "unknown-extensions"]
    assert "555" in finding.text
    assert finding.fix


def test_a_missed_client_is_one_notice_and_one_thing_to_do_until_somebody_calls_back(
    served: Served, portal: Bitrix24
) -> None:
    before = datetime.now(KYIV)
    first = call_of(portal, play(served, CLIENT, LINE, billsec="12"))
    [todo] = wait_for(lambda: todos(portal))
    [contact] = portal.account.entities
    assert (first.duration, todo.owner, todo.responsible_id, todo.completed) == (0, contact, 3, False)
    assert "+380 98 785 8227" in todo.title
    assert todo.deadline is not None
    deadline = datetime.fromisoformat(todo.deadline)
    assert timedelta(minutes=14) < deadline - before < timedelta(minutes=16)
    play(served, CLIENT, LINE, disposition="BUSY")
    wait_for(lambda: len(portal.account.notices) == 2)
    assert {notice.user_id for notice in portal.account.notices} == {3}
    assert len({notice.tag for notice in portal.account.notices}) == 2
    time.sleep(0.5)
    assert todos(portal) == [todo]  # the client has to be called back once
    play(served, CLIENT, "101", "o", billsec="0")
    time.sleep(0.7)
    assert not todo.completed
    play(served, CLIENT, "101", "o", billsec="30", disposition="ANSWERED")
    wait_for(lambda: todo.completed)
    # Who is missed after that is to be called back again.
    play(served, CLIENT, LINE)
    again = wait_for(lambda: [each for each in todos(portal) if not each.completed])
    play(served, CLIENT, "102", billsec="5", disposition="ANSWERED")
    wait_for(lambda: again[0].completed)
    assert {error for each in portal.invoked if (error := each.error)} == set()


def test_a_stranger_missed_is_a_lead_of_the_default_user_s(served: Served, portal: Bitrix24) -> None:
    served.set(default_user="2", missed_call_task="30", language="en")
    time.sleep(1.1)
    play(served, STRANGER, LINE)
    [todo] = wait_for(lambda: todos(portal))
    assert (todo.owner.type, todo.responsible_id) == ("LEAD", 2)
    [notice] = portal.account.notices
    assert notice.message.startswith("Missed call from +380 50 111 2233 at ")
    assert "+380 44 333 4455" in notice.message


def test_no_task_where_none_is_wanted_and_none_for_colleagues_and_answered_calls(
    served: Served, portal: Bitrix24
) -> None:
    served.set(missed_call_task="0")
    time.sleep(1.1)
    play(served, CLIENT, LINE)
    wait_for(lambda: portal.account.notices)
    served.transmitter().start("102", "101")
    play(served, CLIENT, "101", billsec="3", disposition="ANSWERED")
    play(served, CLIENT, "101", "o")
    wait_for(lambda: len(portal.finished_calls()) == 3)
    time.sleep(0.5)
    assert (todos(portal), len(portal.account.notices)) == ([], 1)


def test_a_thing_to_do_is_made_once_whatever_fails(served: Served, portal: Bitrix24) -> None:
    portal.faults.reset_after(method="crm.activity.todo.add", times=1)
    play(served, CLIENT, LINE)
    wait_for(lambda: portal.invocation_count("crm.activity.list"), 30)
    time.sleep(0.5)
    assert len(todos(portal)) == 1
    play(served, CLIENT, "101", billsec="3", disposition="ANSWERED")
    wait_for(lambda: todos(portal)[0].completed)


def test_permissions_that_only_errands_need_hold_up_no_call(served: Served, portal: Bitrix24) -> None:
    portal.account.scopes -= {"im"}
    portal.expire_access_tokens()
    call = call_of(portal, play(served, CLIENT, LINE))
    wait_for(lambda: call.finished)
    play(served, CLIENT, "101", billsec="3", disposition="ANSWERED")
    wait_for(lambda: len(portal.finished_calls()) == 2)
    assert not served.deployment.connections.get("acme").paused


def test_a_method_whose_time_is_spent_waits_alone(served: Served, portal: Bitrix24) -> None:
    portal.operating.cost["telephony.externalcall.register"] = 480.0
    first = call_of(portal, play(served, CLIENT, "101", billsec="3", disposition="ANSWERED"))
    wait_for(lambda: first.finished)
    evrotel = served.transmitter()
    start = evrotel.start(STRANGER, "101", calldate=local_now())
    assert start.seconds < 2  # its patience, 2.5 s, is not waited out
    held = evrotel.start("0502223344", "101", calldate=local_now())
    evrotel.end(held.callid, billsec="4", disposition="ANSWERED", recfile="NULL")
    missed = portal.click_to_call(2, "+380503334455", times=0)
    assert missed
    with portal.faults.slow(0):
        time.sleep(1.5)
    refused = [each for each in portal.invoked if each.error]
    assert 1 <= len(refused) <= 4  # who does not know yet asks once
    assert not served.deployment.connections.get("acme").trouble


def test_an_autodialled_call_is_an_informational_one(served: Served, portal: Bitrix24) -> None:
    call = call_of(portal, play(served, CLIENT, "001", "o", billsec="9", disposition="ANSWERED"))
    wait_for(lambda: call.finished)
    assert (call.type, call.show, call.status_code) == (5, False, "200")


def test_a_withheld_number_leaves_the_portal_alone(served: Served, portal: Bitrix24, evrotel_apps: WebApps) -> None:
    evrotel = served.transmitter()
    start = evrotel.start("anonymous", "101", calldate=local_now())
    before = len(portal.requests)
    evrotel.end(start.callid, billsec="0", disposition="NO ANSWER", recfile="NULL")
    time.sleep(0.7)
    assert len(portal.requests) == before
    assert portal.calls == []


def test_calls_among_employees_are_no_clients_calls(served: Served, portal: Bitrix24) -> None:
    evrotel = served.transmitter()
    start = evrotel.start("101", "102", "o")
    assert start.status == 200
    assert not start.callid.startswith("externalCall")
    evrotel.end(start.callid, "o", billsec="5", disposition="ANSWERED", recfile="NULL")
    evrotel.end(None, "o", numberA="102", numberB="101", billsec="0", disposition="NO ANSWER", recfile="NULL")
    outside = evrotel.start("101", "466", "o")  # nobody's extension: a short number of the city
    assert outside.callid.startswith("externalCall")
    with served.deployment.database.read() as db:
        rows = db.execute(select(CallRow.client_number, CallRow.note)).all()
    assert {row.client_number: row.note for row in rows} == {
        "102": AMONG_EMPLOYEES,
        "101": AMONG_EMPLOYEES,
        "466": None,
    }
    assert [call.phone_number for call in portal.calls] == ["466"]


def test_a_thing_to_do_that_somebody_ticked_off_makes_room_for_the_next_one(served: Served, portal: Bitrix24) -> None:
    play(served, CLIENT, LINE)
    [first] = wait_for(lambda: todos(portal))
    first.completed = True
    play(served, CLIENT, LINE)
    wait_for(lambda: len(todos(portal)) == 2)
    play(served, CLIENT, LINE)
    wait_for(lambda: len(portal.account.notices) == 3)
    time.sleep(0.3)
    assert len(todos(portal)) == 2


def test_a_client_missed_often_while_the_portal_was_away_is_one_thing_to_do(served: Served, portal: Bitrix24) -> None:
    connections = served.deployment.connections
    connections.pause(connections.get("acme").id, by="admin", reason="moving")
    evrotel = served.transmitter()
    for _ in range(3):
        start = evrotel.start(CLIENT, LINE, calldate=local_now())
        evrotel.end(start.callid, calldate=None, billsec="0", disposition="NO ANSWER", recfile="NULL")
    connections.resume(connections.get("acme").id)
    wait_for(lambda: len(portal.account.notices) == 3)
    time.sleep(0.3)
    assert len(todos(portal)) == 1


def test_a_task_that_failed_is_not_made_after_the_client_was_reached(served: Served, portal: Bitrix24) -> None:
    with portal.faults.error("ACCESS_DENIED", 403, "no", method="crm.activity.todo.add") as fault:
        play(served, CLIENT, LINE)
        wait_for(lambda: fault.hits)
    play(served, CLIENT, "101", "o", billsec="30", disposition="ANSWERED")
    wait_for(lambda: len(portal.finished_calls()) == 2)
    with served.deployment.database.read() as db:
        tasks = db.execute(select(Delivery.state).where(Delivery.kind == DeliveryKind.TASK)).scalars().all()
    assert tasks == ["expired"]


def test_a_register_that_nobody_knows_of_is_repeated_as_it_was(served: Served, portal: Bitrix24) -> None:
    """The end names who answered; for the portal that would be another call."""
    portal.faults.reset_after(method="telephony.externalCall.register", times=1)
    evrotel = served.transmitter()
    start = evrotel.start(CLIENT, LINE, calldate=local_now())
    evrotel.end(start.callid, numberA=CLIENT, numberB="101", billsec="7", recfile="NULL", calldate=None)
    wait_for(portal.finished_calls)
    time.sleep(0.5)
    [call] = portal.calls
    assert (call.registrations, call.user_id, call.finished_by) == (2, 3, 2)


def test_what_is_told_beside_a_call_does_not_hold_it_up(served: Served, portal: Bitrix24) -> None:
    """Operating time is spent of each method for itself: of showing cards and looking for clients too."""
    served.set(line_users="+380443334455=2+3")
    time.sleep(1.1)
    evrotel = served.transmitter()
    with portal.faults.error("OPERATION_TIME_LIMIT", method="telephony.externalCall.hide"):
        start = evrotel.start(STRANGER, LINE, calldate=local_now())
        wait_for(lambda: len(portal.account.calls[start.callid].shown_to) == 2)
        evrotel.end(start.callid, billsec="0", disposition="NO ANSWER", recfile="NULL", calldate=None)
        wait_for(lambda: len(portal.finished_calls()) == 1, 3)
    with portal.faults.error("OPERATION_TIME_LIMIT", method="telephony.externalCall.searchCrmEntities"):
        start = evrotel.start(STRANGER, LINE, calldate=local_now())
        assert call_of(portal, start.callid).user_id == 2


def test_autodial_numbers_are_nobodys_missing_inner_numbers(served: Served) -> None:
    play(served, CLIENT, "001", "o", disposition="ANSWERED", billsec="5")
    assert [each for each in served.check() if each.name == "unknown-extensions"] == []


def test_a_recording_that_is_named_later_is_attached_too_and_once(
    served: Served, portal: Bitrix24, recordings: Recordings
) -> None:
    """As by a second end, or when the call is found in Evrotel's records."""
    recordings.add("/wav/late.wav")
    evrotel = served.transmitter()
    start = evrotel.start("0987858227", "101")
    evrotel.end(start.callid, billsec="30", disposition="ANSWERED", recfile="NULL")
    wait_for(portal.finished_calls)
    for _ in range(2):
        evrotel.end(start.callid, billsec="30", disposition="ANSWERED", recfile="/wav/late.wav")
    wait_for(lambda: portal.finished_calls()[0].record)
    [call] = portal.finished_calls()
    assert (call.finishes_accepted, call.records_attached) == (1, 1)
    assert recordings.request_count("/wav/late.wav") == 1
