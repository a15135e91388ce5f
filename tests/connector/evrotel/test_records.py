"""Rows of Evrotel's call records: legs make calls, false offsets are not read, what can't be used says why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.evrotel.records import CallRecord, call_records
from crm_adapters.events import Direction, Disposition
from tests.emulators.evrotel import record_row

ZONE = ZoneInfo("Europe/Kyiv")
NOW = datetime(2018, 12, 26, 9, 0, tzinfo=UTC)


def read(*rows: Any) -> tuple[list[CallRecord], list[str]]:
    records, skipped = call_records(rows, ZONE, "UA", NOW)
    return records, [f"{row.name}: {row.why}" for row in skipped]


def test_the_published_sample_is_a_call_at_nine_in_kyiv() -> None:
    [call], skipped = read(record_row(0))
    assert skipped == []
    assert call.started_at == datetime(2018, 12, 25, 7, 3, 3, tzinfo=UTC)
    assert call.ended_at == call.started_at + timedelta(seconds=15)
    assert (call.direction, call.disposition, call.billsec) == (Direction.OUTGOING, Disposition.ANSWERED, 10)
    assert (call.parties.extension, call.parties.client_number) == ("101", "+380679853913")
    assert call.key == "1545721383.0"


def test_without_unix_seconds_the_wall_time_counts_and_its_offset_does_not() -> None:
    [call], _ = read(record_row(0) | {"uniqueid": None, "linkedid": None})
    assert call.started_at == datetime(2018, 12, 25, 7, 3, 3, tzinfo=UTC)
    assert call.key == "id 1000"


def test_unix_seconds_of_another_day_are_not_believed() -> None:
    [call], _ = read(record_row(0) | {"uniqueid": "1445721383.1", "linkedid": "1445721383.1"})
    assert call.started_at == datetime(2018, 12, 25, 7, 3, 3, tzinfo=UTC)


def test_legs_of_one_call_are_one_call() -> None:
    queue = record_row(0) | {
        "direction": "i", "numberA": "0671112233", "numberB": "0442223344", "disposition": "NO ANSWER", "billsec": 0,
        "duration": 20, "recfile": None,
    }  # fmt: skip
    answered = queue | {
        "id": 1001, "uniqueid": "1545721390.1", "numberB": "102", "disposition": "ANSWERED", "billsec": 40,
        "duration": 45, "recfile": "/var/www/html/wav/9/x.wav", "did": "0442223344",
    }  # fmt: skip
    for rows in ([queue, answered], [answered, queue], [queue, answered, answered, queue]):
        [call], skipped = read(*rows)
        assert skipped == []
        assert call.started_at == datetime(2018, 12, 25, 7, 3, 3, tzinfo=UTC)
        assert call.ended_at == datetime(2018, 12, 25, 7, 3, 55, tzinfo=UTC)
        assert (call.disposition, call.billsec) == (Disposition.ANSWERED, 40)
        assert (call.recfile or "").endswith("x.wav")
        assert call.parties.client_number == "+380671112233"
        assert (call.parties.line, call.parties.extension) == ("+380442223344", "102")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"numberA": None, "numberB": None}, "numbers"),
        ({"numberB": None}, "called number"),
        ({"direction": None}, "direction"),
        ({"direction": "x"}, "direction"),
        ({"uniqueid": None, "linkedid": None, "calldate": None}, "time"),
        ({"uniqueid": None, "linkedid": None, "id": None}, "linkedid"),
        ({"disposition": None, "billsec": None}, "how the call ended"),
        ({"billsec": "many"}, "billsec"),
        ({"duration": -1}, "duration"),
        ({"numberA": {"x": 1}}, "numberA"),
        ({"numberB": "\x00"}, "numberB"),
    ],
)
def test_a_row_that_lacks_what_is_needed_says_so(changes: dict[str, Any], why: str) -> None:
    records, [skipped] = read(record_row(0) | changes)
    assert records == []
    assert why in skipped


@pytest.mark.parametrize("odd", [["x"], "\x00", "a\ud800", "x" * 5000, float("nan")])
def test_a_recording_or_an_id_that_cannot_be_read_costs_no_call(odd: Any) -> None:
    [call], skipped = read(record_row(0) | {"recfile": odd, "uniqueid": odd, "id": odd})
    assert (call.recfile, call.key, skipped) == (None, "1545721383.0", [])
    [call], skipped = read(record_row(0) | {"linkedid": odd, "uniqueid": odd})
    assert (call.key, call.started_at, skipped) == ("id 1000", datetime(2018, 12, 25, 7, 3, 3, tzinfo=UTC), [])


def test_a_call_that_nobody_took_is_of_the_phone_that_rang_last() -> None:
    first = record_row(0) | {
        "direction": "i", "numberA": "0671112233", "numberB": "101", "disposition": "NO ANSWER", "billsec": 0,
        "did": "0442223344",
    }  # fmt: skip
    last = first | {"id": 1001, "uniqueid": "1545721390.1", "numberB": "102"}
    [call], _ = read(last, first)
    assert call.parties.extension == "102"
    assert {(leg.line, leg.extension) for leg in call.legs} == {("+380442223344", "101"), ("+380442223344", "102")}


def test_a_withheld_number_and_missing_others_are_no_lack() -> None:
    row = record_row(0) | {"direction": "i", "numberA": "anonymous", "numberB": "0442223344"}
    [call], _ = read(
        {key: value for key, value in row.items() if key not in {"did", "accountcode", "duration", "recfile"}}
    )
    assert (call.parties.client_number, call.parties.line) == (None, "+380442223344")


_VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.lists(st.none(), max_size=1)
)
_ROWS = st.dictionaries(st.sampled_from(sorted(record_row(0))), _VALUES).map(lambda odd: record_row(0) | odd)


@given(st.lists(_ROWS | _VALUES, max_size=5))
def test_each_row_is_a_part_of_a_call_or_skipped(rows: list[Any]) -> None:
    records, skipped = call_records(rows, ZONE, "UA", NOW)
    assert len(records) + len(skipped) <= len(rows)
    assert bool(records) or len(skipped) == len(rows)
    for record in records:
        assert record.started_at <= record.ended_at
        assert len(record.key) <= 64 + len("id ")
