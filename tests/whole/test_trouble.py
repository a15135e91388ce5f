"""The portal slow, down, limiting, revoking; processes killed between steps; two workers: each call ends once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from tests.emulators.bitrix24 import Bitrix24
from tests.emulators.evrotel import Answer, Recordings, Transmitter, WebApps
from tests.running import Installation, wait_for
from tests.served import Served

pytestmark = pytest.mark.processes

REGISTER = "telephony.externalcall.register"
FINISH = "telephony.externalcall.finish"
ATTACH = "telephony.externalcall.attachrecord"
START_SECONDS = 2.5
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""Where the portal's behaviour is tried and the database has no part in it."""
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
"""Where workers on several machines are the point."""


def local_now() -> str:
    """As Evrotel writes it. Bitrix24 knows a repeated register only of calls that began within half an hour."""
    return datetime.now(ZoneInfo("Europe/Kyiv")).strftime("%Y-%m-%d %H:%M:%S")


def play(evrotel: Transmitter, recordings: Recordings, number: int, seconds: float = 0) -> Answer:
    """One answered call with its recording, of a client that nobody knows."""
    recfile = f"/wav/{number}.wav"
    recordings.add(recfile)
    start = evrotel.start(f"050{number:07d}", "101", calldate=local_now())
    assert start.status == 200
    time.sleep(seconds)
    end = evrotel.end(start.callid, billsec="30", disposition="ANSWERED", recfile=recfile)
    assert (end.status, end.body) == (200, b"OK")
    assert end.seconds < 2.4
    return start


def assert_each_once(portal: Bitrix24, expected: int, seconds: float = 30, *, without: int = 0) -> None:
    """Every call stands in the portal once, finished once, with its recording where it has one."""

    def recorded() -> bool:
        return sum(call.record is not None for call in portal.calls) >= expected

    wait_for(recorded, seconds)
    finished = portal.finished_calls()
    assert len(finished) == expected + without
    assert {call.finishes_accepted for call in finished} == {1}
    assert all(len(calls) == 1 for calls in portal.calls_by_external_id().values())
    assert {len(call.activities) for call in finished} == {1}
    assert portal.violations == []


@on_postgresql
def test_a_portal_that_is_down_costs_no_call(running: Installation, portal: Bitrix24, recordings: Recordings) -> None:
    evrotel = running.transmitter()
    portal.go_down()
    for number in range(5):
        assert play(evrotel, recordings, number).seconds < START_SECONDS + 1
    assert "does not answer" in running.command("connection", "check", "acme", check=False).stdout
    portal.come_up()
    assert_each_once(portal, 5)
    assert not any(call.show for call in portal.calls)


def test_a_slow_portal_is_not_waited_for(served: Served, portal: Bitrix24, recordings: Recordings) -> None:
    with portal.faults.slow(4, method=REGISTER, times=1):
        start = play(served.transmitter(), recordings, 1)
    assert START_SECONDS - 0.5 < start.seconds < START_SECONDS + 1
    assert_each_once(portal, 1)
    [call] = portal.calls
    assert start.callid != call.call_id


@pytest.mark.parametrize("method", [REGISTER, FINISH, ATTACH])
@pytest.mark.parametrize("fault", ["html_502", "reset_before", "reset_after", "slow_lost"])
def test_an_unclear_failure_is_made_good_without_a_double(
    served: Served, portal: Bitrix24, recordings: Recordings, method: str, fault: str
) -> None:
    if fault == "slow_lost":
        portal.faults.slow(0.2, effect=True, method=method, times=1)
        portal.faults.reset_after(method=method, times=1)
    else:
        getattr(portal.faults, fault)(method=method, times=1)
    play(served.transmitter(), recordings, 1)
    assert_each_once(portal, 1)


