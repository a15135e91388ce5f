"""Evrotel's call records: rows of a day as calls, without any I/O.

Two legs of one call share `linkedid`; a call can be in both of the two lists. `linkedid` and `uniqueid` begin with the
moment of the call in Unix seconds; the offset of `calldate` is false: it is the PBX's wall time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from connector.calls.numbers import Parties, is_extension, normal_number, parties
from connector.evrotel.localtime import event_time, wall_time
from connector.evrotel.parser import MAX_BILLSEC, MAX_NUMBER, MAX_RECFILE, Unreadable, read_direction, read_disposition
from crm_adapters.events import Direction, Disposition

LONGEST_KEY = 64
TRUSTED_WITHIN = timedelta(hours=26)
"""So far may the Unix seconds be from the wall time, whose zone may be set wrong, to be believed."""
_UNKNOWN_LETTER = "\N{REPLACEMENT CHARACTER}"
_UNIX = re.compile(r"(\d{9,11})(\.\d+)?")


@dataclass(frozen=True, kw_only=True)
class CallRecord:
    """One phone call by the records, all its legs. Times are aware UTC, `billsec` seconds of talk.

    `key` is its `linkedid` (or what stands for it). `number_a`, `number_b` and `date` are the first leg's texts, as an
    event would have them. `legs` has who is who in each leg: its event may have named the phone that rang first, or
    the one that the call was taken from.
    """

    key: str
    direction: Direction
    parties: Parties
    legs: Sequence[Parties] = ()
    number_a: str
    number_b: str
    date: str | None
    started_at: datetime
    ended_at: datetime
    disposition: Disposition
    billsec: int
    recfile: str | None


@dataclass(frozen=True, kw_only=True)
class SkippedRow:
    """A row that lacks what is needed, and why; `name` is its ID as far as it has one."""

    name: str
    why: str


@dataclass(frozen=True, kw_only=True)
class _Leg:
    key: str
    unique: str
    direction: Direction
    number_a: str
    number_b: str
    did: str | None
    date: str | None
    started_at: datetime
    duration: int
    disposition: Disposition
    billsec: int
    recfile: str | None


class _Lacking(ValueError):
    """A row has not what is needed."""


def call_records(
    rows: Sequence[Any], zone: ZoneInfo, region: str, at: datetime
) -> tuple[list[CallRecord], list[SkippedRow]]:
    """The calls of these rows in order of their starts, and the rows that can't be used. `at` is now, aware."""
    legs: dict[str, dict[str, _Leg]] = {}
    skipped = []
    for number, row in enumerate(rows, 1):
        try:
            leg = _leg(row, zone, at)
        except (_Lacking, Unreadable) as error:
            skipped.append(SkippedRow(name=_name(row, number), why=str(error)))
        else:
            legs.setdefault(leg.key, {}).setdefault(leg.unique, leg)
    records = [_call(list(of_call.values()), region) for of_call in legs.values()]
    return sorted(records, key=lambda record: (record.started_at, record.key)), skipped


def _call(legs: list[_Leg], region: str) -> CallRecord:
    """Legs to a call: it begins with the first, and is what the answered leg (of several the longest) says.

    Where nobody answered it is what the leg says that was tried last.
    """
    legs.sort(key=lambda leg: (leg.started_at, leg.unique))
    first = legs[0]
    main = max(reversed(legs), key=lambda leg: (leg.disposition is Disposition.ANSWERED, leg.billsec))
    who = _parties(first, main, legs, region)
    return CallRecord(
        key=first.key,
        direction=first.direction,
        parties=who,
        legs=_places(first, who, legs, region),
        number_a=first.number_a,
        number_b=first.number_b,
        date=first.date,
        started_at=first.started_at,
        ended_at=max(leg.started_at + timedelta(seconds=max(leg.duration, leg.billsec)) for leg in legs),
        disposition=main.disposition,
        billsec=main.billsec,
        recfile=main.recfile or next((leg.recfile for leg in legs if leg.recfile), None),
    )


def _parties(first: _Leg, main: _Leg, legs: Sequence[_Leg], region: str) -> Parties:
    """The client of the first leg; the line and the extension of whichever leg names one, the answered one first."""
    same_way = [leg for leg in (main, *legs) if leg.direction is first.direction]
    said = [parties(leg.direction, leg.number_a, leg.number_b, region) for leg in same_way]
    client = parties(first.direction, first.number_a, first.number_b, region).client_number
    lines = [normal_number(leg.did, region) for leg in legs if leg.did and not is_extension(leg.did)]
    lines += [each.line for each in said]
    return Parties(
        client_number=client,
        line=next(filter(None, lines), None),
        extension=next((each.extension for each in said if each.extension), None),
    )


