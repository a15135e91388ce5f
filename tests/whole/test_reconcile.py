"""Evrotel's call records against ours: what we never heard of is logged, what is open is ended, nothing is there
twice."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update

from connector.commands.reconcile import _why_not
from connector.db import now
from connector.models import Call, Reconciliation
from connector.reconciliation import comparing
from connector.reconciliation.comparing import Comparison, NoRecords, compare
from connector.reconciliation.schedule import complete_day, last, reconcile_due
from tests.emulators.bitrix24 import Bitrix24
from tests.emulators.evrotel import Recordings, WebApps
from tests.running import Installation, wait_for
from tests.served import TOKEN, Served

KYIV = ZoneInfo("Europe/Kyiv")
CLIENT, LINE = "0987858227", "0442223344"


def ago(minutes: float) -> datetime:
    return datetime.now(KYIV).replace(microsecond=0) - timedelta(minutes=minutes)


def add(apps: WebApps, begun: datetime, *, auto: bool = False, **row: Any) -> dict[str, Any]:
    """An answered incoming call of 40 s, 20 s of ringing before it, as the records of its day have it."""
    unix = f"{begun.timestamp():.0f}.7"
    values = {
        "uniqueid": unix, "linkedid": unix, "calldate": f"{begun:%Y-%m-%dT%H:%M:%S}+00:00", "direction": "i",
        "numberA": CLIENT, "numberB": LINE, "disposition": "ANSWERED", "billsec": 40, "duration": 60,
        "recfile": f"/var/www/html/wav/9/{unix}.wav",
    }  # fmt: skip
    return apps.add_record(begun.date(), auto=auto, **values | row)


def compared(served: Served, day: datetime) -> Comparison:
    deployment = served.deployment
    return compare(deployment, deployment.connections.get("acme"), day.date())


def calls(served: Served) -> list[Any]:
    with served.deployment.database.read() as db:
        return list(db.execute(select(*Call.__table__.columns).order_by(Call.started_at)).all())


def test_a_call_that_we_never_heard_of_is_logged_silently_with_its_time_and_recording(
    served: Served, portal: Bitrix24, evrotel_apps: WebApps, recordings: Recordings
) -> None:
    begun = ago(30)
    row = add(evrotel_apps, begun)
    recordings.add(str(row["recfile"]).removeprefix("/var/www"))
    add(evrotel_apps, begun + timedelta(minutes=5), disposition="NO ANSWER", billsec=0, recfile=None)
    found = compared(served, begun)
    assert (found.logged, found.finished, found.skipped) == (2, 0, [])
    wait_for(lambda: len(portal.calls) == 2 and all(call.finished for call in portal.calls))
    wait_for(lambda: any(call.records_attached for call in portal.calls))
    talked, missed = sorted(portal.calls, key=lambda call: call.duration or 0, reverse=True)
    assert (talked.phone_number, talked.duration, missed.status_code) == ("+380987858227", 40, "304")
    assert not any(call.shown_to for call in portal.calls)
    assert portal.account.notices == []
    first, second = calls(served)
    assert first.started_at == begun.astimezone(UTC)
    assert (first.source, second.source, second.disposition) == ("records", "records", "no_answer")
    again = compared(served, begun)
    assert (again.logged, again.known) == (0, 2)
    assert len(calls(served)) == 2


def test_known_calls_stay_and_open_ones_are_ended(served: Served, portal: Bitrix24, evrotel_apps: WebApps) -> None:
    known, lost_end = ago(20), ago(10)
    evrotel = served.transmitter()
    started = evrotel.start(CLIENT, LINE, calldate=f"{known:%Y-%m-%d %H:%M:%S}")
    evrotel.end(started.callid, calldate=f"{known:%Y-%m-%d %H:%M:%S}", billsec="40", recfile="NULL")
    opened = evrotel.start("0671112233", LINE, calldate=f"{lost_end:%Y-%m-%d %H:%M:%S}")
    _move_arrivals(served)
    add(evrotel_apps, known, recfile=None)
    add(evrotel_apps, lost_end + timedelta(seconds=2), numberA="0671112233", numberB="102", recfile=None)
    found = compared(served, known)
    assert (found.known, found.finished, found.logged) == (1, 1, 0)
    second = calls(served)[1]
    assert (second.callid, second.state, second.billsec, second.extension) == (opened.callid, "ended", 40, "102")
    wait_for(lambda: all(call.finished for call in portal.calls))
    assert len(portal.calls) == 2
    # Its end comes all the same, twice, and changes nothing.
    for _ in range(2):
        late = evrotel.end(opened.callid, numberA="0671112233", numberB=LINE, billsec="40", recfile="NULL")
        assert late.status == 200
    assert len(calls(served)) == 2
    assert [call.finishes_accepted for call in portal.calls] == [1, 1]


def _move_arrivals(served: Served) -> None:
    """The events came when the calls were."""
    with served.deployment.database.write() as db:
        db.execute(update(Call).values(created_at=Call.started_at))


@pytest.mark.parametrize("order", ["start, end", "end", "end, start"])
def test_events_that_come_after_the_record_make_no_second_call(
    served: Served, portal: Bitrix24, evrotel_apps: WebApps, order: str
) -> None:
    begun = ago(3)
    add(evrotel_apps, begun, recfile=None)
    assert compared(served, begun).logged == 1
    wait_for(lambda: len(portal.calls) == 1 and portal.calls[0].finished)
    evrotel = served.transmitter()
    date = {"calldate": f"{begun + timedelta(seconds=1):%Y-%m-%d %H:%M:%S}"}
    for event in [*order.split(", "), *order.split(", ")]:
        if event == "start":
            assert evrotel.start(CLIENT, LINE, **date).callid
        else:
            evrotel.end(None, numberA=CLIENT, numberB=LINE, billsec="40", recfile="NULL", **date)
    assert len(calls(served)) == 1
    assert (len(portal.calls), portal.calls[0].finishes_accepted) == (1, 1)


def test_late_ends_in_other_words_are_the_recorded_calls(served: Served, evrotel_apps: WebApps) -> None:
    words = [
        {"billsec": "63", "numberB": "101"},
        {"disposition": "NO ANSWER", "billsec": "0", "numberB": LINE},
        {"calldate": "", "billsec": "40", "numberB": LINE, "recfile": "/wav/9/2.wav"},
    ]
    begun = [ago(30 + 5 * number) for number in range(len(words))]
    for number, start in enumerate(begun):  # each is taken from 101 by 102
        legs: dict[str, Any] = {"linkedid": f"call {number}", "recfile": f"/var/www/html/wav/9/{number}.wav"}
        add(evrotel_apps, start, numberB="101", billsec=20, **legs)
        add(evrotel_apps, start, numberB="102", uniqueid=f"leg {number}", **legs)
    assert compared(served, begun[0]).logged == len(words)
    for start, end in zip(begun, words, strict=True):
        over = start + timedelta(seconds=62)
        served.transmitter().end("unknown", **{"calldate": f"{over:%Y-%m-%d %H:%M:%S}", "numberA": CLIENT} | end)
    assert len(calls(served)) == len(words)


def test_events_that_come_while_we_compare_make_no_second_calls(
    served: Served, evrotel_apps: WebApps, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, other = ago(3), "0671112233"
    add(evrotel_apps, begun, recfile=None)
    add(evrotel_apps, begun, numberA=other, linkedid="other", recfile=None)
    evrotel, read = served.transmitter(), comparing._our_calls

    def and_then_they_come(*args: Any) -> Any:
        ours = read(*args)
        evrotel.start(CLIENT, LINE, calldate=f"{begun + timedelta(seconds=2):%Y-%m-%d %H:%M:%S}")
        over = f"{begun + timedelta(seconds=59):%Y-%m-%d %H:%M:%S}"
        evrotel.end(None, numberA=other, numberB=LINE, billsec="40", recfile="NULL", calldate=over)
        return ours

    monkeypatch.setattr(comparing, "_our_calls", and_then_they_come)
    found = compared(served, begun)
    assert (found.logged, found.finished, found.known) == (0, 1, 1)
    assert [(call.source, call.state) for call in calls(served)] == [("event", "ended")] * 2


def test_odd_bytes_cost_a_row_and_the_token_is_not_shown(served: Served, evrotel_apps: WebApps) -> None:
    begun = ago(30)
    rows = [add(evrotel_apps, begun, clid="Ігор"), add(evrotel_apps, begun, numberA="Ігор", linkedid="2"), {"id": 9}]
    text = json.dumps({"calls": rows}, ensure_ascii=False).replace(": 9}", f": {'9' * 5000}}}")
    evrotel_apps.records_body = text.encode("cp1251")
    found = compared(served, begun)
    assert (found.logged, [row.why for row in found.skipped[:1]]) == (1, ["its numberA can't be read"])
    evrotel_apps.records_body = f"wrong: {TOKEN}".encode()
    with pytest.raises(NoRecords, match=r"no call records: wrong: \*\*\*$"):
        compared(served, begun)


def test_the_clients_next_call_is_another_one(served: Served, evrotel_apps: WebApps) -> None:
    begun = ago(1.2)
    add(evrotel_apps, begun)
    assert compared(served, begun).logged == 1
    served.transmitter().start(CLIENT, LINE, calldate=f"{ago(0):%Y-%m-%d %H:%M:%S}")
    assert len(calls(served)) == 2


def test_both_lists_and_all_legs_are_one_call_and_odd_rows_say_why(served: Served, evrotel_apps: WebApps) -> None:
    begun = ago(30)
    row: dict[str, Any] = {"direction": "o", "numberA": "001", "numberB": CLIENT}
    add(evrotel_apps, begun, **row)
    add(evrotel_apps, begun, auto=True, **row)
    add(evrotel_apps, begun + timedelta(minutes=1), numberA=None, numberB=None)
    found = compared(served, begun)
    assert (found.rows, found.calls, found.logged) == (3, 1, 1)
    assert [row.why for row in found.skipped] == ["it has no numbers"]
    [only] = calls(served)
    assert (only.kind, only.direction) == ("autodial", "outgoing")


def test_a_call_that_was_asked_for_and_whose_events_are_lost_is_ended(
    served: Served, portal: Bitrix24, evrotel_apps: WebApps
) -> None:
    click = portal.click_to_call(2, "+380987858227")
    wait_for(lambda: any(each.path == "/webapp/" for each in evrotel_apps.requests))
    add(evrotel_apps, ago(0), direction="o", numberA="101", numberB=CLIENT, billsec=7, recfile=None)
    wait_for(lambda: compared(served, ago(0)).finished)
    wait_for(lambda: click.finished)
    assert (click.duration, portal.calls) == (7, [click])


def test_the_worker_compares_by_itself_and_yesterday_once(served: Served, evrotel_apps: WebApps) -> None:
    deployment = served.deployment
    connection = deployment.connections.get("acme")
    reconcile_due(deployment)
    assert last(deployment, connection.id).checked_at is None  # not in a new connection's first minute
    add(evrotel_apps, ago(30))
    _due(served)
    reconcile_due(deployment)
    row = last(deployment, connection.id)
    assert (row.logged + row.rows, row.error) != (0, None)
    asked = len([each for each in evrotel_apps.requests if each.path.startswith("/statusers/")])
    reconcile_due(deployment)
    assert len([each for each in evrotel_apps.requests if each.path.startswith("/statusers/")]) == asked
    evrotel_apps.knows_records = False
    _due(served)
    reconcile_due(deployment)
    failing = last(deployment, connection.id)
    assert "no call records" in failing.error
    assert failing.failing_since is not None
    served.set(reconcile="off")
    _due(served)
    before = len(evrotel_apps.requests)
    reconcile_due(deployment)
    assert len(evrotel_apps.requests) == before


def _due(served: Served) -> None:
    with served.deployment.database.write() as db:
        db.execute(update(Reconciliation).values(next_at=now() - timedelta(seconds=1)))


def test_records_that_are_none_say_so(served: Served, evrotel_apps: WebApps) -> None:
    evrotel_apps.go_down()
    with pytest.raises(NoRecords, match="can't be reached"):
        compared(served, ago(0))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.processes
def test_the_command_logs_what_is_missing(running: Installation, portal: Bitrix24, evrotel_apps: WebApps) -> None:
    yesterday = ago(24 * 60)
    add(evrotel_apps, yesterday)
    add(evrotel_apps, yesterday + timedelta(minutes=3), direction=None)
    done = running.command("reconcile", "acme", "--date", f"{yesterday:%Y-%m-%d}").stdout
    assert "it has no direction" in done
    assert "2 rows, 1 calls: 1 logged" in done
    assert "0 logged" in running.command("reconcile", "--date", f"{yesterday:%Y-%m-%d}").stdout
    wait_for(lambda: len(portal.calls) == 1 and portal.calls[0].finished)
    assert running.command("reconcile", "acme", "--date", "tomorrow", check=False).returncode == 2
    assert running.command("reconcile", "acme", "--date", "0001-01-01", check=False).returncode == 2
    tomorrow = f"{ago(-2 * 24 * 60):%Y-%m-%d}"
    assert running.command("reconcile", "acme", "--date", tomorrow, check=False).returncode == 2
    evrotel_apps.knows_records = False
    failed = running.command("reconcile", "acme", check=False)
    assert (failed.returncode, failed.stderr.startswith("Error: Evrotel gave no call records")) == (1, True)


def test_days_that_can_be_compared_and_days_that_are_complete(served: Served) -> None:
    new = served.deployment.connections.get("acme")
    old = replace(new, created_at=ago(60 * 24 * 900))
    year = timedelta(days=365)
    assert [_why_not(each, ago(60 * 24 * 370).date(), year) is None for each in (new, old)] == [True, False]
    assert [_why_not(old, ago(60 * 24 * days).date(), year) is None for days in (364, 0, -2)] == [True, True, False]
    for hour, day in ((2, 29), (3, 30)):  # what is compared before three in the night is compared again then
        assert complete_day(new, datetime(2026, 7, 1, hour, 30, tzinfo=KYIV)) == date(2026, 6, day)