def test_a_portal_that_falls_silent_is_made_good_soon_after(
    served: Served, portal: Bitrix24, recordings: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than a round with the portal lasts, and every request had its effect."""
    monkeypatch.setattr("connector.delivery.loop.TELL_SECONDS", 3.0)
    evrotel = served.transmitter()
    play(evrotel, recordings, 0)
    portal.faults.silence(effect=True)
    for number in range(1, 4):
        assert play(evrotel, recordings, number).seconds < START_SECONDS + 1
    time.sleep(4)
    portal.faults.clear()
    assert_each_once(portal, 4, 30)


def test_a_method_whose_time_is_spent_holds_up_nothing_else(
    served: Served, portal: Bitrix24, recordings: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm_adapters.bitrix24.answers.USUAL_HOLD", 3.0)
    evrotel = served.transmitter()
    before = evrotel.start("0501111111", "101", calldate=local_now())
    with portal.faults.error("OPERATION_TIME_LIMIT", method=REGISTER) as fault:
        for number in range(3):
            assert play(evrotel, recordings, number).seconds < 2
        evrotel.end(before.callid, billsec="5", disposition="ANSWERED", recfile="NULL")
        wait_for(lambda: len(portal.finished_calls()) == 1)
        assert fault.hits == 1  # who knows that the method is closed does not knock
    assert_each_once(portal, 3, 15, without=1)


def test_what_a_paused_connection_keeps_goes_out_when_it_is_resumed(
    served: Served, portal: Bitrix24, recordings: Recordings, evrotel_apps: WebApps
) -> None:
    connections = served.deployment.connections
    connections.pause(connections.get("acme").id, by="admin", reason="moving")
    evrotel = served.transmitter()
    assert not play(evrotel, recordings, 1).callid.startswith("externalCall")
    click = portal.click_to_call(2, "+380987858227")
    wait_for(lambda: evrotel_apps.requests)
    start = evrotel.start("101", "0987858227", "o", calldate=local_now())
    assert start.callid == click.call_id
    evrotel.end(start.callid, "o", billsec="5", disposition="ANSWERED", recfile="NULL")
    time.sleep(0.5)
    assert portal.finished_calls() == []
    connections.resume(connections.get("acme").id)
    wait_for(lambda: len(portal.finished_calls()) == 2)


@on_postgresql
def test_a_burst_stays_within_the_portal_s_limits(
    running: Installation, portal: Bitrix24, recordings: Recordings
) -> None:
    evrotel = running.transmitter()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: play(evrotel, recordings, number), range(70)))
    assert_each_once(portal, 70, 60)
    assert portal.request_count() < 70
    assert portal.rate_limit.refused <= 2


@on_sqlite
def test_a_revoked_application_pauses_and_a_new_installation_wakes_everything(
    running: Installation, portal: Bitrix24, recordings: Recordings
) -> None:
    evrotel = running.transmitter()
    portal.revoke_application()
    for number in range(3):
        play(evrotel, recordings, number)
    check = wait_for(lambda: _if_paused(running))
    assert "open" in check or "install" in check
    portal.restore_application()
    assert running.install(portal).status_code == 200
    assert_each_once(portal, 3)


def _if_paused(running: Installation) -> str:
    check = running.command("connection", "check", "acme", check=False)
    return check.stdout if "paused" in check.stdout and check.returncode == 1 else ""


@on_sqlite
def test_expired_tokens_are_refreshed_once(running: Installation, portal: Bitrix24, recordings: Recordings) -> None:
    portal.expire_access_tokens()
    evrotel = running.transmitter()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: play(evrotel, recordings, number), range(8)))
    assert_each_once(portal, 8)
    assert [bool(refresh.error) for refresh in portal.refreshes] == [False]


@pytest.mark.parametrize(
    ("database_url", "method"),
    [("sqlite", FINISH), ("sqlite", ATTACH), ("postgresql", REGISTER), ("postgresql", "batch")],
    indirect=["database_url"],
)
def test_a_worker_killed_in_the_middle_of_a_step(
    running: Installation, portal: Bitrix24, recordings: Recordings, method: str
) -> None:
    """The request has had its effect, and the process dies before it hears of it."""
    evrotel = running.transmitter()
    if method == REGISTER:
        portal.faults.error("QUERY_LIMIT_EXCEEDED", 503, method=REGISTER, times=1)
    with portal.faults.slow(3, effect=True, method=None if method == "batch" else method, times=1) as fault:
        for number in range(3 if method == "batch" else 1):
            play(evrotel, recordings, number)
        wait_for(lambda: fault.hits)
        time.sleep(0.3)
        running.kill("worker")
    running.start_worker()
    assert_each_once(portal, 3 if method == "batch" else 1, 45)


@on_postgresql
def test_web_killed_while_the_portal_registers(running: Installation, portal: Bitrix24, recordings: Recordings) -> None:
    evrotel = running.transmitter()
    recordings.add("/wav/1.wav")
    began = local_now()
    with portal.faults.slow(1.5, effect=True, method=REGISTER, times=1) as fault, ThreadPoolExecutor(1) as pool:
        lost = pool.submit(lambda: _or_none(lambda: evrotel.start("0501111111", "101", calldate=began)))
        wait_for(lambda: fault.hits)
        running.kill("web")
        assert lost.result() is None
    running.start_web()
    repeated = evrotel.start("0501111111", "101", calldate=began)
    assert repeated.status == 200
    evrotel.end(repeated.callid, billsec="30", disposition="ANSWERED", recfile="/wav/1.wav")
    assert_each_once(portal, 1)


def _or_none(call: object) -> object:
    try:
        return call()  # type: ignore[operator]  # a callable
    except OSError:
        return None


@on_postgresql
def test_two_workers_and_kills_between(running: Installation, portal: Bitrix24, recordings: Recordings) -> None:
    evrotel = running.transmitter()
    running.start_worker("second")
    portal.faults.slow(0.2, effect=True)
    with ThreadPoolExecutor(8) as pool:
        playing = [pool.submit(play, evrotel, recordings, number) for number in range(60)]
        for round_ in range(3):
            time.sleep(0.7)
            name = ("worker", "second", "worker")[round_]
            running.kill(name)
            running.start_worker(name)
        for each in playing:
            each.result()
    portal.faults.clear()
    assert_each_once(portal, 60, 60)


@on_postgresql
def test_a_click_is_dialled_once_whatever_is_killed(
    running: Installation, portal: Bitrix24, evrotel_apps: WebApps
) -> None:
    evrotel = running.transmitter()

    def talk(number: str) -> Answer:
        start = evrotel.start("101", number, "o", calldate=local_now())
        evrotel.end(start.callid, "o", billsec="5", disposition="ANSWERED", recfile="NULL")
        return start

    running.kill("worker")
    kept = portal.click_to_call(2, "+380987858227", times=2)
    running.kill("web")
    running.start_web()
    running.start_worker()
    running.start_worker("second")
    wait_for(lambda: evrotel_apps.requests, 10)
    assert talk("0987858227").callid == kept.call_id
    evrotel_apps.answer_seconds = 2
    asked = portal.click_to_call(2, "+380501112233")
    wait_for(lambda: len(evrotel_apps.requests) == 2)
    running.kill("worker")  # one of them is asking Evrotel just now and never hears its answer
    running.kill("second")
    running.start_worker()
    assert talk("0501112233").callid == asked.call_id
    wait_for(lambda: len(portal.finished_calls()) == 2)
    assert len(evrotel_apps.requests) == 2
    assert {call.call_id for call in portal.calls} == {kept.call_id, asked.call_id}


@on_sqlite
def test_a_worker_stopped_politely_finishes_what_is_in_flight(
    running: Installation, portal: Bitrix24, recordings: Recordings
) -> None:
    with portal.faults.slow(1, effect=True, method=FINISH, times=1) as fault:
        play(running.transmitter(), recordings, 1)
        wait_for(lambda: fault.hits)
        assert running.stop("worker") == 0
    [call] = portal.calls
    assert call.finished
    assert call.finishes_refused == 0
    running.start_worker()
    assert_each_once(portal, 1)
