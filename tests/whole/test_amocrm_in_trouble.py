"""The account slow, limiting, blocking, unpaid, revoked, renamed; answers lost: each call once, and nobody hammered."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from connector.delivery import loop
from connector.deployment import Deployment
from crm_adapters.amocrm import calls as amo_calls
from tests.emulators.amocrm import AmoCRM
from tests.emulators.amocrm.faults import Fault
from tests.running import wait_for
from tests.whole.amocrm import ANSWERED, CLIENT, LINE, STRANGER, Account

CALLS, TOKEN_PATH = "/api/v4/calls", "/oauth2/access_token"


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amo_calls, "STILL_WORKED_ON", 0.5)


def is_told(amo: AmoCRM, callid: str) -> bool:
    return callid in uniqs(amo)


def uniqs(amo: AmoCRM) -> list[str]:
    return [note.params["uniq"] for note in amo.call_notes()]


@pytest.mark.parametrize(
    "faults",
    [
        (Fault.cut(), Fault.cut(effect=True), Fault.internal(), Fault.internal(effect=True), Fault.page(effect=True)),
        (
            Fault.bad_gateway(),
            Fault.gateway_timeout(effect=True),
            Fault.truncated(),
            Fault.broken_off(),
            Fault.redirect(),
        ),
        (Fault.too_many(2), Fault.too_many(None), Fault.too_many_page(), Fault.too_many_with_header(1)),
    ],
)
def test_a_fault_of_a_moment_costs_no_call_and_doubles_none(
    account: Account, amo: AmoCRM, faults: tuple[Fault, ...]
) -> None:
    told = []
    for fault in faults:
        amo.faults.next("POST", CALLS, fault)
        told.append(account.play(CLIENT, "101", "o", **ANSWERED))
        told.append(account.play(CLIENT, "101", "o"))
        wait_for(lambda: len(amo.calls) >= len(told), 30)
    wait_for(lambda: not account.pending())
    assert sorted(uniqs(amo)) == sorted(told)
    kept = account.attempts()
    tokens = account.deployment.adapter(account.state()).account.tokens.current()
    assert tokens is not None
    assert not any(secret in kept for secret in (tokens.access, tokens.refresh, amo.client_secret))
    assert "+380987858227" in kept


def test_a_call_that_was_never_answered_is_looked_for_before_it_is_sent_again(
    account: Account, amo: AmoCRM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the contact's timeline and on those of its leads; and not before amoCRM can be done with it."""
    monkeypatch.setattr(loop, "TELL_SECONDS", 1.2)
    monkeypatch.setattr(amo_calls, "STILL_WORKED_ON", 2.5)
    lead = amo.add_lead(amo.contacts[0])
    silent = amo.faults.next("POST", CALLS, Fault.silence(effect=True))
    first = account.play(CLIENT, "101", "o", **ANSWERED)
    wait_for(lambda: amo.calls and not account.pending())
    silent.clear()
    [note] = amo.notes("leads", lead.id)
    assert note.params["uniq"] == first
    slow = amo.faults.next("POST", CALLS, Fault.latency(1.8))
    second = account.play(CLIENT, "101", "o", **ANSWERED)
    wait_for(lambda: len(amo.calls) == 2)
    wait_for(lambda: not account.pending())
    slow.clear()
    amo.faults.next("POST", CALLS, Fault.silence(1.3))
    third = account.play(CLIENT, "101", "o", **ANSWERED)
    wait_for(lambda: len(amo.calls) == 3, 30)
    assert uniqs(amo) == [first, second, third]


def test_a_lost_answer_about_an_entry_makes_no_second_one(account: Account, amo: AmoCRM) -> None:
    sip = "/api/v4/leads/unsorted/sip"
    amo.faults.next("POST", sip, Fault.cut(effect=True))
    account.play(STRANGER, LINE)
    wait_for(lambda: amo.unsorted and not account.pending())
    amo.faults.next("POST", sip, Fault.gateway_timeout())
    account.play("0671234567", LINE)
    wait_for(lambda: len(amo.unsorted) == 2 and not account.pending())