def _places(first: _Leg, who: Parties, legs: Sequence[_Leg], region: str) -> list[Parties]:
    """Who is who in each leg that goes the call's way, with the call's own client."""
    same_way = [leg for leg in legs if leg.direction is first.direction]
    said = [parties(leg.direction, leg.number_a, leg.number_b, region) for leg in same_way]
    places = {(who.line if each.line is None else each.line, each.extension) for each in said}
    return [Parties(client_number=who.client_number, line=line, extension=extension) for line, extension in places]


def _leg(row: Any, zone: ZoneInfo, at: datetime) -> _Leg:
    if not isinstance(row, Mapping):
        raise _Lacking("it is no record")
    number_a, number_b = (_text(row, name, MAX_NUMBER) or "" for name in ("numberA", "numberB"))
    if not number_a and not number_b:
        raise _Lacking("it has no numbers")
    direction = read_direction(_text(row, "direction", 40))
    if direction is None:
        raise _Lacking("it has no direction")
    if direction is Direction.OUTGOING and not number_b:
        raise _Lacking("it has no called number")
    key, unique = _keys(row)
    word = _text(row, "disposition", 40)
    if word is None and _text(row, "billsec", 40) is None:
        raise _Lacking("it does not say how the call ended")
    date = _text(row, "calldate", 40)
    billsec = _seconds(row, "billsec")
    return _Leg(
        key=key,
        unique=unique,
        direction=direction,
        number_a=number_a,
        number_b=number_b,
        did=_text(row, "did", MAX_NUMBER),
        date=date,
        started_at=_start(row, date, zone, at),
        duration=_seconds(row, "duration"),
        disposition=read_disposition(word, billsec),
        billsec=billsec,
        recfile=_readable(row, "recfile", MAX_RECFILE),
    )


def _keys(row: Mapping[str, Any]) -> tuple[str, str]:
    """What the call is known by, and what this leg of it is known by."""
    linked, unique = _readable(row, "linkedid", LONGEST_KEY), _readable(row, "uniqueid", LONGEST_KEY)
    number = _readable(row, "id", LONGEST_KEY)
    row_key = f"id {number}" if number else None
    key = linked or unique or row_key
    if key is None:
        raise _Lacking("it has neither linkedid nor uniqueid nor id")
    return key, unique or row_key or key


def _start(row: Mapping[str, Any], date: str | None, zone: ZoneInfo, at: datetime) -> datetime:
    wall = event_time(date, zone, at) if wall_time(date) else None
    for name in ("uniqueid", "linkedid"):
        found = _UNIX.fullmatch(_readable(row, name, LONGEST_KEY) or "")
        moment = datetime.fromtimestamp(int(found[1]), UTC) if found else None
        if moment and abs(moment - (wall or moment)) <= TRUSTED_WITHIN and moment <= at + TRUSTED_WITHIN:
            return moment
    if wall is None:
        raise _Lacking("it has no time")
    return wall


def _seconds(row: Mapping[str, Any], name: str) -> int:
    text = _text(row, name, 40)
    if text is None:
        return 0
    found = re.fullmatch(r"([0-9]{1,9})(?:\.0*)?", text)
    if not found or int(found[1]) > MAX_BILLSEC:
        raise _Lacking(f"its {name} is no number of seconds")
    return int(found[1])


def _readable(row: Mapping[str, Any], name: str, longest: int) -> str | None:
    """A value that a call can do without: one that can't be read counts as missing."""
    try:
        return _text(row, name, longest)
    except _Lacking:
        return None


def _text(row: Mapping[str, Any], name: str, longest: int) -> str | None:
    """A value as stripped text, None where there is none (null, "NULL" and "" too)."""
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _Lacking(f"its {name} should be a text or a number")
    text = str(value).strip()
    if text.casefold() in {"", "null"}:
        return None
    if len(text) > longest or not text.isprintable() or _UNKNOWN_LETTER in text:
        raise _Lacking(f"its {name} can't be read")
    return text


def _name(row: Any, number: int) -> str:
    """The row's ID as far as it has one, else its place in the list."""
    found = row.get("id") or row.get("uniqueid") if isinstance(row, Mapping) else None
    return f"{found}"[:LONGEST_KEY] if isinstance(found, str | int) and f"{found}".isprintable() else f"number {number}"
