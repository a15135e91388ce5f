"""The language both halves speak: what happened to a call, in plain values.

Numbers of clients and lines are E.164 with a plus wherever they could be read as such ("+380987858227"); short
numbers (extensions, up to 5 digits) stay as they are. Times are aware datetimes in the connection's zone or UTC.
Durations are whole seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


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


class CallKind(StrEnum):
    """What a call is for: an ordinary one, a client's wish to be called back, a message played to a list of numbers,
    employees among themselves (of which no CRM is told)."""

    NORMAL = "normal"
    CALLBACK = "callback"
    AUTODIAL = "autodial"
    INNER = "inner"


@dataclass(frozen=True, kw_only=True)
class CallFacts:
    """What is known of a call whichever event is told.

    `call_id` is ours: unique for one physical call and the same at every repeat, so it is the idempotency key.
    `crm_call_id` is the CRM's own ID where an earlier telling was given one. `create_customer` tells whether the CRM
    may make a lead or contact of an unknown number.

    `client_number` is empty where it is withheld, of which only those with WITHHELD are told.

    Whose call it is, the first that is known: `user_id` is the CRM user of the extension, `noted_user_id` whom the CRM
    has it under since an earlier telling; `line_user_ids`, all of whom see the card, for a call to a line and for a
    call-back that rings at several; and `fallback_user_id`, the connection's default. `employees` are the IDs of all
    users that may be named, empty where that is not known.

    Where a visitor of a site asked to be called, `origin` says for people where that was, in the connection's language,
    and `tags` are the page's utm tags (`utm_source`, ...); `callback_id` is the request's ID. For a call of an autodial
    campaign `origin` names it, and `campaign` is its bare name.

    `callid` is what Evrotel was answered, empty while that is open. `from_records`: found in Evrotel's call records
    afterwards.
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
    kind: CallKind = CallKind.NORMAL
    noted_user_id: str | None = None
    line_user_ids: tuple[str, ...] = ()
    employees: frozenset[str] = frozenset()
    origin: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    callid: str = ""
    campaign: str = ""
    callback_id: str = ""
    from_records: bool = False


@dataclass(frozen=True, kw_only=True)
class Inbound:
    """A request of Evrotel's as it came."""

    content_type: str
    body: bytes


@dataclass(frozen=True, kw_only=True)
class CallStarted(CallFacts):
    """The phone rings or the employee dials. `show_card` is false where a card would come too late to be of use.

    `read_inbound` gives Evrotel's own request, None where the call did not come from one; so it does for an end.
    """

    show_card: bool = True
    read_inbound: Callable[[], Inbound | None] = lambda: None


@dataclass(frozen=True, kw_only=True)
class CallEnded(CallFacts):
    """The call is over. `billsec` is talk time in seconds, 0 for a call that nobody answered; `reason` is text for
    people where a call that was asked for could not be dialled, `result` says how the call ended, in the connection's
    language.

    `recording_url` is our link where a recording is promised, whether or not it is there already. `earlier_notes` reads
    what the adapter noted on this client's earlier calls of late, the newest first, and on no more than 50.
    """

    ended_at: datetime
    disposition: Disposition
    billsec: int
    reason: str = ""
    result: str = ""
    recording_url: str | None = None
    earlier_notes: Callable[[], Sequence[Mapping[str, Any]]] = tuple
    read_inbound: Callable[[], Inbound | None] = lambda: None


@dataclass(frozen=True, kw_only=True)
class RecordingReady:
    """The recording of an ended call can be fetched.

    `url` is its public link (None where the CRM could not reach it, then only the content serves); `read_content`
    returns the whole file's bytes. `filename` ends in the extension of what is at the link, `content_filename` of the
    content's format, which for large files is a smaller one. `seconds` is how long it plays, where that is known.
    `call` is told to those that hear EVERY_EVENT.
    """

    call_id: str
    crm_call_id: str | None
    url: str | None
    filename: str
    content_filename: str
    read_content: Callable[[], bytes]
    seconds: float | None = None
    call: CallFacts | None = None


@dataclass(frozen=True, kw_only=True)
class CallMissed(CallFacts):
    """A client could not reach anybody: the responsible, else the default user, is told and gets something to do.

    `notice` is what they read at once, `title` and `text` what is to be done, by `deadline`; None where nothing is to
    be done. Neither is it while `earlier_task_id`, the CRM's ID of a task for an earlier missed call of this client, is
    open. The texts are in the connection's language. `missed_at` is when they gave up.
    """

    notice: str
    title: str
    text: str
    deadline: datetime | None
    earlier_task_id: str | None = None
    missed_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class CallReturned:
    """The client of a missed call was reached: what was to be done for it is done.

    `task_id` is the CRM's ID of it, None where nothing was to be done. `result` says so in the connection's language.
    `call` is the missed one, told to those that hear EVERY_EVENT; `by_call_id` our ID of the one that reached them.
    """

    call_id: str
    crm_call_id: str | None
    task_id: str | None
    result: str = ""
    call: CallFacts | None = None
    by_call_id: str = ""


@dataclass(frozen=True, kw_only=True)
class EmployeeNotice:
    """Something that an employee should read now, such as why a call that they asked for was not dialled."""

    call_id: str
    crm_call_id: str | None
    user_id: str
    text: str


@dataclass(frozen=True, kw_only=True)
class WorkflowAnswer:
    """What became of a robot's call, for the workflow that waits for it. `ticket` is what the robot gave."""

    call_id: str
    crm_call_id: str | None
    ticket: str
    disposition: Disposition
    billsec: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Announced:
    """Something that is no call has happened: `name` says what, such as `callback.requested`, `data` (JSON values) of
    which. `id` is unique and the same at every repeat: the idempotency key."""

    id: str
    name: str
    at: datetime
    data: Mapping[str, Any]
    call_id: str = ""
    crm_call_id: str | None = None


Event = (
    CallStarted | CallEnded | RecordingReady | CallMissed | CallReturned | EmployeeNotice | WorkflowAnswer | Announced
)
