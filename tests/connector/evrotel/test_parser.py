"""What Evrotel sends is understood in every form it comes in, and anything else is refused with one plain line."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connector.evrotel.parser import EndEvent, StartEvent, Unreadable, parse_event
from crm_adapters.events import Direction, Disposition

PAYLOADS = Path(__file__).parents[2] / "payloads" / "evrotel"
START = {
    "callstatus": "start",
    "calldate": "2018-04-01 00:00:11",
    "numberA": "0987858227",
    "numberB": "0679853913",
    "direction": "i",
}
END = {
    "callstatus": "end",
    "calldate": "2018-04-01 00:02:11",
    "callid": "123456789",
    "direction": "i",
    "billsec": "78",
    "disposition": "ANSWERED",
    "recfile": "/wav/9/2018-04-01/1522566805.1461640-1198614775.wav",
}
THE_START = StartEvent(
    number_a="0987858227", number_b="0679853913", direction=Direction.INCOMING, date="2018-04-01 00:00:11"
)
THE_END = EndEvent(
    callid="123456789",
    number_a="",
    number_b="",
    direction=Direction.INCOMING,
    date="2018-04-01 00:02:11",
    disposition=Disposition.ANSWERED,
    billsec=78,
    recfile="/wav/9/2018-04-01/1522566805.1461640-1198614775.wav",
)


def start(**changes: object) -> StartEvent:
    event = parse_event(json.dumps(START | changes).encode())
    assert isinstance(event, StartEvent)
    return event


def end(**changes: object) -> EndEvent:
    event = parse_event(json.dumps(END | changes).encode())
    assert isinstance(event, EndEvent)
    return event


def refused(body: bytes) -> str:
    with pytest.raises(Unreadable) as refusal:
        parse_event(body)
    return str(refusal.value)


@pytest.mark.parametrize(
    "name", ["start.form", "start.json", "start_labelled_as_form.json", "start_bom.json", "start_bom.form"]
)
def test_a_start_is_the_same_event_in_every_form(name: str) -> None:
    assert parse_event((PAYLOADS / name).read_bytes()) == THE_START


@pytest.mark.parametrize("name", ["end.form", "end.json", "end_before_2018_05.json"])
def test_an_end_is_the_same_event_in_every_form(name: str) -> None:
    assert parse_event((PAYLOADS / name).read_bytes()) == THE_END


def test_an_end_whose_callid_was_lost() -> None:
    event = parse_event((PAYLOADS / "end_without_callid.json").read_bytes())
    assert event == EndEvent(
        callid=None,
        number_a="101",
        number_b="380987858227",
        direction=Direction.OUTGOING,
        date="2018-04-01 00:02:11",
        disposition=Disposition.NO_ANSWER,
        billsec=0,
        recfile=None,
    )


def test_a_form_may_say_what_the_document_says() -> None:
    assert parse_event(urlencode(END).encode()) == THE_END
    assert parse_event(b"\r\n " + urlencode(START).encode() + b"\r\n") == THE_START


@pytest.mark.parametrize("before", [b"", b" \r\n\t", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
def test_json_may_have_a_byte_order_mark_and_space_before_it(before: bytes) -> None:
    assert parse_event(before + json.dumps(START).encode() + b"\n") == THE_START


def test_keys_come_in_any_case() -> None:
    assert parse_event(json.dumps({key.upper(): value for key, value in END.items()}).encode()) == THE_END
    assert parse_event(urlencode({"callStatus" if k == "callstatus" else k: v for k, v in START.items()}).encode())


def test_unknown_keys_are_nobody_s_business() -> None:
    assert start(queue=["sales"], nested={"a": {"b": True}}) == THE_START


def test_whole_json_numbers_count_as_texts() -> None:
    event = end(numberA=987858227, numberB=101.0, callid=7, billsec=78.0)
    assert (event.number_a, event.number_b, event.callid, event.billsec) == ("987858227", "101", "7", 78)


@pytest.mark.parametrize("value", [True, ["101"], {"n": "101"}, 1.5, float("nan"), float("inf")])
@pytest.mark.parametrize("key", ["numberA", "callid", "billsec", "recfile", "direction", "callstatus", "disposition"])
def test_other_json_values_are_refused_by_name(key: str, value: object) -> None:
    assert refused(json.dumps(END | {key: value}).encode()) == f"{key} should be a text or a whole number"


def test_the_last_of_repeated_keys_counts_unless_it_is_null() -> None:
    assert start() == parse_event(b'{"direction": "o", ' + json.dumps(START).encode()[1:])
    event = parse_event(b'{"recfile": "/a.wav", "Recfile": null, "recfile": "NULL", "callstatus": "end"}')
    assert isinstance(event, EndEvent)
    assert event.recfile == "/a.wav"


@pytest.mark.parametrize("null", [None, "", "  ", "NULL", "null"])
def test_nulls_of_every_spelling(null: str | None) -> None:
    event = end(**dict.fromkeys(("callid", "numberA", "calldate", "direction", "billsec", "recfile"), null))
    assert event == EndEvent(
        callid=None,
        number_a="",
        number_b="",
        direction=None,
        date=None,
        disposition=Disposition.ANSWERED,
        billsec=0,
        recfile=None,
    )


@pytest.mark.parametrize("status", ["START", " Start "])
def test_the_status_comes_in_any_case(status: str) -> None:
    assert start(callstatus=status) == THE_START


@pytest.mark.parametrize(
    ("word", "direction"),
    [
        ("i", Direction.INCOMING),
        ("I", Direction.INCOMING),
        ("in", Direction.INCOMING),
        ("Incoming", Direction.INCOMING),
        ("o", Direction.OUTGOING),
        ("OUT", Direction.OUTGOING),
        ("outgoing", Direction.OUTGOING),
    ],
)
def test_directions(word: str, direction: Direction) -> None:
    assert start(direction=word).direction is direction
    assert end(direction=word).direction is direction


@pytest.mark.parametrize(
    ("word", "disposition"),
    [
        ("ANSWERED", Disposition.ANSWERED),
        ("answer", Disposition.ANSWERED),
        ("Busy", Disposition.BUSY),
        ("CONGESTION", Disposition.CONGESTION),
        ("FAILED", Disposition.FAILED),
        ("NO ANSWER", Disposition.NO_ANSWER),
        ("NOANSWER", Disposition.NO_ANSWER),
        ("NO_ANSWER", Disposition.NO_ANSWER),
        ("no answer", Disposition.NO_ANSWER),
    ],
)
def test_dispositions(word: str, disposition: Disposition, caplog: pytest.LogCaptureFixture) -> None:
    assert end(disposition=word).disposition is disposition
    assert not caplog.records


@pytest.mark.parametrize(("billsec", "disposition"), [(5, Disposition.ANSWERED), (0, Disposition.NO_ANSWER)])
def test_who_talked_was_answered_where_the_disposition_is_missing_or_new(
    billsec: int, disposition: Disposition, caplog: pytest.LogCaptureFixture
) -> None:
    assert end(disposition=None, billsec=billsec).disposition is disposition
    assert not caplog.records
    assert end(disposition="HAUNTED", billsec=billsec).disposition is disposition
    assert [(record.levelno, "HAUNTED" in record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, True)
    ]


def test_talk_time_stays_as_given_whatever_the_disposition() -> None:
    assert end(disposition="BUSY", billsec="12").billsec == 12


@pytest.mark.parametrize(("given", "seconds"), [("78", 78), (78, 78), ("78.0", 78), ("007", 7), (604800, 604800)])
def test_billsec(given: object, seconds: int) -> None:
    assert end(billsec=given).billsec == seconds


@pytest.mark.parametrize("given", ["-1", -1, "1:18", "78.5", "1e3", "٧٨", "604801", "9" * 39])
def test_wrong_billsec_is_refused_by_name(given: object) -> None:
    assert refused(json.dumps(END | {"billsec": given}).encode()).startswith("billsec should be")


def test_a_start_does_not_care_for_what_only_an_end_has() -> None:
    assert start(billsec="soon", disposition=[], recfile=False, callid={}) == THE_START


def test_date_where_calldate_is_absent() -> None:
    assert start(calldate=None, date="2018-04-01 00:00:12").date == "2018-04-01 00:00:12"
    assert start(date="2018-04-01 00:00:12").date == "2018-04-01 00:00:11"


@pytest.mark.parametrize("date", [["2018"], True, "x" * 41, "2018\u0000"])
def test_an_unreadable_date_never_costs_an_event(date: object) -> None:
    assert start(calldate=date).date is None


def test_one_number_is_enough_for_a_start() -> None:
    assert start(numberA=None).number_a == ""
    assert start(numberB="").number_b == ""
    assert start(numberA="anonymous", numberB=None).number_a == "anonymous"


def test_an_end_may_name_nothing_at_all() -> None:
    assert isinstance(parse_event(b"callstatus=end"), EndEvent)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the body is empty"),
        (b"\xef\xbb\xbf \r\n", "the body is empty"),
        (b"{}", "callstatus is missing: it should be start or end"),
        (b"hello", "callstatus is missing: it should be start or end"),
        (b"callstatus=ring", "callstatus should be start or end, not 'ring'"),
        (b"[]", "the body should be a JSON object or a form"),
        (b'{"callstatus": "start"', "the JSON can't be read: Expecting ',' delimiter: line 1 column 23 (char 22)"),
        (b'{"a": ' + b"9" * 5000 + b"}", "the JSON has a number that is too long"),
        (b'{"a": ' + b"[" * 60000, "the JSON is nested too deeply"),
        (b"&".join([b"a=1"] * 101), "the form has too many fields"),
        (b"callstatus=\xf1\xf2\xe0\xf0\xf2", "the body is not UTF-8"),
        (b"callstatus=%F1%F2%E0%F0%F2", "the form is not UTF-8"),
        (b"callstatus=start&direction=i", "a start needs numberA or numberB"),
        (b"callstatus=start&numberA=101", "direction is missing: it should be i or o"),
        (b"callstatus=start&numberA=101&direction=up", "direction should be i or o, not 'up'"),
        (b"callstatus=end&direction=up", "direction should be i or o, not 'up'"),
        (b"callstatus=end&numberA=1%0A2", "numberA has control characters"),
        (b"callstatus=end&callid=1%002", "callid has control characters"),
        (b'{"callstatus": "end", "recfile": "\\ud800"}', "recfile has control characters"),
        (b'{"callstatus": "end", "recfile": "a\\u2028b"}', "recfile has control characters"),
        (b"callstatus=end&numberA=" + b"1" * 41, "numberA is longer than 40 characters"),
        (b"callstatus=end&numberB=" + b"1" * 41, "numberB is longer than 40 characters"),
        (b"callstatus=end&callid=" + b"1" * 201, "callid is longer than 200 characters"),
        (b"callstatus=end&recfile=" + b"1" * 2001, "recfile is longer than 2000 characters"),
    ],
)
def test_what_is_wrong_is_said(body: bytes, reason: str) -> None:
    assert refused(body) == reason


def test_the_longest_values_are_taken() -> None:
    event = end(numberA="1" * 40, callid="c" * 200, recfile="r" * 2000)
    assert (len(event.number_a), len(event.callid or ""), len(event.recfile or "")) == (40, 200, 2000)


def answer_to(body: bytes) -> str:
    """The event as text, or the line that Evrotel is answered."""
    try:
        return repr(parse_event(body))
    except Unreadable as refusal:
        return str(refusal)


def assert_read_or_refused(body: bytes) -> None:
    """Nothing but an event or one refusal that fits a line of text."""
    answer = answer_to(body)
    assert answer.isprintable()
    assert answer.startswith(("StartEvent(", "EndEvent(")) or len(answer) < 200


@given(st.binary() | st.text().map(str.encode))
@example(b"\xfe\xff\x00{")
@example(b"%" * 65536)
@example(b"{" * 65536)
@example(b"\x00" * 65536)
def test_no_body_breaks_the_parser(body: bytes) -> None:
    assert_read_or_refused(body)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=50),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(
    st.fixed_dictionaries({"callstatus": st.sampled_from(["start", "end"])}, optional=dict.fromkeys([*END][1:], VALUES))
)
def test_no_json_breaks_the_parser(fields: dict[str, object]) -> None:
    assert_read_or_refused(json.dumps(fields).encode())


TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp", "Zs"]), max_size=20)


@given(
    st.fixed_dictionaries(
        {"callstatus": st.just("end")}, optional=dict.fromkeys(["callid", "numberA", "recfile"], TEXTS)
    )
)
def test_a_form_and_json_say_the_same(fields: dict[str, str]) -> None:
    assert parse_event(urlencode(fields).encode()) == parse_event(json.dumps(fields).encode())
