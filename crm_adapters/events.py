"""The language both halves speak: what happened to a call, in plain values.

Numbers of clients and lines are E.164 with a plus wherever they could be read as such ("+380987858227"); short
numbers (extensions, up to 5 digits) stay as they are. Times are aware datetimes in the connection's zone or UTC.
Durations are whole seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Direction(StrEnum):
    """Who dialled: the client (`incoming`) or an employee (`outgoing`)."""

    INCOMING = "incoming"
    OUTGOING = "outgoing"


class Disposition(StrEnum):
    """How a call ended, as Evrotel names it, in snake case."""

    ANSWERED = "answered"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    CONGESTION = "congestion"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class CallFacts:
    """What is known of a call whichever event is told.

    `call_id` is ours: unique for one physical call and the same at every repeat, so it is the idempotency key.
    `crm_call_id` is the CRM's own ID where an earlier telling was given one. `user_id` is the CRM user that the call
    belongs to (by extension, else the connection's default), `fallback_user_id` whom to name when the CRM refuses
    that user. `create_customer` tells whether the CRM may make a lead or contact of an unknown number.
    """

    call_id: str
    crm_call_id: str | None
    direction: Direction
    client_number: str
    line: str | None
    extension: str | None
    user_id: str | None
    fallback_user_id: str | None
    started_at: datetime
    create_customer: bool


@dataclass(frozen=True, kw_only=True)
class CallStarted(CallFacts):
    """The phone rings or the employee dials. `show_card` is false where a card would come too late to be of use."""

    show_card: bool = True


@dataclass(frozen=True, kw_only=True)
class CallEnded(CallFacts):
    """The call is over. `billsec` is talk time in seconds, 0 for a call that nobody answered."""

    ended_at: datetime
    disposition: Disposition
    billsec: int


@dataclass(frozen=True, kw_only=True)
class RecordingReady:
    """The recording of an ended call can be fetched.

    `url` is our public link (None where the CRM could not reach it, then only the content serves), `filename` ends in
    the format's extension, `read_content` returns the whole file's bytes.
    """

    call_id: str
    crm_call_id: str | None
    url: str | None
    filename: str
    read_content: Callable[[], bytes]


Event = CallStarted | CallEnded | RecordingReady
