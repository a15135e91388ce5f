"""Working hours: what is open, when it opens next, which times are offered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.callback.hours import DAYS, STEP, Hours, parse_holidays, parse_hours

KYIV = ZoneInfo("Europe/Kyiv")
OFFICE = Hours(zone=KYIV, spans=parse_hours("Mon-Fri 09:00-18:00; Sat 10:00-15:00"), holidays=frozenset({"12-25"}))
ALWAYS = Hours(zone=KYIV)

MINUTES = st.integers(0, 24 * 60)
SPANS = st.tuples(st.integers(0, 6), MINUTES, MINUTES).filter(lambda span: span[1] < span[2])
MOMENTS = st.integers(0, 366 * 24 * 60).map(
    lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)
EVERY_DAY = frozenset(f"{month:02}-{day:02}" for month in range(1, 13) for day in range(1, 32))
HOURS = st.builds(Hours, zone=st.just(KYIV), spans=st.lists(SPANS, min_size=1, max_size=4).map(tuple))


def kyiv(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=KYIV)


@pytest.mark.parametrize(
    ("moment", "is_open", "opens"),
    [
        ("2026-08-31T09:00", True, "2026-08-31T09:00"),  # a Monday
        ("2026-08-31T08:59", False, "2026-08-31T09:00"),
        ("2026-08-31T18:00", False, "2026-09-01T09:00"),
        ("2026-09-05T14:59", True, "2026-09-05T14:59"),
        ("2026-09-05T15:00", False, "2026-09-07T09:00"),
        ("2026-12-25T12:00", False, "2026-12-26T10:00"),  # a holiday of each year, a Friday
    ],
)
def test_a_week(moment: str, is_open: bool, opens: str) -> None:
    assert OFFICE.is_open(kyiv(moment)) is is_open
    assert OFFICE.next_open(kyiv(moment)) == kyiv(opens)


def test_without_hours_it_is_always_open_but_for_holidays() -> None:
    assert ALWAYS.is_open(kyiv("2026-08-30T03:00"))
    closed = Hours(zone=KYIV, holidays=parse_holidays("2026-08-24, 01-01"))
    assert closed.next_open(kyiv("2026-08-24T12:00")) == kyiv("2026-08-25T00:00")
    assert closed.is_open(kyiv("2027-08-24T12:00"))
    never = Hours(zone=KYIV, spans=((0, 0, 60),), holidays=EVERY_DAY)
    assert never.next_open(kyiv("2026-08-24T12:00")) is None


def test_the_hour_that_is_missing_and_the_one_that_comes_twice() -> None:
    night = Hours(zone=KYIV, spans=parse_hours("Sun 03:00-04:30"))
    spring = datetime(2026, 3, 29, 0, 0, tzinfo=UTC)  # 03:00 is 04:00 on that day
    assert night.next_open(spring) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    assert [slot.strftime("%H:%M") for slot in night.slots(spring, days=1)] == ["04:00", "04:15"]
    twice = datetime(2026, 10, 25, 1, 5, tzinfo=UTC)  # the second 03:05
    assert night.is_open(twice)
    assert night.is_open(twice - timedelta(hours=1))


@given(HOURS, MOMENTS)
def test_it_opens_at_the_first_moment_that_is_open(hours: Hours, moment: datetime) -> None:
    opening = hours.next_open(moment)
    if opening is None:
        return
    assert opening >= moment
    assert hours.is_open(opening)
    minutes = min(int((opening - moment).total_seconds() // 60), 3000)
    assert not any(hours.is_open(opening - timedelta(minutes=minute)) for minute in range(1, minutes + 1, 7))


@given(HOURS, MOMENTS)
def test_every_time_that_is_offered_can_be_had(hours: Hours, moment: datetime) -> None:
    slots = hours.slots(moment)
    assert all(hours.fits(slot, moment) and slot >= moment + STEP for slot in slots)
    assert len({slot.date() for slot in slots}) <= 3
    assert slots == sorted(slots)


def test_times_that_can_not_be_had() -> None:
    now = kyiv("2026-08-31T10:00")
    assert OFFICE.fits(kyiv("2026-08-31T10:15"), now)
    for unfit in ("2026-08-31T10:20", "2026-08-31T09:45", "2026-08-31T18:00", "2026-09-06T12:00", "2027-01-11T12:00"):
        assert not OFFICE.fits(kyiv(unfit), now)
    for end in ("0001-01-01T00:00+14:00", "9999-12-31T23:45-14:00"):  # of which there is none in UTC
        assert not OFFICE.fits(datetime.fromisoformat(end), now)


@pytest.mark.parametrize(
    "text", ["Mon", "Mon 9-18", "Mon 09:00-09:00", "Mon 1:00-25:00", "Mon 9:70-10:00", "Пн 9:00-9:30"]
)
def test_hours_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="hours"):
        parse_hours(text)


@pytest.mark.parametrize("text", ["1", "13-01", "2026-02-30", "tomorrow"])
def test_dates_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="dates"):
        parse_holidays(text)


@given(st.integers(0, 6), st.integers(0, 6))
def test_days_go_round_the_week(first: int, last: int) -> None:
    spans = parse_hours(f"{DAYS[first]}-{DAYS[last]} 9:00-18:00")
    days = {weekday for weekday, _, _ in spans}
    assert {first, last} <= days
    assert len(days) == (last - first) % 7 + 1
