"""Calls in amoCRM: the card while it rings, one entry on the right card when it has ended."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest
import requests
from sqlalchemy import update

from connector.autodial.campaigns import NewCampaign, make_campaign
from connector.calls.kinds import AMONG_EMPLOYEES, WITHHELD
from connector.calls.people import refresh
from connector.db import now
from connector.models import Delivery
from crm_adapters.amocrm import mapping
from tests.emulators.amocrm import AmoCRM
from tests.emulators.amocrm.faults import Fault
from tests.emulators.amocrm.limits import busiest_second
from tests.emulators.evrotel import Exchange, Recordings, WebApps, wav
from tests.running import wait_for
from tests.whole.amocrm import ANSWERED, CLIENT, LINE, Account

CALLS = "/api/v4/calls"


def test_a_call_is_shown_while_it_rings_and_logged_when_it_ends(account: Account, amo: AmoCRM) -> None:
    callid = account.ring(CLIENT, "101")
    [popup] = wait_for(lambda: amo.popups)
    assert (popup.phone_number, popup.users) == ("+380987858227", (8,))
    account.hang_up(callid, **ANSWERED)
    [call] = wait_for(lambda: amo.calls)
    assert call.sent == {
        "direction": "inbound",
        "uniq": callid,
        "duration": 30,
        "source": "Evrotel",
        "phone": "+380987858227",
        "call_status": 4,
        "call_result": "Відповіли, розмова 30 с. Внутрішній номер 101.",
        "call_responsible": 8,
        "responsible_user_id": 8,
        "created_by": 8,
        "created_at": call.created_at,
        "request_id": callid,
    }
    assert call.created_at is not None
    assert 0 <= time.time() - call.created_at < 3600
    account.hang_up(callid, **ANSWERED)
    outgoing = account.play(CLIENT, "101", "o", billsec="0", disposition="BUSY")
    wait_for(lambda: len(amo.calls) == 2)
    call = amo.calls[1]
    assert (call.uniq, call.direction, call.duration, call.call_status) == (outgoing, "outbound", 0, 7)
    assert len(amo.popups) == 1


def test_a_campaigns_call_says_which_it_was_made_for(account: Account, amo: AmoCRM, evrotel_apps: WebApps) -> None:
    account.set(evrotel_billcode="20558")
    evrotel_apps.media["20558_x.wav"] = wav()
    evrotel_apps.exchange = Exchange(transmitter=account.transmitter())
    campaign = NewCampaign(name="Весна [b]", mediafile="20558_x.wav", by="a test", numbers=["+380987858227"])
    make_campaign(account.deployment, account.state(), campaign)
    [call] = wait_for(lambda: amo.calls)
    assert call.direction == "outbound"
    assert str(call.call_result).endswith("Кампанія автообдзвону «Весна (b)».")
    assert amo.popups == []


def test_whose_call_it_is_where_no_extension_tells(account: Account, amo: AmoCRM) -> None:
    """The client's responsible sees the card and gets a missed call; an answered one is nobody's doing."""
    callid = account.ring(CLIENT, LINE)
    [popup] = wait_for(lambda: amo.popups)
    assert popup.users == (9,)
    account.hang_up(callid)
    [missed] = wait_for(lambda: amo.calls)
    assert (missed.responsible_user_id, missed.call_responsible, missed.created_by) == (9, 9, None)
    assert missed.call_result == "Пропущений: ніхто не відповів. Лінія +380 44 333 4455."
    account.play(CLIENT, "105", **ANSWERED)
    wait_for(lambda: len(amo.calls) == 2)
    taken = amo.calls[1]
    assert (taken.responsible_user_id, taken.call_responsible, taken.created_by) == (9, "105", None)


def test_a_client_of_a_dismissed_employee_is_the_default_users(account: Account, amo: AmoCRM) -> None:
    amo.dismiss(9)
    account.set(default_user="7", language="en")
    refresh(account.deployment, account.deployment.connections.get("acme"), timedelta(0), 5)
    time.sleep(0.1)
    callid = account.ring(CLIENT, LINE)
    [popup] = wait_for(lambda: amo.popups)
    assert set(popup.users or ()) == {7, 8}
    account.hang_up(callid, disposition="CONGESTION")
    [missed] = wait_for(lambda: amo.calls)
    assert (missed.responsible_user_id, missed.call_status) == (7, 6)
    assert missed.call_result == "Missed: the network was busy. Line +380 44 333 4455."


def test_who_was_chosen_sees_a_caller_who_belongs_to_nobody(account: Account, amo: AmoCRM) -> None:
    """The line's users, else those of the setting, else all with an inner number."""
    chosen: list[tuple[dict[str, str], tuple[int, ...]]] = [
        ({"line_users": "+380443334455=7+9"}, (7, 9)),
        ({"line_users": "", "amocrm_card_users": "9, 7"}, (9, 7)),
        ({"amocrm_card_users": ""}, (8,)),
    ]
    for place, (settings, users) in enumerate(chosen):
        account.set(**settings)
        time.sleep(0.1)
        account.ring("0501112233", LINE)
        wait_for(partial(has_popups, amo, place + 1))
        assert amo.popups[place].users == users


