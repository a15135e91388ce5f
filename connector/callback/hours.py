"""Working hours: whether a moment is within them, when they begin next, which times can be chosen. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DAY_MINUTES = 24 * 60
STEP = timedelta(minutes=15)
"""Between the times that can be chosen; the first is no nearer than this."""
WORKING_DAYS = 3
"""For so many working days times are offered."""
FARTHEST = timedelta(days=31)
_YEAR = 400
_HOURS = re.compile(rf"({'|'.join(DAYS)})(?:\s*-\s*({'|'.join(DAYS)}))?\s+(\d\d?):(\d\d)\s*-\s*(\d\d?):(\d\d)")
_DATE = re.compile(r"(?:(\d{4})-)?(\d\d)-(\d\d)")

Span = tuple[int, int, int]
"""Weekday (0: Monday), and the minutes of the day when it begins and ends."""


def parse_hours(text: str) -> tuple[Span, ...]:
    """The spans of `Mon-Fri 09:00-18:00; Sat 10:00-15:00`; empty text gives none. Raises ValueError."""
    spans: set[Span] = set()
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        found = _HOURS.fullmatch(part)
        if not found:
            raise ValueError("hours such as Mon-Fri 09:00-18:00; Sat 10:00-15:00")
        first, last = DAYS.index(found[1]), DAYS.index(found[2] or found[1])
        from_hour, from_minute, to_hour, to_minute = (int(each) for each in found.groups()[2:])
        begin, end = from_hour * 60 + from_minute, to_hour * 60 + to_minute
        if max(from_minute, to_minute) > 59 or begin >= end or end > DAY_MINUTES:
            raise ValueError("hours that end after they begin, by midnight")
        spans |= {((first + day) % 7, begin, end) for day in range((last - first) % 7 + 1)}
    return tuple(sorted(spans))


def parse_holidays(text: str) -> frozenset[str]:
    """The dates of `2026-08-24, 12-25`, the latter each year; empty text gives none. Raises ValueError."""
    dates = frozenset(piece.strip() for piece in text.split(",") if piece.strip())
    for each in dates:
        found = _DATE.fullmatch(each)
        try:
            date(int((found and found[1]) or 2024), int(found[2]), int(found[3])) if found else None
        except ValueError:
            found = None
        if found is None:
            raise ValueError("dates such as 2026-08-24,12-25 (without a year: each year)")
    return dates


@dataclass(frozen=True, kw_only=True)
class Hours:
    """A week's working hours as wall time of a zone, and dates on which nobody works. Without `spans` always open."""

    zone: ZoneInfo
    spans: tuple[Span, ...] = ()
    holidays: frozenset[str] = frozenset()

    def is_open(self, moment: datetime) -> bool:
        """Whether somebody works at this (aware) moment."""
        local = moment.astimezone(self.zone)
        minute = local.hour * 60 + local.minute
        return any(begin <= minute < end for begin, end in self._of(local.date()))

    def next_open(self, moment: datetime) -> datetime | None:
        """The moment itself where somebody works then, else when they begin (UTC); None where not within a year."""
        if self.is_open(moment):
            return moment
        day = moment.astimezone(self.zone).date()
        for ahead in range(_YEAR):
            openings = self._openings(day + timedelta(days=ahead))
            found = [opening for opening in openings if opening > moment and self.is_open(opening)]
            if found:
                return min(found)
        return None

    def slots(self, moment: datetime, days: int = WORKING_DAYS) -> list[datetime]:
        """The times that can be chosen (in the zone), of the next so many working days."""
        found: list[datetime] = []
        dates: set[date] = set()
        for slot in self._quarters(moment):
            if slot.date() not in dates and len(dates) == days:
                break
            dates.add(slot.date())
            found.append(slot)
        return found

    def fits(self, slot: datetime, moment: datetime) -> bool:
        """Whether a call at `slot` can be promised at `moment`."""
        if not moment <= slot <= moment + FARTHEST:  # looked at first: some zones do not have the calendar's ends
            return False
        local = slot.astimezone(self.zone)
        return not (local.minute % 15 or local.second or local.microsecond) and self.is_open(slot)

    def _openings(self, day: date) -> Iterator[datetime]:
        """When work may begin on a day. Clocks are changed at full hours: then begins, in spring, a span whose begin is
        missing, and in autumn anew one that was over within the hour that comes twice."""
        for begin, end in self._of(day):
            for minute in {begin, *range(-(-begin // 60) * 60, end, 60)}:
                yield from (self._at(day, minute, fold) for fold in (0, 1))

    def _quarters(self, moment: datetime) -> Iterator[datetime]:
        today = moment.astimezone(self.zone).date()
        for ahead in range(FARTHEST.days):
            for begin, end in self._of(today + timedelta(days=ahead)):
                first = -(-begin // 15) * 15
                for minute in range(first, end, 15):
                    slot = self._at(today + timedelta(days=ahead), minute, 0).astimezone(self.zone)
                    is_real = slot.hour * 60 + slot.minute == minute  # in spring an hour is missing
                    if is_real and slot >= moment + STEP:
                        yield slot

    def _of(self, day: date) -> list[tuple[int, int]]:
        """The spans of a day, in minutes, in order and apart."""
        if self.holidays & {day.isoformat(), day.isoformat()[5:]}:
            return []
        if not self.spans:
            return [(0, DAY_MINUTES)]
        merged: list[tuple[int, int]] = []
        for begin, end in sorted((begin, end) for weekday, begin, end in self.spans if weekday == day.weekday()):
            if merged and begin <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((begin, end))
        return merged

    def _at(self, day: date, minute: int, fold: int) -> datetime:
        wall = datetime(day.year, day.month, day.day, minute // 60, minute % 60, fold=fold, tzinfo=self.zone)
        return wall.astimezone(UTC)
