"""The PBX's wall time becomes the right instant, also where clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connector.evrotel.localtime import event_time, wall_time

KYIV = ZoneInfo("Europe/Kyiv")
ARRIVAL = datetime(2018, 4, 1, 12, 0, 0, 5, tzinfo=UTC)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]  # the parts never reach tzinfo


@pytest.mark.parametrize(
    "text",
    [
        "2018-04-01 00:00:11",
        "2018-04-01T00:00:11",
        "  2018-04-01  00:00:11 ",
        "01.04.2018 00:00:11",
        "01.04.2018T00:00:11",
        "2018-04-01 0:00:11",
        "2018-04-01 00:00:11.987654",
        "2018-04-01T00:00:11+00:00",  # the offset that the statistics show is false
        "2018-04-01T00:00:11-0500",
        "2018-04-01T00:00:11Z",
    ],
)
def test_every_spelling_is_the_wall_time_of_the_pbx(text: str) -> None:
    assert event_time(text, KYIV, ARRIVAL) == utc(2018, 3, 31, 21, 0, 11)
    assert wall_time(text) == datetime.fromisoformat("2018-04-01 00:00:11")


@pytest.mark.parametrize("text", ["2018-04-01 00:00", "2018-04-01T00:00", "01.04.2018 00:00"])
def test_seconds_may_be_missing(text: str) -> None:
    assert event_time(text, KYIV, ARRIVAL) == utc(2018, 3, 31, 21, 0)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "yesterday",
        "2018-04-01",
        "0000-00-00 00:00:00",
        "2018-02-30 00:00:00",
        "2018-04-01 24:00:00",
        "2018-04-01 00:00:60",
        "0001-01-01 00:00:00",
        "٢٠١٨-04-01 00:00:11",
        "1522566805",
    ],
)
def test_the_arrival_serves_where_no_date_can_be_read(text: str | None) -> None:
    read = event_time(text, KYIV, ARRIVAL.astimezone(KYIV))
    assert read == ARRIVAL
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    ("arrived_at", "instant"),
    [
        (utc(2024, 10, 27, 0, 31), utc(2024, 10, 27, 0, 30)),  # 03:30 in summer time
        (utc(2024, 10, 27, 1, 31), utc(2024, 10, 27, 1, 30)),  # 03:30 in winter time
        (utc(2024, 10, 27, 1, 0), utc(2024, 10, 27, 0, 30)),  # equally near: the earlier
        (utc(2024, 10, 27, 9, 0), utc(2024, 10, 27, 1, 30)),
    ],
)
def test_the_hour_that_comes_twice_is_the_one_nearer_to_the_arrival(arrived_at: datetime, instant: datetime) -> None:
    assert event_time("2024-10-27 03:30:00", KYIV, arrived_at) == instant


def test_the_missing_hour_is_read_with_the_offset_before_the_switch() -> None:
    assert event_time("2024-03-31 03:30:00", KYIV, utc(2024, 3, 31, 1, 31)) == utc(2024, 3, 31, 1, 30)
    assert event_time("2024-03-31 03:30:00", KYIV, utc(2024, 3, 31, 0, 31)) == utc(2024, 3, 31, 1, 30)


ZONES = [
    "Europe/Kyiv",
    "Europe/Warsaw",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Asia/Almaty",
    "UTC",
]
FORMATS = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S+00:00", "%d.%m.%Y %H:%M:%S"]
ANY_TIME = st.datetimes(datetime.fromisoformat("2000-01-02"), datetime.fromisoformat("2040-01-01"))
NEAR_A_SWITCH = st.builds(
    lambda year, hour: datetime.fromisoformat(f"{year}-10-24") + timedelta(hours=hour),
    st.integers(2000, 2039),
    st.floats(0, 9 * 24),
)


@given(
    moment=(ANY_TIME | NEAR_A_SWITCH).map(lambda moment: moment.replace(microsecond=0, tzinfo=UTC)),
    zone=st.sampled_from(ZONES),
    form=st.sampled_from(FORMATS),
    delay=st.timedeltas(timedelta(0), timedelta(minutes=10)),
)
@example(moment=utc(2024, 10, 27, 0, 59, 59), zone="Europe/Kyiv", form=FORMATS[0], delay=timedelta(seconds=3))
@example(moment=utc(2024, 10, 27, 1, 0), zone="Europe/Kyiv", form=FORMATS[0], delay=timedelta(seconds=3))
@example(moment=utc(2024, 3, 31, 1, 0), zone="Europe/Kyiv", form=FORMATS[0], delay=timedelta(seconds=3))
def test_what_the_clock_showed_is_when_it_was(moment: datetime, zone: str, form: str, delay: timedelta) -> None:
    shown = moment.astimezone(ZoneInfo(zone)).strftime(form)
    assert event_time(shown, ZoneInfo(zone), moment + delay) == moment


@given(st.text(), st.sampled_from(ZONES))
def test_no_text_breaks_the_clock(text: str, zone: str) -> None:
    assert event_time(text, ZoneInfo(zone), ARRIVAL) == ARRIVAL
