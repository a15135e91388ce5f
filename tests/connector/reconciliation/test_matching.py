"""Which of our calls a record is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from connector.calls.numbers import Parties
from connector.evrotel.records import CallRecord
from connector.reconciliation.matching import OurCall, match_records
from crm_adapters.events import Direction, Disposition

NOON = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
CLIENT = Parties(client_number="+380671112233", line="+380442223344", extension=None)


def record(key: str, after: float = 0, **changes: Any) -> CallRecord:
    started_at = NOON + timedelta(seconds=after)
    values: dict[str, Any] = {
        "key": key,
        "direction": Direction.INCOMING,
        "parties": CLIENT,
        "number_a": "0671112233",
        "number_b": "0442223344",
        "date": None,
        "started_at": started_at,
        "ended_at": started_at + timedelta(seconds=30),
        "disposition": Disposition.ANSWERED,
        "billsec": 20,
        "recfile": None,
    }
    return CallRecord(**values | changes)


def call(call_id: str, after: float = 0, **changes: Any) -> OurCall:
    started_at = NOON + timedelta(seconds=after)
    values: dict[str, Any] = {
        "id": call_id,
        "direction": Direction.INCOMING,
        "parties": Parties(client_number="+380671112233", line="+380442223344", extension="101"),
        "started_at": started_at,
        "ended_at": started_at + timedelta(seconds=31),
        "arrived_at": started_at + timedelta(seconds=1),
        "billsec": 20,
        "recfile": None,
    }
    return OurCall(**values | changes)


def test_the_nearest_in_time_is_the_same_call() -> None:
    calls = [call("first"), call("second", 60)]
    assert match_records([record("a", 2), record("b", 61)], calls) == {"a": "first", "b": "second"}
    assert match_records([record("b", 61), record("lost", 20)], [call("second", 60)]) == {"b": "second"}


def test_what_was_matched_before_stays_so() -> None:
    calls = [call("first", key="b"), call("second", 20)]
    assert match_records([record("a"), record("b", 61)], calls) == {"b": "first", "a": "second"}


def test_the_clients_next_try_is_not_the_record_of_the_one_before() -> None:
    going_on = call("next", 40, ended_at=None, billsec=None)
    assert match_records([record("a")], [going_on]) == {}
    assert match_records([record("a"), record("b", 41)], [going_on]) == {"b": "next"}
    assert match_records([record("b", 41)], [call("before", billsec=0)]) == {}
    assert match_records([record("a")], [call("same talk", 40)]) == {"a": "same talk"}
    undated = call("undated", 40, started_at=NOON + timedelta(seconds=41), billsec=0)  # its clock may be wrong
    assert match_records([record("a")], [undated]) == {"a": "undated"}


def test_a_call_that_went_on_to_another_extension_is_the_one_that_either_names() -> None:
    legs = [Parties(client_number="+380671112233", line=None, extension=number) for number in ("101", "102")]
    assert match_records([record("a", parties=legs[1], legs=legs)], [call("first")]) == {"a": "first"}
    assert match_records([record("a", parties=legs[1], legs=legs[1:])], [call("first")]) == {}


def test_the_same_recording_is_the_same_call_however_it_is_written() -> None:
    recorded = record("a", 300, recfile="/var/www/html/wav/9/2026-07-01/x.wav")
    known = call("first", recfile="http://m01.sipiko.net/wav/9/2026-07-01/x.wav")
    assert match_records([recorded], [call("other", 299), known]) == {"a": "first"}


def test_other_people_another_direction_or_another_hour_are_other_calls() -> None:
    other = Parties(client_number="+380671112234", line=None, extension=None)
    line = Parties(client_number="+380671112233", line="+380445556677", extension=None)
    for odd in (
        call("x", parties=other),
        call("x", parties=line),
        call("x", direction=Direction.OUTGOING),
        call("x", 3600),
    ):
        assert match_records([record("a")], [odd]) == {}


def test_a_wrong_time_zone_does_not_hide_a_call() -> None:
    assert match_records([record("a")], [call("x", 3 * 3600, arrived_at=NOON + timedelta(seconds=1))]) == {"a": "x"}


def test_a_call_that_we_had_dialled_begins_a_little_later() -> None:
    asked = call("x", ended_at=None, expected=True, direction=Direction.OUTGOING)
    assert match_records([record("a", 100, direction=Direction.OUTGOING)], [asked]) == {"a": "x"}
    assert match_records([record("a", 1000, direction=Direction.OUTGOING)], [asked]) == {}


@given(st.lists(st.integers(0, 600), max_size=6), st.lists(st.integers(0, 600), max_size=6))
def test_each_call_is_of_one_record_at_most(of_records: list[int], of_calls: list[int]) -> None:
    records = [record(f"r{number}", after) for number, after in enumerate(of_records)]
    calls = [call(f"c{number}", after) for number, after in enumerate(of_calls)]
    found = match_records(records, calls)
    assert len(set(found.values())) == len(found)
    assert found.keys() <= {each.key for each in records}
    for each in records:  # what has its call at the very same moment keeps it
        if of_records.count(int((each.started_at - NOON).total_seconds())) == 1 and each.key not in found:
            assert all(abs(other.started_at - each.started_at) > timedelta(0) for other in calls)
