"""Which of our calls a call record is about: a pure decision over what both say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from connector.calls.matching import ARRIVAL_TOLERANCE, CLOCK_TOLERANCE, same_parties, same_recording
from connector.calls.numbers import Parties
from connector.evrotel.records import CallRecord
from crm_adapters.events import Direction

SAME_TALK = 2
"""By so many seconds may the talk time of the records and of an event differ."""
UNTIL_IT_RINGS = timedelta(minutes=3)
"""So long after we had a call dialled it may begin by the records."""


@dataclass(frozen=True, kw_only=True)
class OurCall:
    """A call as we have it. `started_at`, `ended_at` (None while it goes on) and `arrived_at` (when we first heard of
    it, which is near its start, or its end where that came alone) are UTC.

    `key` is the record it is known to be, `expected`: its start has not come, `started_at` is when it was asked for.
    """

    id: str
    direction: Direction
    parties: Parties
    started_at: datetime
    ended_at: datetime | None
    arrived_at: datetime
    billsec: int | None
    recfile: str | None
    key: str | None = None
    expected: bool = False


def match_records(records: Sequence[CallRecord], calls: Sequence[OurCall]) -> dict[str, str]:
    """By a record's key the ID of the call it is about, each call once; a record that is not named is of no call.

    First what was matched before, then the same recording, then the nearest in time of the same client.
    """
    by_key = {call.key: call.id for call in calls if call.key}
    found = {record.key: by_key[record.key] for record in records if record.key in by_key}
    free = {call.id: call for call in calls if not call.key}
    left = [record for record in records if record.key not in found]
    pairs = sorted(
        (pair for record in left for call in free.values() if (pair := _pair(record, call))),
        key=lambda pair: pair[0],
    )
    for _, key, call_id in pairs:
        if key not in found and call_id in free:
            found[key] = call_id
            del free[call_id]
    return found


Pair = tuple[tuple[bool, float, float, str], str, str]
"""How far apart they are (other recordings, seconds, seconds between their starts, and the IDs for one order), the
record's key, the call's ID."""


def _pair(record: CallRecord, call: OurCall) -> Pair | None:
    recorded_alike = same_recording(record.recfile, call.recfile)
    apart = _apart(record, call)
    if not recorded_alike and (apart is None or not _may_be(record, call)):
        return None
    seconds = apart.total_seconds() if apart is not None else 0.0
    starts = abs(record.started_at - call.started_at).total_seconds()
    return (not recorded_alike, seconds, starts, f"{record.key} {call.id}"), record.key, call.id


def _may_be(record: CallRecord, call: OurCall) -> bool:
    places = (record.parties, *record.legs)
    return record.direction is call.direction and any(same_parties(place, call.parties) for place in places)


def _apart(record: CallRecord, call: OurCall) -> timedelta | None:
    """How far the two are apart in time; None where they can't be one call."""
    after = record.started_at - call.started_at
    if call.expected:
        return after if -CLOCK_TOLERANCE <= after <= UNTIL_IT_RINGS + CLOCK_TOLERANCE else None
    if _one_after_the_other(record, call):
        return None
    # A call that is known from its end alone has a guessed start; where the zone is set wrong only arrivals are right.
    ours = [(record.started_at, call.started_at), (record.started_at, call.arrived_at)]
    if call.ended_at:
        ours += [(record.ended_at, call.ended_at), (record.ended_at, call.arrived_at)]
    nearest = min(abs(said - known) for said, known in ours)
    return nearest if nearest <= CLOCK_TOLERANCE else None


def _one_after_the_other(record: CallRecord, call: OurCall) -> bool:
    """Whether one was over when the other began: a client who was missed tries again at once.

    Without a date of the PBX's nobody knows: its clock and ours may be apart. The same seconds of talk are one call's.
    """
    same_talk = call.billsec and abs(call.billsec - record.billsec) <= SAME_TALK
    if same_talk or call.started_at == call.arrived_at:
        return False
    begun = min(call.started_at, call.arrived_at)  # the date is wrong where the zone is set wrong
    over = max(call.ended_at, call.arrived_at) if call.ended_at else None
    return begun > record.ended_at + ARRIVAL_TOLERANCE or (
        over is not None and record.started_at > over + ARRIVAL_TOLERANCE
    )
