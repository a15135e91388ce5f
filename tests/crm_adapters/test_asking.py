"""What a server says of when to come again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_adapters.asking import LONGEST_WAIT, read_retry_after


@pytest.mark.parametrize(
    ("value", "seconds"), [("120", 120), (" 0 ", 0), ("9" * 20, LONGEST_WAIT), ("9" * 5000, LONGEST_WAIT)]
)
def test_seconds_however_many(value: str, seconds: float) -> None:
    assert read_retry_after(value) == seconds


def test_a_date_is_as_long_from_now() -> None:
    moment = datetime.now(UTC) + timedelta(hours=1)
    assert read_retry_after(format_datetime(moment, usegmt=True)) == pytest.approx(3600, abs=5)
    assert read_retry_after("Fri, 01 Jan 2016 00:00:00 GMT") == 0


@given(st.text())
def test_anything_else_is_none_or_some_seconds(value: str) -> None:
    seconds = read_retry_after(value)
    assert seconds is None or seconds >= 0
