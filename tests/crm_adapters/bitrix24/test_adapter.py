"""Calls told to a portal over real HTTP: each logged once, whatever happens on the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crm_adapters.bitrix24.adapter import Adapter
from crm_adapters.bitrix24.dialogues import MOST_LOOKS
from crm_adapters.contract import FindingStatus, Priority, Telling
from crm_adapters.errors import AdapterError, Limited, NotSent, Refused, SignInRefused, TryAgain, Unreachable
from crm_adapters.events import CallEnded, CallStarted, Direction, Disposition, RecordingReady
from crm_adapters.oauth import Tokens
from tests.crm_adapters.fakes import MemoryLimiter, MemoryTokens, Saving, make_account
from tests.emulators.bitrix24 import Bitrix24
from tests.emulators.http import Loopback, Response

REGISTER = "telephony.externalCall.register"
FINISH = "telephony.externalCall.finish"
ATTACH = "telephony.externalCall.attachRecord"
STATISTIC = "voximplant.statistic.get"
MP3 = b"ID3" + bytes(500)


@pytest.fixture
def portal() -> Iterator[Bitrix24]:
    with Bitrix24(installed=True) as made:
        yield made
        assert made.violations == []
        assert all(refresh.needed for refresh in made.refreshes)


class Office:
    """A connection to the portal, as the service would lead it."""

    def __init__(self, portal: Bitrix24) -> None:
        token = portal.issue_token()
        self.portal = portal
        self.limiter = MemoryLimiter()
        self.tokens = MemoryTokens(
            Tokens(
                access=token.access,
                refresh=token.refresh,
                expires_at=None,
                endpoint=f"{portal.portal_url}/rest/",
                extra={"user_id": "1", "member_id": portal.member_id, "application_token": portal.application_token},
            )
        )
        settings = {"bitrix24_client_id": portal.client_id, "bitrix24_client_secret": portal.client_secret}
        account = make_account(settings, oauth_url=portal.oauth_url, limiter=self.limiter)
        self.adapter = Adapter(replace(account, tokens=self.tokens))
        self.saving = Saving()

    def tell(self, *tellings: Telling, priority: Priority = Priority.BACKGROUND, seconds: float = 10.0) -> None:
        for telling in tellings:
            telling.error = None
        self.adapter.tell(tellings, save=self.saving, priority=priority, seconds=seconds)

    def logged(self, *tellings: Telling) -> None:
        """Tells them and expects no error."""
        self.tell(*tellings)
        assert [telling.error for telling in tellings] == [None] * len(tellings)


@pytest.fixture
def office(portal: Bitrix24) -> Office:
    return Office(portal)


def start(call_id: str = "c1", **changes: Any) -> Telling:
    facts: dict[str, Any] = {
        "call_id": call_id,
        "crm_call_id": None,
        "direction": Direction.INCOMING,
        "client_number": "+380987858227",
        "line": "+380441234567",
        "extension": "101",
        "user_id": "2",
        "fallback_user_id": "3",
        "started_at": datetime.now(UTC),
        "create_customer": True,
    }
    return Telling(event=CallStarted(**{**facts, **changes}))


def end(
    call_id: str = "c1",
    crm_call_id: str | None = None,
    billsec: int = 30,
    disposition: Disposition = Disposition.ANSWERED,
    **changes: Any,
) -> Telling:
    facts = dict(vars(start(call_id, **changes).event))
    facts.pop("show_card")
    facts |= {"crm_call_id": crm_call_id, "ended_at": datetime.now(UTC), "disposition": disposition}
    return Telling(event=CallEnded(**facts, billsec=billsec))


def recording(crm_call_id: str | None, url: str | None = None, content: bytes = MP3) -> Telling:
    event = RecordingReady(
        call_id="c1",
        crm_call_id=crm_call_id,
        url=url,
        filename="c1.mp3",
        content_filename="c1.mp3",
        read_content=lambda: content,
    )
    return Telling(event=event)


def registered(office: Office, call_id: str = "c1") -> str:
    telling = start(call_id)
    office.logged(telling)
    assert telling.crm_call_id is not None
    return telling.crm_call_id


def error_of(telling: Telling, kind: type[AdapterError]) -> AdapterError:
    assert type(telling.error) is kind, telling.error
    return telling.error


def test_a_ringing_call_opens_the_employees_card(office: Office) -> None:
    telling = start()
    office.tell(telling, priority=Priority.START, seconds=2.5)
    assert telling.error is None
    [call] = office.portal.calls
    assert telling.crm_call_id == call.call_id
    assert (call.shown_to, call.user_id, call.external_call_id) == ([2], 2, "c1")
    assert office.portal.request_count() == 1
    assert len(telling.exchanges) == 1


def test_a_whole_call_is_one_entry(office: Office) -> None:
    call_id = registered(office)
    office.logged(end(crm_call_id=call_id))
    office.logged(recording(call_id))
    [call] = office.portal.finished_calls()
    assert (call.status_code, call.duration, call.record) == ("200", 30, MP3)
    assert len(call.activities) == 1
    assert office.portal.request_count() == 3


def test_a_missed_call_counts_as_missed_whatever_the_pbx_measured(office: Office) -> None:
    call_id = registered(office)
    office.logged(end(crm_call_id=call_id, billsec=7, disposition=Disposition.NO_ANSWER))
    [call] = office.portal.finished_calls()
    assert (call.status_code, call.duration, call.missed) == ("304", 0, True)


def test_fifty_mixed_events_take_two_requests(office: Office) -> None:
    known = [registered(office, f"k{number}") for number in range(10)]
    before = office.portal.request_count()
    starts = [start(f"s{number}", client_number=f"+38050000{number:04}") for number in range(20)]
    ends = [end(f"k{number}", crm_call_id=call_id) for number, call_id in enumerate(known)]
    late = [end(f"l{number}", client_number=f"+38067000{number:04}") for number in range(20)]
    office.logged(*starts, *ends, *late)
    assert office.portal.request_count() - before == 2
    assert len(office.portal.finished_calls()) == 30
    by_id = office.portal.calls_by_external_id()
    for telling in (*starts, *late):
        [call] = by_id[telling.event.call_id]
        assert telling.crm_call_id == call.call_id
    assert all(not by_id[telling.event.call_id][0].show for telling in late)


def test_a_call_without_a_start_saves_its_id_before_it_is_finished(office: Office) -> None:
    telling = end()
    office.logged(telling)
    [call] = office.portal.finished_calls()
    assert office.saving.rounds[1:] == [[({"crm_call_id": call.call_id, "finish_sent": True}, call.call_id)]]
    assert (call.shown_to, telling.crm_call_id) == ([], call.call_id)


@pytest.mark.parametrize("trouble", ["reset_after", "silence"])
def test_a_finish_that_may_have_been_done_is_looked_up(office: Office, trouble: str) -> None:
    telling = end(crm_call_id=registered(office))
    with (
        office.portal.faults.reset_after(FINISH)
        if trouble == "reset_after"
        else office.portal.faults.silence(effect=True, method=FINISH)
    ):
        office.tell(telling, seconds=0.5)
    assert error_of(telling, Unreachable).maybe_done
    office.logged(telling)
    [call] = office.portal.finished_calls()
    assert (call.finishes_accepted, call.finishes_refused, len(call.activities)) == (1, 0, 1)


def test_a_finish_that_was_not_done_is_repeated(office: Office) -> None:
    telling = end(crm_call_id=registered(office))
    with office.portal.faults.reset_before(FINISH):
        office.tell(telling)
    error_of(telling, Unreachable)
    office.logged(telling)
    assert [call.finishes_accepted for call in office.portal.calls] == [1]
    assert office.portal.invocation_count(STATISTIC) == 1


def test_a_finish_that_was_certainly_not_sent_needs_no_look_up(office: Office) -> None:
    telling = end(crm_call_id=registered(office))
    office.portal.go_down()
    office.tell(telling)
    assert not error_of(telling, Unreachable).maybe_done
    office.portal.come_up()
    office.logged(telling)
    assert office.portal.invocation_count(STATISTIC) == 0


def test_a_finish_that_may_have_been_done_is_remembered_through_clear_failures(office: Office) -> None:
    telling = end(crm_call_id=registered(office))
    with office.portal.faults.reset_after(FINISH):
        office.tell(telling)
    with office.portal.faults.error("ACCESS_DENIED", method=STATISTIC):
        with office.portal.faults.error("OVERLOAD_LIMIT", method=FINISH):
            office.tell(telling)
        error_of(telling, Limited)
        office.logged(telling)  # "Call is not found" is the finish that was done
    [call] = office.portal.calls
    assert call.finishes_accepted == 1


def test_death_between_mark_and_finish(office: Office) -> None:
    call_id = registered(office)
    telling = end(crm_call_id=call_id)
    telling.progress = {"finish_sent": True}
    office.logged(telling)
    assert [call.finishes_accepted for call in office.portal.calls] == [1]


def test_no_step_begins_that_the_round_s_time_would_cut_off(office: Office) -> None:
    telling = end()
    with office.portal.faults.slow(1.0):
        office.tell(telling, seconds=1.9)
        error_of(telling, NotSent)
        [call] = office.portal.calls
        assert telling.crm_call_id == call.call_id
        office.logged(telling)
    assert (call.registrations, call.finishes_accepted, office.portal.invocation_count(STATISTIC)) == (1, 1, 0)


def test_an_end_that_comes_twice_is_finished_once(office: Office) -> None:
    call_id = registered(office)
    office.logged(end(crm_call_id=call_id))
    office.logged(end(crm_call_id=call_id))
    [call] = office.portal.calls
    assert (call.finishes_accepted, len(call.activities)) == (1, 1)


def test_a_call_that_the_portal_forgot_is_registered_anew(office: Office) -> None:
    telling = end(crm_call_id="externalCall.00000000000000000000000000000000.1")
    office.logged(telling)
    [call] = office.portal.finished_calls()
    assert (call.external_call_id, telling.crm_call_id) == ("c1", call.call_id)


def test_a_finished_call_that_the_portal_lists_late_is_not_logged_twice(office: Office) -> None:
    telling = end(crm_call_id=registered(office))
    with office.portal.faults.reset_after(FINISH):
        office.tell(telling)
    [call] = office.portal.calls
    call.listed = False
    for _ in range(MOST_LOOKS):
        office.tell(telling)
        error_of(telling, TryAgain)
    call.listed = True
    office.logged(telling)
    assert [call.finishes_accepted for call in office.portal.calls] == [1]


def test_a_call_that_the_portal_lost_with_its_finish_is_logged_in_the_end(office: Office) -> None:
    telling = end(crm_call_id="externalCall.00000000000000000000000000000000.1")
    telling.progress = {"finish_sent": True}
    for _ in range(MOST_LOOKS):
        office.tell(telling)
        error_of(telling, TryAgain)
    office.logged(telling)
    [call] = office.portal.finished_calls()
    assert call.external_call_id == "c1"


def test_a_register_that_was_done_unseen_gives_the_same_call(office: Office) -> None:
    telling = start()
    with office.portal.faults.reset_after(REGISTER):
        office.tell(telling)
    assert error_of(telling, Unreachable).maybe_done
    office.logged(telling)
    assert [call.registrations for call in office.portal.calls] == [2]


@pytest.mark.parametrize(("fallback", "named"), [("3", 3), ("77", 1), (None, 1)])
def test_a_dismissed_employee_is_replaced(office: Office, fallback: str | None, named: int) -> None:
    office.portal.dismiss(2)
    office.logged(end(fallback_user_id=fallback))
    [call] = office.portal.finished_calls()
    assert (call.user_id, call.finished_by) == (named, named)


def test_a_call_of_nobody_belongs_to_who_installed_the_application(office: Office) -> None:
    office.logged(start(user_id=None, fallback_user_id=None))
    assert office.portal.calls[0].user_id == 1


def test_a_number_that_bitrix24_refuses_is_refused_for_good(office: Office) -> None:
    strange, hidden, good = start("a", client_number="+x"), start("b", client_number=""), start("c")
    office.tell(strange, hidden, good)
    assert "Unsupported phone number" in str(error_of(strange, Refused))
    error_of(hidden, Refused)
    assert good.error is None
    assert [call.external_call_id for call in office.portal.calls] == ["c"]


def test_an_expired_token_is_refreshed_once_by_all_threads(office: Office) -> None:
    office.portal.expire_access_tokens()
    tellings = [start(f"c{number}", client_number=f"+38050000{number:04}") for number in range(8)]
    threads = [threading.Thread(target=office.tell, args=(telling,)) for telling in tellings]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [telling.error for telling in tellings] == [None] * 8
    assert len(office.portal.refreshes) == 1
    assert office.tokens.tokens is not None
    assert office.tokens.tokens.extra["application_token"] == office.portal.application_token


def test_a_refresh_outlives_the_call_that_needed_it(office: Office) -> None:
    office.portal.expire_access_tokens()
    telling = start()
    with office.portal.oauth_faults.slow(0.6):
        office.tell(telling, priority=Priority.START, seconds=0.3)
        assert not error_of(telling, Unreachable).maybe_done
        assert office.portal.wait_until(lambda: office.tokens.tokens and "refreshed_at" in office.tokens.tokens.extra)
    office.logged(telling)
    assert len(office.portal.refreshes) == 1


def test_an_oauth_server_that_is_down_leaves_the_refresh_token_alone(office: Office) -> None:
    office.portal.expire_access_tokens()
    telling = start()
    with office.portal.oauth_faults.html_502():
        office.tell(telling)
    error_of(telling, Unreachable)
    office.logged(telling)


def test_an_application_that_was_deleted_asks_for_a_person(office: Office) -> None:
    office.portal.revoke_application()
    tellings = [start("a"), start("b")]
    office.tell(*tellings)
    for telling in tellings:
        assert "install it there again" in str(error_of(telling, SignInRefused))


def test_a_lapsed_refresh_token_asks_for_a_person(office: Office) -> None:
    office.portal.advance(200 * 86400)
    telling = start()
    office.tell(telling)
    assert "open the application there once" in str(error_of(telling, SignInRefused))


def test_new_tokens_that_came_meanwhile_are_used(office: Office) -> None:
    portal = office.portal
    fresh = portal.issue_token()
    stale, newer = (
        office.tokens.tokens,
        Tokens(access=fresh.access, refresh=fresh.refresh, expires_at=None, endpoint=f"{portal.portal_url}/rest/"),
    )
    assert stale is not None
    portal.account.tokens[stale.access].revoked = True
    answers = iter([stale, newer])
    office.tokens.current = lambda: next(answers)  # type: ignore[method-assign]  # an installation between two looks
    office.logged(start())
    assert portal.refreshes == []


def test_a_missing_permission_is_named(office: Office) -> None:
    with office.portal.faults.error("insufficient_scope", method=REGISTER):
        telling = start()
        office.tell(telling)
    assert "user_basic" in str(error_of(telling, SignInRefused))


def test_not_installed_yet(office: Office) -> None:
    office.tokens.tokens = None
    telling = start()
    office.tell(telling)
    error_of(telling, SignInRefused)
    office.adapter.keep_alive()
    [finding] = office.adapter.check()
    assert finding.status is FindingStatus.ERROR


def test_a_ringing_call_does_not_wait_for_the_budget(office: Office) -> None:
    key = f"bitrix24:{office.portal.portal}"
    office.limiter.levels[key] = 46.5
    telling = start()
    began = time.monotonic()
    office.tell(telling, priority=Priority.START, seconds=2.5)
    assert time.monotonic() - began < 1.5
    retry_after = getattr(error_of(telling, Limited), "retry_after", None)
    assert retry_after is not None
    assert 0 < retry_after < 1
    assert office.portal.request_count() == 0


def test_background_work_keeps_a_reserve_and_waits(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = iter([0.2, 0.1, 0.0])
    monkeypatch.setattr(office.limiter, "take", lambda key, burst, per_second: next(waits))
    office.logged(start())
    monkeypatch.setattr(office.limiter, "take", lambda key, burst, per_second: 60.0)
    telling = start("c2")
    office.tell(telling, seconds=1)
    assert not error_of(telling, Limited).maybe_done


def test_the_portals_refusal_fills_the_budget(office: Office) -> None:
    telling = start()
    with office.portal.faults.error("QUERY_LIMIT_EXCEEDED"):
        office.tell(telling)
    error_of(telling, Limited)
    assert list(office.limiter.levels.values()) == [47]


def test_trouble_with_a_batch_is_the_trouble_of_all_in_it(office: Office) -> None:
    tellings = [start(f"c{number}", client_number=f"+38050000{number:04}") for number in range(3)]
    with office.portal.faults.html_502("batch"):
        office.tell(*tellings)
    for telling in tellings:
        assert error_of(telling, Unreachable).maybe_done
    office.logged(*tellings)
    assert len(office.portal.calls) == 3


def test_a_portal_that_hangs_costs_no_more_than_the_time_given(office: Office) -> None:
    with office.portal.faults.silence():
        began = time.monotonic()
        office.tell(*[start(f"c{number}") for number in range(5)], seconds=0.5)
        assert time.monotonic() - began < 3


def test_a_renamed_portal_is_followed_when_the_oauth_server_confirms_it(office: Office) -> None:
    address = office.portal.rename()
    office.logged(start())
    assert office.tokens.tokens is not None
    assert office.tokens.tokens.endpoint == f"http://{address}/rest/"
    assert office.portal.refreshes == []


def test_a_redirect_to_a_strangers_address_is_not_followed(office: Office) -> None:
    seen: list[Any] = []
    with Loopback(lambda request: seen.append(request) or Response()) as stranger:  # type: ignore[func-returns-value]  # only kept
        office.portal.rename()
        office.portal.account.domain, true = stranger.address, office.portal.account.domain
        office.portal.oauth.account.domain = stranger.address
        office.portal.oauth._app_info = lambda access: {  # type: ignore[method-assign]  # the lie
            "result": {"install": {"domain": true}}
        }
        telling = start()
        office.tell(telling)
    error_of(telling, Unreachable)
    assert seen == []


@pytest.mark.parametrize("works", [True, False])
def test_a_recording_by_address_and_by_content_where_that_fails(office: Office, works: bool) -> None:
    call_id = registered(office)
    office.logged(end(crm_call_id=call_id))
    with Loopback(lambda _: Response(MP3 + b"link", 200 if works else 404, "audio/mpeg")) as site:
        telling = recording(call_id, url=f"{site.url}/recordings/x.mp3")
        office.logged(telling)
    [call] = office.portal.calls
    assert call.record == (MP3 + b"link" if works else MP3)
    assert all(len(exchange.request) < 3000 and "SUQz" not in exchange.request for exchange in telling.exchanges)


def test_a_recording_that_comes_twice_replaces_itself(office: Office) -> None:
    call_id = registered(office)
    office.logged(end(crm_call_id=call_id))
    for _ in range(2):
        office.logged(recording(call_id))
    assert office.portal.calls[0].record == MP3


def test_a_recording_before_the_portal_has_logged_the_call_waits(office: Office) -> None:
    call_id = registered(office)
    for telling in (recording(call_id), recording(None)):
        office.tell(telling)
        error_of(telling, TryAgain)


def test_an_address_that_the_portal_can_not_reach_is_not_tried_again(office: Office) -> None:
    call_id = registered(office)
    office.logged(end(crm_call_id=call_id))
    telling = recording(call_id, url="http://127.0.0.1:9/x.mp3")
    with office.portal.faults.silence(method=ATTACH):
        office.tell(telling, seconds=0.4)
    error_of(telling, Unreachable)
    office.logged(telling)
    assert office.portal.calls[0].record == MP3


def test_a_file_that_can_not_be_read_concerns_its_call_alone(office: Office) -> None:
    first, second = registered(office, "a"), registered(office, "b")
    office.logged(end("a", crm_call_id=first), end("b", crm_call_id=second))

    def gone() -> bytes:
        raise FileNotFoundError

    broken, good = recording(first), recording(second)
    assert isinstance(broken.event, RecordingReady)
    broken.event = replace(broken.event, read_content=gone)
    office.tell(broken, good)
    error_of(broken, TryAgain)
    assert good.error is None


def test_what_is_kept_of_a_request_has_no_secrets(office: Office) -> None:
    office.portal.expire_access_tokens()
    before = office.tokens.tokens
    tellings = [start("a"), end("b"), start("c", client_number="+x")]
    office.tell(*tellings)
    kept = repr([telling.exchanges for telling in tellings])
    after = office.tokens.tokens
    assert before is not None
    assert after is not None
    for secret in (before.access, before.refresh, after.access, after.refresh, office.portal.client_secret):
        assert secret not in kept
    assert "Unsupported phone number" in kept
    assert "+380987858227" in kept


def test_the_error_code_mode_makes_no_difference() -> None:
    with Bitrix24(installed=True, error_code_mode="ERROR_CORE") as portal:
        office = Office(portal)
        portal.dismiss(2)
        call_id = registered(office)
        office.logged(end(crm_call_id=call_id))
        office.logged(end(crm_call_id=call_id))
        assert len(portal.finished_calls()) == 1


def test_all_employees_are_listed(office: Office) -> None:
    for number in range(10, 130):
        office.portal.add_user(number, name=f"U{number}", inner_phone=str(1000 + number))
    office.portal.add_user(500, active=False, inner_phone="500")
    users = office.adapter.users()
    assert len(users) == 123
    assert (users[0].name, users[0].extension) == ("Ірина Адміненко", "100")
    assert office.portal.request_count("user.get") == 3


def test_a_failed_page_fails_the_whole_list(office: Office) -> None:
    for number in range(10, 130):
        office.portal.add_user(number)
    office.portal.faults.html_502("user.get", times=1)
    with pytest.raises(Unreachable):
        office.adapter.users()


def test_check_names_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crm_adapters.bitrix24.findings.ROUND_TRIP_SECONDS", 0.1)
    with Bitrix24(scopes={"telephony", "user_basic", "crm"}) as portal:
        portal.add_user(4, name="Зайвий", inner_phone="101")
        portal.add_user(5, name="Новий")
        office = Office(portal)
        found = {finding.name: finding.worded() for finding in office.adapter.check()}
        assert found["installed"].status is FindingStatus.ERROR
        assert "im, placement" in found["scopes"].text
        assert "ONEXTERNALCALLSTART" in found["events"].text
        assert found["round-trip"].status is FindingStatus.ERROR
        assert "default number" in found["outgoing-line"].fix
        assert "101" in found["duplicate-extension"].text
        assert "Новий" in found["users-without-extension"].text
        portal.go_down()
        assert [finding.status for finding in office.adapter.check()] == [FindingStatus.ERROR]


def test_a_sign_in_is_kept_alive_monthly(office: Office) -> None:
    assert office.tokens.tokens is not None
    recent = (datetime.now(UTC) - timedelta(days=29)).isoformat()
    office.tokens.tokens = replace(office.tokens.tokens, extra={"refreshed_at": recent})
    office.adapter.keep_alive()
    assert office.portal.refreshes == []
    old = (datetime.now(UTC) - timedelta(days=31)).isoformat()
    office.tokens.tokens = replace(office.tokens.tokens, extra={"refreshed_at": old})
    office.portal.expire_access_tokens()
    office.adapter.keep_alive()
    office.adapter.keep_alive()
    assert len(office.portal.refreshes) == 1
