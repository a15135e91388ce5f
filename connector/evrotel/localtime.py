"""The PBX's wall time to UTC. Evrotel sends local times without an offset, or with one that is false."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

# Whatever offset follows is not read: the published statistics say 09:03:03+00:00 for a call of 07:03:03 UTC.
_CLOCK = r"(?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,]\d+)?)?\s*(?:Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?"
_FORMATS = tuple(
    re.compile(rf"{day}(?:\s+|T){_CLOCK}", re.ASCII | re.IGNORECASE)
    for day in (
        r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)",
        r"(?P<day>\d\d)\.(?P<month>\d\d)\.(?P<year>\d{4})",
    )
)


EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
FUTURE = timedelta(days=2)
"""A wrong time zone makes hours of difference; more than that is a wrong clock."""


def wall_time(date: str | None) -> datetime | None:
    """The naive time that a text such as "2018-04-01 00:00:11" or "01.04.2018 00:00" shows, None where it shows none.

    An offset in the text is ignored; a fraction of a second is dropped.
    """
    for pattern in _FORMATS:
        found = pattern.fullmatch((date or "").strip())
        if not found:
            continue
        year, month, day, hour, minute, second = (
            int(found[part] or 0) for part in ("year", "month", "day", "hour", "minute", "second")
        )
        try:
            return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - wall time has no zone
        except ValueError:
            return None
    return None


def event_time(date: str | None, zone: ZoneInfo, arrived_at: datetime) -> datetime:
    """When an event was by the PBX's clock in `zone`, as aware UTC; `arrived_at` (aware) where the text shows no time.

    A time that no call can have (before EARLIEST, or after the arrival by more than FUTURE) counts as none.

    In autumn an hour comes twice: the reading nearer to the arrival counts, of two equally near the earlier one. In
    spring an hour is missing: a time in it is read with the offset from before the switch (03:30 is 04:30).
    """
    arrived_at = arrived_at.astimezone(UTC)
    wall = wall_time(date)
    if wall is None:
        return arrived_at
    try:
        first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    except OverflowError:  # the first or last day of the calendar
        return arrived_at
    second = max(first, second)  # in the missing hour: the offset from before the switch
    nearer = min(first, second, key=lambda reading: abs(reading - arrived_at))
    return nearer if EARLIEST <= nearer <= arrived_at + FUTURE else arrived_at
