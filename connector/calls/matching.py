"""Which open call an end without a known callid belongs to: a pure decision over what both say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from connector.calls.numbers import Parties, parties
from connector.evrotel.localtime import event_time, wall_time
from connector.evrotel.parser import EndEvent
from crm_adapters.events import Direction

MATCHING_WINDOW = timedelta(hours=24)
"""An end looks for a start that arrived at most so long before it."""
LONGEST_WAIT = timedelta(hours=1)
"""How much longer than it was talked a call can last: ringing, menus, queues. An older open one has lost its end."""
ARRIVAL_TOLERANCE = timedelta(seconds=5)
"""A start that was written first may bear a later time than its end: they came together, or to two machines."""
CLOCK_TOLERANCE = timedelta(seconds=120)
"""So far may the PBX's times and the times of arrival be apart."""


@dataclass(frozen=True, kw_only=True)
class OpenCall:
    """A call whose end has not come. `started_at` is the start's date, `arrived_at` when its start came; both UTC.

    `expected`: its start has not come either, it was only asked for.
    """

    id: str
    direction: Direction
    parties: Parties
    started_at: datetime
    arrived_at: datetime
    expected: bool = False


@dataclass(frozen=True, kw_only=True)
class EndedCall:
    """What an end says. `parties` has who is who for each direction that the call can have: one where the end names it.

    `ended_at` is the end's date, None where it has no readable one; nobody knows whether it means the call's start or
    its end. `billsec` is talk time in seconds.
    """

    direction: Direction | None
    parties: Mapping[Direction, Parties]
    ended_at: datetime | None
    arrived_at: datetime
    billsec: int


def ended_call(end: EndEvent, zone: ZoneInfo, region: str, arrived_at: datetime) -> EndedCall:
    """What the end says, read in the connection's time zone and country of national numbers."""
    directions = (end.direction,) if end.direction else tuple(Direction)
    return EndedCall(
        direction=end.direction,
        parties={direction: parties(direction, end.number_a, end.number_b, region) for direction in directions},
        ended_at=event_time(end.date, zone, arrived_at) if wall_time(end.date) else None,
        arrived_at=arrived_at,
        billsec=end.billsec,
    )


def match_end(end: EndedCall, candidates: Sequence[OpenCall]) -> OpenCall | None:
    """The open call that ended, None where none fits.

    Of several the one that started at the very time that the end names; then one that is old enough for the talk
    time; then one that has begun; then the latest.
    """
    fitting = [
        call
        for call in candidates
        if (said := end.parties.get(call.direction)) and same_parties(said, call.parties) and _in_time(end, call)
    ]
    return max(fitting, key=lambda call: _preference(end, call), default=None)


def same_recording(one: str | None, other: str | None) -> bool:
    """Whether two texts name one recording, be it as a file, a path or an address."""
    return bool(one and other) and _path(one) == _path(other)


def _path(recfile: str | None) -> str:
    path = urlsplit(recfile or "").path
    for prefix in ("/var/www/html", "/var/www"):
        path = path.removeprefix(prefix)
    return path.lstrip("/")


def same_client(said: Parties, known: Parties) -> bool:
    """Whether two events speak of one client's call, also where it went on from one extension to another.

    A withheld number is no client's: then the extensions count too.
    """
    if said.client_number is None:
        return same_parties(said, known)
    return same_parties(replace(said, extension=None), replace(known, extension=None))


def same_parties(said: Parties, known: Parties) -> bool:
    """Whether two events may speak of one call: the same client, and nothing on our side that contradicts.

    A start names the line and its end the extension that answered, so what only one of them knows is no contradiction.
    """
    ours = ((said.line, known.line), (said.extension, known.extension))
    if said.client_number != known.client_number or any(one and other and one != other for one, other in ours):
        return False
    # A withheld number identifies nobody: then the two must at least name the same place on our side.
    return said.client_number is not None or any(one and one == other for one, other in ours)


def _in_time(end: EndedCall, call: OpenCall) -> bool:
    lasted = end.arrived_at - call.arrived_at
    if not -ARRIVAL_TOLERANCE <= lasted <= min(MATCHING_WINDOW, timedelta(seconds=end.billsec) + LONGEST_WAIT):
        return False
    return end.ended_at is None or call.started_at - end.ended_at <= CLOCK_TOLERANCE


def _preference(end: EndedCall, call: OpenCall) -> tuple[bool, bool, bool, datetime, datetime, str]:
    long_enough = end.arrived_at - call.arrived_at + CLOCK_TOLERANCE >= timedelta(seconds=end.billsec)
    is_same = call.started_at == end.ended_at
    return (is_same, long_enough, not call.expected, call.started_at, call.arrived_at, call.id)