def test_a_refused_account_is_left_alone_and_sends_all_when_it_is_resumed(account: Account, amo: AmoCRM) -> None:
    wait_for(lambda: amo.asked("GET", "/api/v4/users"))
    amo.require_payment()
    account.play(CLIENT, "101", "o")
    wait_for(lambda: account.state().paused)
    assert "not paid" in (account.state().paused_reason or "")
    asked = len(amo.requests)
    account.play(CLIENT, "101", "o")
    account.play(CLIENT, "101")
    time.sleep(1)
    assert len(amo.requests) == asked
    assert [finding.name for finding in account.check() if finding.status == "error"]
    amo.require_payment(required=False)
    account.deployment.connections.resume(account.state().id)
    wait_for(lambda: len(amo.calls) == 3)


@pytest.mark.unhurried
def test_a_block_is_waited_out_without_knocking(account: Account, amo: AmoCRM) -> None:
    """nginx's 403: whoever insists stays out."""
    amo.block()
    for _ in range(3):
        account.play(CLIENT, "101", "o")
    wait_for(lambda: account.state().trouble)
    asked = len(amo.requests)
    time.sleep(2)
    assert len(amo.requests) <= asked + 1
    assert account.state().trouble
    amo.block(False)
    account.deployment.connections.resume(account.state().id)
    wait_for(lambda: len(amo.calls) == 3)


def test_one_refresh_for_all_threads_and_processes(account: Account, amo: AmoCRM) -> None:
    amo.expire()
    here = account.deployment
    others = [Deployment(here.settings) for _ in range(2)]
    before = len(amo.asked("POST", TOKEN_PATH))

    def ask(which: Deployment) -> int:
        return len(which.adapter(which.connections.get("acme")).users(seconds=10))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, [*others, here] * 3)) == [3] * 9
    assert len(amo.asked("POST", TOKEN_PATH)) == before + 1
    for other in others:
        other.database.dispose()


def test_only_a_revoked_grant_disconnects(account: Account, amo: AmoCRM) -> None:
    """A wrong secret of ours is told to the admin, and mended by setting the right one; connecting again sends all."""
    account.set(amocrm_client_secret="somebody-elses-secret")
    time.sleep(0.1)
    amo.expire()
    account.play(CLIENT, "101", "o")
    wait_for(lambda: account.state().trouble)
    assert "does not know the integration" in (account.state().trouble or "")
    assert not account.state().paused
    assert [finding for finding in account.check() if finding.name == "integration" and finding.status == "error"]
    account.set(amocrm_client_secret=amo.client_secret)
    account.deployment.connections.resume(account.state().id)
    wait_for(lambda: amo.calls)
    amo.revoke()
    account.play(CLIENT, "101", "o")
    wait_for(lambda: account.state().paused)
    assert "connect again" in (account.state().paused_reason or "")
    refreshes = len(amo.asked("POST", TOKEN_PATH))
    account.play(CLIENT, "101", "o")
    time.sleep(1.2)
    assert len(amo.asked("POST", TOKEN_PATH)) == refreshes
    assert account.sign_in(amo).status_code == 200
    wait_for(lambda: len(amo.calls) == 3)
    assert {violation.what for violation in amo.violations} == {"unknown client, or not its secret"}
    amo.violations.clear()


def test_a_refresh_that_fails_for_a_moment_disconnects_nobody(account: Account, amo: AmoCRM) -> None:
    for fault in (Fault.bad_gateway(), Fault.cut(), Fault.too_many_page()):
        amo.expire()
        amo.faults.next("POST", TOKEN_PATH, fault)
        told = account.play(CLIENT, "101", "o")
        wait_for(partial(is_told, amo, told))
    assert not account.state().paused


@pytest.mark.parametrize("old", [404, 401])
def test_a_renamed_account_is_found_at_its_new_address(account: Account, amo: AmoCRM, old: int) -> None:
    amo.rename(old=old)
    callid = account.play(CLIENT, "101", "o")
    wait_for(lambda: amo.calls)
    assert uniqs(amo) == [callid]
    tokens: Any = account.deployment.adapter(account.state()).account.tokens.current()
    assert tokens.endpoint == amo.url


@pytest.mark.unhurried
def test_an_account_that_asks_for_patience_gets_it(account: Account, amo: AmoCRM) -> None:
    wait_for(lambda: amo.asked("GET", "/api/v4/users"))
    for fault in (Fault.too_many(2), Fault.too_many_with_header(2)):
        amo.faults.next("POST", CALLS, fault)
        callid = account.play(CLIENT, "101", "o")
        wait_for(partial(is_told, amo, callid))
        first, second = amo.asked("POST", CALLS)[-2:]
        assert (first.status, second.at - first.at >= 1.9) == (429, True)
        assert not [each for each in amo.requests if first.at < each.at < second.at]
