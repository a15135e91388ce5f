"""Idempotency keys: the same event gives the same key, however it was written, so a repeat is known as one."""

from __future__ import annotations

import hashlib
import json

from connector.calls.numbers import normal_number
from connector.evrotel.localtime import wall_time
from connector.evrotel.parser import EndEvent
from crm_adapters.events import Direction


def start_key(direction: Direction, number_a: str, number_b: str, date: str | None, region: str) -> str | None:
    """64 hex digits over numbers, direction and date. None without a date: then nothing tells a repeat from a call."""
    if not (date and date.strip()):
        return None
    return _digest("start", direction, normal_number(number_a, region), normal_number(number_b, region), _moment(date))


def end_key(end: EndEvent, region: str) -> str:
    """64 hex digits over all that the end says."""
    return _digest(
        "end",
        end.callid,
        normal_number(end.number_a, region),
        normal_number(end.number_b, region),
        end.direction,
        _moment(end.date),
        end.disposition,
        end.billsec,
        end.recfile,
    )


def _moment(date: str | None) -> str | None:
    """One spelling of a date in the PBX's own time; a text that is no date counts as it is."""
    wall = wall_time(date)
    return wall.isoformat() if wall else " ".join((date or "").split()) or None


def _digest(*parts: str | int | None) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
