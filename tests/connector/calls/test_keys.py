"""A repeat has the key of the first; another call has another."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from urllib.parse import urlencode

import pytest

from connector.calls.keys import end_key, start_key
from connector.evrotel.parser import EndEvent, StartEvent, parse_event
from crm_adapters.events import Direction, Disposition

DATE = "2018-04-01 00:00:11"
END = EndEvent(
    callid="7",
    number_a="0987858227",
    number_b="101",
    direction=Direction.INCOMING,
    date=DATE,
    disposition=Disposition.ANSWERED,
    billsec=78,
    recfile="/a.wav",
)


def key(
    number_a: str = "0987858227",
    number_b: str = "101",
    date: str | None = DATE,
    direction: Direction = Direction.INCOMING,
) -> str | None:
    return start_key(direction, number_a, number_b, date, "UA")


def test_a_key_is_64_hex_digits() -> None:
    assert re.fullmatch("[0-9a-f]{64}", key() or "")
    assert re.fullmatch("[0-9a-f]{64}", end_key(END, "UA"))


def test_a_start_written_otherwise_is_the_same() -> None:
    assert key() == key("+380987858227", " 101", " 2018-04-01T00:00:11 ")
    assert key("") == key("anonymous")


def test_another_start_has_another_key() -> None:
    keys = [
        key(),
        key("0987858228"),
        key(number_b="102"),
        key(date="2018-04-01 00:00:12"),
        key(direction=Direction.OUTGOING),
        key("101", "0987858227"),
        key(date="soon"),
    ]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("date", [None, "", " "])
def test_nothing_tells_starts_without_a_date_from_each_other(date: str | None) -> None:
    assert key(date=date) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"callid": None},
        {"number_a": "0987858228"},
        {"number_b": ""},
        {"direction": None},
        {"date": None},
        {"disposition": Disposition.BUSY},
        {"billsec": 77},
        {"recfile": None},
    ],
)
def test_an_end_is_another_one_where_anything_differs(changes: dict[str, object]) -> None:
    assert end_key(replace(END, **changes), "UA") != end_key(END, "UA")  # type: ignore[arg-type]  # real fields


def test_form_and_json_have_the_same_key() -> None:
    said = {"callstatus": "end", "callid": "7", "numberA": "0987858227", "billsec": "78", "calldate": DATE}
    form, as_json = (
        parse_event(body) for body in (urlencode(said).encode(), json.dumps(said | {"recfile": None}).encode())
    )
    assert isinstance(form, EndEvent)
    assert isinstance(as_json, EndEvent)
    assert end_key(form, "UA") == end_key(as_json, "UA")
    said |= {"callstatus": "start", "direction": "i"}
    events = [parse_event(body) for body in (urlencode(said).encode(), json.dumps(said).encode())]
    keys = [key(e.number_a, e.number_b, e.date, e.direction) for e in events if isinstance(e, StartEvent)]
    assert len(keys) == 2
    assert len(set(keys)) == 1