def test_a_card_that_would_come_late_is_not_shown(account: Account, amo: AmoCRM) -> None:
    """And a client who calls again is not looked for again."""
    amo.go_down()
    account.ring(CLIENT, LINE)
    wait_for(lambda: account.state().trouble)
    with account.deployment.database.write() as db:
        db.execute(update(Delivery).values(expires_at=now()))
    amo.come_up()
    wait_for(lambda: not account.pending())
    assert amo.popups == []
    for _ in range(3):
        account.play(CLIENT, LINE)
    wait_for(lambda: len(amo.calls) == 3)
    assert len(amo.asked("GET", "/api/v4/contacts")) == 1


@pytest.mark.unhurried
def test_accounts_behind_one_address_share_its_limit_over_all_workers(account: Account, amo: AmoCRM) -> None:
    """7 requests in any second, of two accounts and two workers together; a client's owner costs a search each."""
    redirect = amo.redirect_uri.replace("acme", "other")
    with AmoCRM(redirect_uri=redirect, account_id=2, rate=amo.rate) as other:
        account.connect_other(other, "other")
        account.work()
        for each in range(8):
            account.ring_at("other", f"06711122{each:02d}", LINE)
            account.ring(f"06733344{each:02d}", LINE)
        wait_for(lambda: len(amo.requests) + len(other.requests) > 24)
        assert busiest_second(each.at for each in (*amo.requests, *other.requests)) <= 7
    assert amo.rate.refused == 0


def test_the_same_of_several_cards_is_chosen_each_time(account: Account, amo: AmoCRM) -> None:
    """The search looks into all fields; a card with an open lead goes before one that was changed later."""
    now = int(time.time())
    by_chance = amo.add_contact("0987858227 in the name", "+380671112233", responsible=7, updated_at=now + 100)
    amo.set_field(by_chance, "EMAIL", "0987858227@example.com")
    with_lead = amo.add_contact("With a lead", "098 785-82-27", responsible=8, updated_at=now - 500)
    amo.add_lead(with_lead)
    amo.add_lead(amo.add_contact("Lost", "380987858227", responsible=7, updated_at=now), closed=True)
    account.play(CLIENT, LINE)
    [call] = wait_for(lambda: amo.calls)
    assert call.responsible_user_id == 8


def test_internal_withheld_and_short_numbers_stay_in_the_journal(account: Account, amo: AmoCRM) -> None:
    account.set(extensions="101=8,102=9")
    time.sleep(0.1)
    account.play("102", "101", "o", **ANSWERED)
    account.play("anonymous", LINE)
    account.play("103", LINE)
    account.play(CLIENT, "101", **ANSWERED)
    wait_for(lambda: amo.calls)
    assert [call.phone for call in amo.calls] == ["+380987858227"]
    wait_for(lambda: ("finish", mapping.SHORT_NUMBER) in account.expired())
    assert {WITHHELD, AMONG_EMPLOYEES} <= account.notes()


