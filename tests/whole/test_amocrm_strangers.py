"""Numbers that are on no card: Unsorted, contacts, or the journal alone; and what a missed call leaves behind."""

from __future__ import annotations

import time
from typing import Any

import pytest

from crm_adapters.amocrm import rounds, strangers
from tests.emulators.amocrm import AmoCRM
from tests.emulators.amocrm.faults import Fault
from tests.running import wait_for
from tests.whole.amocrm import ANSWERED, CLIENT, LINE, STRANGER, Account

CALLS, SIP = "/api/v4/calls", "/api/v4/leads/unsorted/sip"
CONTACTS, LEADS, TASKS = "/api/v4/contacts", "/api/v4/leads", "/api/v4/tasks"


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "AFTER_ENTRY_WAITS", ((10**9, 0.5),))
    monkeypatch.setattr(strangers, "FOUND_WITHIN", 1.0)
    monkeypatch.setattr(strangers, "CARD_WAITS", ((3600, 0.5),))


def expired(account: Account, text: str) -> bool:
    return any(text in (error or "") for _, error in account.expired())


def test_a_stranger_goes_to_unsorted_once(account: Account, amo: AmoCRM) -> None:
    """Further calls wait, and are written when the entry has been accepted."""
    callid = account.play(STRANGER, "101", **ANSWERED)
    [entry] = wait_for(lambda: amo.unsorted)
    assert entry.metadata == {
        "uniq": callid,
        "duration": 30,
        "service_code": "evrotel",
        "link": "",
        "phone": "+380501112233",
        "called_at": entry.metadata["called_at"],
        "from": "+380501112233",
        "is_call_event_needed": True,
        "call_responsible": 8,
    }
    second = account.play(STRANGER, LINE)
    wait_for(lambda: ("finish", "the caller's entry in Unsorted has to be accepted first") in account.pending())
    assert len(amo.unsorted) == 1
    amo.accept(entry.uid)
    [call] = wait_for(lambda: amo.calls)
    assert call.uniq == second
    assert sorted(note.params["uniq"] for note in amo.call_notes()) == sorted([callid, second])
    wait_for(lambda: not account.pending())
    assert len(amo.unsorted) == 1


def test_a_declined_stranger_who_waits_stays_in_the_journal_and_may_call_again(account: Account, amo: AmoCRM) -> None:
    account.play(STRANGER, LINE)
    [entry] = wait_for(lambda: amo.unsorted)
    account.play(STRANGER, LINE, billsec="5", disposition="ANSWERED")
    wait_for(lambda: [each for each in account.pending() if "accepted first" in (each[1] or "")])
    amo.decline(entry.uid)
    wait_for(lambda: expired(account, strangers.DECLINED))
    account.play(STRANGER, LINE)
    wait_for(lambda: len(amo.unsorted) == 2)
    assert amo.calls == []


def test_two_calls_of_a_stranger_at_once_make_one_entry(account: Account, amo: AmoCRM) -> None:
    with amo.faults.always("POST", CALLS, Fault.unavailable()):
        both = {account.play(STRANGER, LINE), account.play(STRANGER, "101", **ANSWERED)}
        wait_for(lambda: amo.asked("POST", CALLS))
    [entry] = wait_for(lambda: amo.unsorted)
    amo.accept(entry.uid)
    [call] = wait_for(lambda: amo.calls)
    assert {entry.metadata["uniq"], call.uniq} == both


def test_without_unsorted_a_stranger_becomes_contact_and_lead_and_then_has_the_call(
    account: Account, amo: AmoCRM
) -> None:
    """Also where amoCRM finds the new contact only later, and where answers are lost on the way."""
    amo.account.is_unsorted_on = False
    amo.index_delay(looks=1)
    amo.faults.next("POST", CONTACTS, Fault.cut(effect=True))
    amo.faults.next("POST", LEADS, Fault.internal(effect=True))
    callid = account.play(STRANGER, "101", **ANSWERED)
    [call] = wait_for(lambda: amo.calls)
    made = [each for each in amo.contacts if each.phones == ["+380501112233"]]
    assert (call.uniq, call.entity_type, len(made), len(amo.leads)) == (callid, "lead", 1, 1)
    assert (made[0].responsible_user_id, made[0].created_by, amo.leads[0].contact_ids) == (8, 8, [made[0].id])
    assert amo.leads[0].name == "Вхідний дзвінок +380501112233"
    account.play("0671234567", "101", "o", **ANSWERED)
    wait_for(lambda: [each for each in account.pending() if each[1] == strangers.UNKNOWN_NUMBER])
    contact = amo.add_contact("Made by hand", "067 123 45 67")
    wait_for(lambda: len(amo.calls) == 2)
    assert amo.calls[1].entity_id == contact.id


