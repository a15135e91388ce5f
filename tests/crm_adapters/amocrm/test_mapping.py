"""From a call to amoCRM's fields."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_adapters.amocrm import mapping
from crm_adapters.events import CallEnded, Direction, Disposition

AT = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def ended(**changes: Any) -> CallEnded:
    call = CallEnded(
        call_id="c" * 32,
        crm_call_id=None,
        direction=Direction.INCOMING,
        client_number="+380987858227",
        line=None,
        extension=None,
        user_id=None,
        fallback_user_id=None,
        started_at=AT,
        create_customer=True,
        ended_at=AT + timedelta(seconds=40),
        disposition=Disposition.ANSWERED,
        billsec=30,
    )
    return replace(call, **changes)


@pytest.mark.parametrize(
    ("disposition", "billsec", "status", "duration"),
    [
        (Disposition.ANSWERED, 30, 4, 30),
        (Disposition.ANSWERED, 0, 6, 0),
        (Disposition.BUSY, 0, 7, 0),
        (Disposition.NO_ANSWER, 0, 6, 0),
        (Disposition.NO_ANSWER, 5, 6, 0),
        (Disposition.CONGESTION, 0, 6, 0),
        (Disposition.FAILED, 0, 6, 0),
    ],
)
def test_the_disposition_table(disposition: Disposition, billsec: int, status: int, duration: int) -> None:
    item = mapping.call_item(ended(disposition=disposition, billsec=billsec), author=None, responsible=None)
    assert (item["call_status"], item["duration"]) == (status, duration)


@given(
    disposition=st.sampled_from(Disposition),
    billsec=st.integers(0, 10**5),
    author=st.none() | st.integers(1, 10**9),
    responsible=st.none() | st.integers(1, 10**9),
    extension=st.none() | st.just("101"),
    link=st.none() | st.just("https://here/recordings/x.mp3"),
    result=st.text(),
)
def test_what_is_sent_is_whole_and_has_no_nulls(
    *,
    disposition: Disposition,
    billsec: int,
    author: int | None,
    responsible: int | None,
    extension: str | None,
    link: str | None,
    result: str,
) -> None:
    event = ended(disposition=disposition, billsec=billsec, extension=extension, recording_url=link, result=result)
    item = mapping.call_item(event, author=author, responsible=responsible)
    assert None not in item.values()
    assert not any(isinstance(value, float | bool) for value in item.values())
    assert item["created_at"] == int(AT.timestamp())
    assert item.get("created_by") == author
    assert item.get("responsible_user_id") == (author or responsible)
    json.dumps(item)
    entry = mapping.unsorted_item(event, connection="acme", author=author, language="uk")
    assert None not in entry["metadata"].values()


@given(st.text(alphabet="0123456789 ()-+", max_size=20), st.text(alphabet="0123456789 ()-+", max_size=20))
def test_numbers_are_the_same_by_their_last_ten_digits(one: str, other: str) -> None:
    first, second = mapping.digits(one)[-10:], mapping.digits(other)[-10:]
    assert mapping.same_number(one, other) == (first == second != "")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda each: st.lists(each) | st.dictionaries(st.text(), each),
    )
)
def test_a_card_of_any_shape_is_read(row: Any) -> None:
    assert mapping.phones_of({"custom_fields_values": row}) == []
    assert isinstance(mapping.phones_of({"custom_fields_values": [{"field_code": "PHONE", "values": row}]}), list)


@pytest.mark.parametrize(
    ("user_id", "number"), [("7", 7), (None, None), ("", None), ("abc", None), ("٧", None), ("9" * 20, None)]
)
def test_a_user_s_id_is_a_number_or_none(user_id: str | None, number: int | None) -> None:
    assert mapping.user_number(user_id) == number