def test_a_recording_is_linked_from_the_start_and_plays(account: Account, amo: AmoCRM, recordings: Recordings) -> None:
    recfile = "/var/www/html/wav/1.wav"
    account.play(CLIENT, "101", **ANSWERED, recfile=recfile)
    [call] = wait_for(lambda: amo.calls)
    assert call.link is not None
    early = requests.get(call.link, timeout=5)
    assert (early.status_code, bool(early.headers["Retry-After"])) == (503, True)
    recordings.add("/html/wav/1.wav")
    played = wait_for(lambda: _played(call.link))
    assert played.headers["Content-Type"] == "audio/mpeg"
    part = requests.get(call.link, headers={"Range": "bytes=0-9"}, timeout=5)
    assert (part.status_code, len(part.content)) == (206, 10)
    account.play(CLIENT, "101", recfile=recfile)
    wait_for(lambda: len(amo.calls) == 2)
    assert amo.calls[1].link is None


def _played(link: str | None) -> requests.Response | None:
    response = requests.get(link or "", timeout=5)
    return response if response.status_code == 200 else None


@pytest.mark.unhurried
def test_sixty_ends_are_a_few_requests_and_one_bad_item_sinks_nobody(account: Account, amo: AmoCRM) -> None:
    """Also an employee whom the account no longer has, and a phone that amoCRM itself will not have."""
    account.set(extensions="101=8,102=777")
    time.sleep(1.1)
    callids = [account.ring(CLIENT, "102" if each % 20 == 0 else "101", "o") for each in range(60)]
    before = len(amo.requests)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda callid: account.hang_up(callid, "o", **ANSWERED), callids))
    wait_for(lambda: len(amo.calls) == 60)
    assert sorted(call.uniq or "" for call in amo.calls) == sorted(callids)
    by_unknown = [call for call in amo.calls if call.created_by is None]
    assert len(by_unknown) == 3
    assert len([each for each in amo.requests[before:] if each.path == CALLS]) <= 8
    assert amo.busiest_second() <= 7


def test_known_and_unknown_numbers_of_a_batch_are_told_apart(account: Account, amo: AmoCRM) -> None:
    account.set(create_customers="none")
    time.sleep(0.1)
    for mixed_as_400 in (False, True):
        amo.account.mixed_as_400 = mixed_as_400
        calls, asked = len(amo.calls), len(amo.asked("POST", CALLS))
        with amo.faults.next("POST", CALLS, Fault.unavailable()):
            account.play(CLIENT, "101", "o", **ANSWERED)
            wait_for(partial(is_asked_more, amo, asked))
            account.play("0671111111", "101", "o")
            account.play("0672222222", "101")
            account.play(CLIENT, "101")
        wait_for(partial(has_calls, amo, calls + 2))
        assert {call.phone for call in amo.calls} == {"+380987858227"}
    wait_for(lambda: not account.pending())
    assert amo.unsorted == []


def is_asked_more(amo: AmoCRM, asked: int) -> bool:
    return len(amo.asked("POST", CALLS)) > asked


def has_popups(amo: AmoCRM, number: int) -> bool:
    return len(amo.popups) == number


def has_calls(amo: AmoCRM, number: int) -> bool:
    return len(amo.calls) == number


def test_a_slow_account_keeps_no_start_waiting(account: Account, amo: AmoCRM) -> None:
    """Nor another account's card."""
    with AmoCRM(redirect_uri=amo.redirect_uri.replace("acme", "other"), account_id=2) as other:
        account.connect_other(other, "other")
        with amo.faults.always("*", "*", Fault.silence()):
            for _ in range(3):
                began = time.monotonic()
                assert account.ring(CLIENT, "101")
                assert time.monotonic() - began < 2
            account.ring_at("other", CLIENT, "101")
            [popup] = wait_for(lambda: other.popups, 5)
        assert popup.users is None
        assert len(amo.popups) <= 1
