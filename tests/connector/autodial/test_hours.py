"""Quiet hours are the client's: nobody is called in them, whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.autodial.hours import next_allowed, parse_holidays, parse_quiet_hours, zones_of

KYIV = ZoneInfo("Europe/Kyiv")
NIGHT = parse_quiet_hours("20:00-09:00")


def kyiv(*moment: int) -> datetime:
    return datetime(*moment, tzinfo=KYIV)  # type: ignore[arg-type,misc]  # year to minute


@pytest.mark.parametrize(
    ("moment", "allowed"),
    [
        (kyiv(2026, 7, 1, 12, 0), kyiv(2026, 7, 1, 12, 0)),
        (kyiv(2026, 7, 1, 20, 0), kyiv(2026, 7, 2, 9, 0)),
        (kyiv(2026, 7, 1, 3, 0), kyiv(2026, 7, 1, 9, 0)),
        (kyiv(2026, 7, 1, 9, 0), kyiv(2026, 7, 1, 9, 0)),
        (kyiv(2026, 12, 24, 21, 0), kyiv(2026, 12, 26, 9, 0)),  # over the holiday
        (kyiv(2026, 3, 29, 1, 0), kyiv(2026, 3, 29, 9, 0)),  # the night of the missing hour
        (kyiv(2026, 10, 24, 23, 0), kyiv(2026, 10, 25, 9, 0)),  # and of the hour that comes twice
    ],
)
def test_the_next_moment_at_which_a_client_may_be_called(moment: datetime, allowed: datetime) -> None:
    assert next_allowed(moment, [KYIV], NIGHT, [date(2026, 12, 25)]) == allowed


def test_a_stop_that_ends_in_the_missing_hour_is_kept() -> None:
    """03:30 is not there in that night: 02:45 is before it all the same."""
    quiet = parse_quiet_hours("20:00-03:30")
    assert next_allowed(kyiv(2026, 3, 29, 2, 45), [KYIV], quiet, []) == kyiv(2026, 3, 29, 4, 30)


def test_with_several_zones_it_must_be_day_in_all() -> None:
    zones = [KYIV, ZoneInfo("America/New_York")]
    assert next_allowed(kyiv(2026, 7, 1, 9, 30), zones, NIGHT, []) == kyiv(2026, 7, 1, 16, 0)


def test_never_is_none() -> None:
    always = parse_quiet_hours("00:00-12:00; 12:00-00:00")
    assert next_allowed(kyiv(2026, 7, 1, 9, 30), [KYIV], always, []) is None


_TIMES = st.times().map(lambda each: each.replace(second=0, microsecond=0))
_SPANS = st.lists(st.tuples(_TIMES, _TIMES).filter(lambda span: span[0] != span[1]), max_size=3)
_MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
_ZONES = st.lists(
    st.sampled_from(["Europe/Kyiv", "America/New_York", "Asia/Tokyo"]).map(ZoneInfo), min_size=1, max_size=2
)
_DAYS = st.lists(st.dates(date(2026, 1, 1), date(2027, 12, 31)), max_size=4)


@given(_MOMENTS, _ZONES, _SPANS, _DAYS)
def test_nobody_is_called_in_quiet_hours_or_on_holidays(
    moment: datetime, zones: list[ZoneInfo], quiet: list[tuple[time, time]], holidays: list[date]
) -> None:
    allowed = next_allowed(moment, zones, quiet, holidays)
    if allowed is None:
        return
    assert moment <= allowed <= moment + timedelta(days=401)
    for local in (allowed.astimezone(zone) for zone in zones):
        assert local.date() not in holidays
        for begin, end in quiet:
            wall = local.time()
            assert not (begin <= wall < end if begin < end else wall >= begin or wall < end)


@pytest.mark.parametrize("text", ["20-9", "25:00-09:00", "09:00-09:00", "evening", "20:00-09:00, 12:00-13:00"])
def test_what_is_no_span_says_what_there_should_be(text: str) -> None:
    with pytest.raises(ValueError, match="20:00-09:00"):
        parse_quiet_hours(text)


def test_no_quiet_hours_and_dates() -> None:
    assert parse_quiet_hours("20:00\u20139:00") == NIGHT
    assert parse_quiet_hours("20:00-24:00") == parse_quiet_hours("20:00-00:00")
    assert parse_quiet_hours(None) == parse_quiet_hours(" ; ") == ()
    assert parse_holidays(["2026-12-25", " 2026-01-01 ", ""]) == (date(2026, 1, 1), date(2026, 12, 25))
    with pytest.raises(ValueError, match="2026-12-25"):
        parse_holidays(["25.12."])


def test_zones_are_the_numbers_own() -> None:
    assert zones_of("+380671234567", "Europe/London") == (KYIV,)
    assert zones_of("+12015550123", "Europe/Kyiv") == (ZoneInfo("America/New_York"),)
    assert zones_of("101", "Europe/Kyiv") == (KYIV,)