def test_who_is_created_is_the_connections_rule(account: Account, amo: AmoCRM) -> None:
    account.set(create_customers="all", amocrm_new_lead="no")
    time.sleep(0.1)
    account.play("0671234567", "101", "o", **ANSWERED)
    [call] = wait_for(lambda: amo.calls)
    assert (call.entity_type, amo.unsorted, amo.leads) == ("contact", [], [])
    account.play("0671234568", "101", "o")
    wait_for(lambda: expired(account, strangers.NOBODY_TALKED))
    account.set(create_customers="none")
    time.sleep(0.1)
    account.play("0671234569", LINE)
    wait_for(lambda: expired(account, strangers.UNKNOWN_NUMBER))
    assert (len(amo.calls), amo.unsorted) == (1, [])


def open_tasks(amo: AmoCRM) -> list[Any]:
    return [task for task in amo.tasks if not task.is_completed]


def test_missed_calls_of_a_client_are_one_task_until_somebody_talks_to_them(account: Account, amo: AmoCRM) -> None:
    account.set(missed_call_task="30")
    time.sleep(0.1)
    amo.faults.next("POST", TASKS, Fault.cut(effect=True))
    account.play(CLIENT, LINE)
    [task] = wait_for(lambda: amo.tasks)
    assert (task.responsible_user_id, task.entity_type, task.task_type_id) == (9, "contacts", 1)
    assert task.text.startswith("Передзвонити: +380 98 785 8227")
    assert 1500 < task.complete_till - time.time() < 2000
    account.play(CLIENT, LINE)
    wait_for(lambda: len(amo.calls) == 2 and not account.pending())
    assert len(amo.tasks) == 1
    account.play(CLIENT, "101", "o")
    wait_for(lambda: len(amo.calls) == 3 and not account.pending())
    assert open_tasks(amo) == [task]
    account.play(CLIENT, "101", "o", **ANSWERED)
    wait_for(lambda: not open_tasks(amo))
    assert task.result == "З клієнтом поговорили."
    account.play(CLIENT, LINE)
    wait_for(lambda: len(amo.tasks) == 2)
    account.play(CLIENT, LINE, **ANSWERED)
    wait_for(lambda: not open_tasks(amo))


def test_a_task_that_was_ticked_off_by_hand_makes_way_for_the_next(account: Account, amo: AmoCRM) -> None:
    account.play(CLIENT, LINE)
    [task] = wait_for(lambda: amo.tasks)
    task.is_completed = True
    account.play(CLIENT, LINE)
    wait_for(lambda: len(amo.tasks) == 2)
    account.play(STRANGER, LINE)
    wait_for(lambda: amo.unsorted and not account.pending())
    assert len(amo.tasks) == 2


def test_an_entry_that_was_accepted_before_its_answer_came_has_the_call_once(account: Account, amo: AmoCRM) -> None:
    amo.faults.next("POST", SIP, Fault.cut(effect=True))
    account.play(STRANGER, LINE)
    [entry] = wait_for(lambda: amo.unsorted)
    amo.accept(entry.uid)
    wait_for(lambda: not account.pending())
    assert len(amo.call_notes()) == 1


def test_many_strangers_at_once_are_written_in_turn(
    account: Account, amo: AmoCRM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking for their cards takes more than one round allows, and nobody is looked for again and again."""
    monkeypatch.setattr(rounds, "WORK_SECONDS", 0.6)
    account.deployment.connections.pause(account.state().id, by="admin", reason="a pause")
    time.sleep(0.1)
    for each in range(8):
        account.play(f"050111220{each}", LINE)
    account.deployment.connections.resume(account.state().id)
    wait_for(lambda: len(amo.unsorted) == 8, 30)
    assert len(amo.asked("GET", CONTACTS)) <= 16


def test_calls_of_a_new_contact_that_is_not_found_yet_make_no_second_one(account: Account, amo: AmoCRM) -> None:
    amo.account.is_unsorted_on = False
    amo.index_delay(seconds=0.8, search=True)
    amo.faults.next("POST", LEADS, Fault.bad_gateway())
    for _ in range(2):
        account.play(STRANGER, "101", **ANSWERED)
    wait_for(lambda: len(amo.calls) == 2, 30)
    made = [each for each in amo.contacts if each.phones == ["+380501112233"]]
    assert (len(made), len(amo.leads)) == (1, 1)


def test_users_who_are_gone_cost_neither_cards_nor_calls_nor_tasks(account: Account, amo: AmoCRM) -> None:
    """Also where the list of users is not known, as with a token of no administrator."""
    account.set(default_user="7", extensions="101=8,109=999")
    amo.dismiss(9)
    time.sleep(0.1)
    callid = account.ring(CLIENT, LINE)
    [popup] = wait_for(lambda: amo.popups)
    assert set(popup.users or ()) <= {7, 8}
    account.hang_up(callid)
    [task] = wait_for(lambda: amo.tasks)
    assert (task.responsible_user_id, amo.calls[0].responsible_user_id) == (7, 7)
    account.play(CLIENT, "109", "o", **ANSWERED)
    wait_for(lambda: len(amo.calls) == 2)
    assert (amo.calls[1].created_by, amo.calls[1].responsible_user_id) == (None, 7)
    amo.account.is_unsorted_on = False
    account.play(STRANGER, "109", **ANSWERED)
    wait_for(lambda: len(amo.calls) == 3)
