"""When a client may be called by a campaign: never in quiet hours of the client's own zone, never on a holiday."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from phonenumbers.timezone import time_zones_for_number

_SPAN = re.compile(r"(?P<begin>\d\d?:\d\d)\s*[-\u2013]\s*(?P<end>\d\d?:\d\d)")
LONGEST_LOOK = timedelta(days=400)

Span = tuple[time, time]


def parse_quiet_hours(text: str | None) -> tuple[Span, ...]:
    """`20:00-09:00`, several with `;` between. Raises ValueError that says what there should be."""
    spans = []
    for part in filter(None, (piece.strip() for piece in (text or "").split(";"))):
        found = _SPAN.fullmatch(part)
        try:
            span = tuple(_clock(found[name]) for name in ("begin", "end")) if found else None
        except ValueError:
            span = None
        if span is None or span[0] == span[1]:
            raise ValueError("quiet hours should be as 20:00-09:00, several with ; between")
        spans.append((span[0], span[1]))
    return tuple(spans)


def _clock(text: str) -> time:
    """As people write it: 9:00, and 24:00 for midnight."""
    return time.fromisoformat("00:00" if text == "24:00" else text.zfill(5))


def parse_holidays(texts: Sequence[str]) -> tuple[date, ...]:
    """Dates in ISO 8601. Raises ValueError that says what there should be."""
    try:
        return tuple(sorted({date.fromisoformat(text.strip()) for text in texts if text.strip()}))
    except ValueError:
        raise ValueError("holidays should be dates such as 2026-12-25") from None


def next_allowed(
    moment: datetime, zones: Sequence[ZoneInfo], quiet: Sequence[Span], holidays: Sequence[date]
) -> datetime | None:
    """The first moment from `moment` (aware) on at which it is neither quiet nor a holiday in any of the zones.

    None where there is none within more than a year.
    """
    allowed = moment
    while allowed - moment <= LONGEST_LOOK:
        later = max((_after_stop(allowed, zone, quiet, holidays) for zone in zones), default=allowed)
        if later <= allowed:
            return allowed
        allowed = later
    return None


def _after_stop(moment: datetime, zone: ZoneInfo, quiet: Sequence[Span], holidays: Sequence[date]) -> datetime:
    """The end of the stop that the moment is in, the moment itself where it is in none."""
    local = moment.astimezone(zone)
    if local.date() in holidays:
        return _at(local.date() + timedelta(days=1), time.min, zone)
    for begin, end in quiet:
        wall = local.time()
        if begin < end and begin <= wall < end:
            return max(_at(local.date(), end, zone), moment)
        if begin > end and (wall >= begin or wall < end):
            return max(_at(local.date() + timedelta(days=wall >= begin), end, zone), moment)
    return moment


def _at(day: date, wall: time, zone: ZoneInfo) -> datetime:
    """The moment of a wall time, of two the later one: after the clock was put back it must be over for good. One that
    is left out when the clock is put forward counts as after that, not before.
    """
    moment = datetime.combine(day, wall, zone)
    return max(moment.replace(fold=fold).astimezone(ZoneInfo("UTC")) for fold in (0, 1))


@lru_cache(maxsize=4096)
def zones_of(number: str, fallback: str) -> tuple[ZoneInfo, ...]:
    """The zones that a number (E.164) can be in, the fallback's where that is not known."""
    names: Sequence[str] = ()
    try:
        names = time_zones_for_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        pass
    zones = [zone for name in names if (zone := _zone(name))]
    return tuple(zones) or (ZoneInfo(fallback),)


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return None
