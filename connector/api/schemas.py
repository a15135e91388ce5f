"""What the HTTP API takes and gives, as marshmallow schemas: its OpenAPI is drawn from them."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any

from marshmallow import EXCLUDE, INCLUDE, Schema, ValidationError, fields, validate

from connector.api.queries import Place
from connector.calls.numbers import MAX_EXTENSION_DIGITS
from connector.click_to_call.dialling import MOST_EXTENSIONS
from connector.models import CallState, DeliveryKind, DeliveryState, DialOrigin, DialState
from crm_adapters.events import Direction, Disposition

MOST_ITEMS = 200
_A_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_A_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:")
_LOST_PLUS = re.compile(r"(.{10}[T ][\d:.]+) (\d\d:?\d\d)")  # an offset's plus that a client left unescaped is a space


class Moment(fields.Field[date | datetime]):
    """A date, or a date and time with or without an offset, in ISO 8601."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> date | datetime:
        text = str(value).strip()
        try:
            if _A_DATE.fullmatch(text):
                return date.fromisoformat(text)
            if not _A_TIME.match(text):  # Python reads more of ISO 8601, a week's date as a moment among it
                raise ValueError(text)
            return datetime.fromisoformat(_LOST_PLUS.sub(r"\1+\2", text))
        except ValueError:
            message = "should be a date such as 2026-01-31 or a time such as 2026-01-31T09:00:00+02:00"
            raise ValidationError(message) from None


class Cursor(fields.Field[Place]):
    """Where a list goes on: taken from the former answer's `next`; `numbered`: of a list whose IDs are numbers."""

    def __init__(self, *, numbered: bool = False) -> None:
        described = {"type": "string", "description": "`next` of the former answer"}
        super().__init__(metadata=described)
        self._numbered = numbered

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Place:
        try:
            return Place.read(str(value), numbered=self._numbered)
        except ValueError:
            raise ValidationError("should be the `next` of a former answer") from None


def _choice(values: Any, **options: Any) -> fields.String:
    return fields.String(validate=validate.OneOf([str(value) for value in values]), **options)


def _time(**options: Any) -> fields.String:
    return fields.String(metadata={"format": "date-time", "example": "2026-01-31T09:00:00+02:00"}, **options)


def _moment(key: str, description: str) -> Moment:
    kinds = [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}]
    return Moment(data_key=key, metadata={"description": description, "anyOf": kinds})


def _text(pattern: str, error: str, *rules: Any, **options: Any) -> fields.String:
    """A text that fits a pattern, which both Python and the ECMA-262 of OpenAPI read the same: without anchors, since
    Python's `$` lets a newline pass and its `\\Z` is nothing there."""

    def fits(value: str) -> None:
        if not re.fullmatch(pattern, value):
            raise ValidationError(error)

    metadata = {"pattern": f"^{pattern}$", **options.pop("metadata", {})}
    return fields.String(validate=[*rules, fits], metadata=metadata, **options)


def _different(values: list[str]) -> None:
    if len(set(values)) != len(values):
        raise ValidationError("should not name the same one twice")


def _limit() -> fields.Integer:
    return fields.Integer(load_default=50, validate=validate.Range(1, MOST_ITEMS))


class CallFilter(Schema):
    """Which calls; all that is given must fit."""

    limit = _limit()
    cursor = Cursor()
    since = _moment("from", "Calls that started then or later. Without an offset: in the connection's time zone.")
    until = _moment("to", "Calls that started before then; a date includes that whole day.")
    direction = _choice(Direction)
    disposition = _choice(Disposition)
    number = fields.String(
        validate=[validate.Length(1, 40), validate.ContainsNoneOf("\0")],  # PostgreSQL takes no NUL in a text
        metadata={"description": "The client's number in any spelling", "example": "+380987858227"},
    )


class EventFilter(Schema):
    """Which kept inbound events."""

    limit = _limit()
    cursor = Cursor(numbered=True)
    rejected = _choice(("0", "1"), load_default="0", metadata={"description": "1: only the rejected ones"})


class Period(Schema):
    """From when until when; without a bound as far as calls are kept."""

    since = _moment("from", "From then on. Without an offset: in the connection's time zone.")
    until = _moment("to", "Before then; a date includes that whole day.")


class CallWanted(Schema):
    """A call to be made."""

    to = fields.String(
        required=True,
        validate=[validate.Length(1, 80), validate.ContainsNoneOf("\0")],
        metadata={"description": "The client's number in any spelling", "example": "+380671234567"},
    )
    from_ = fields.List(
        _text(rf"[0-9]{{1,{MAX_EXTENSION_DIGITS}}}", "should be an extension: 1 to 5 digits"),
        data_key="from",
        attribute="from",
        required=True,
        validate=[validate.Length(1, MOST_EXTENSIONS), _different],
        metadata={
            "description": "The extensions of which one is to ring",
            "example": ["101", "102"],
            "uniqueItems": True,
        },
    )
    routing = _choice(
        ("rand", "inline", "all"),
        metadata={"description": "How one is picked; without it as the connection's setting says"},
    )


class IdempotencyKey(Schema):
    """A repeat with the same key and content is answered as the first request, and dials nothing."""

    class Meta:
        unknown = EXCLUDE

    key = _text(
        "[ -~]*",
        "should be ASCII",
        validate.Length(1, 255),
        data_key="Idempotency-Key",
        metadata={"description": "Any text that is new for each request that shall be carried out"},
    )


class Answer(Schema):
    """Of what the API gives: more may be added to it later."""

    class Meta:
        unknown = INCLUDE


class CallSchema(Answer):
    """One phone call."""

    id = fields.String(required=True)
    callid = fields.String(required=True, allow_none=True, metadata={"description": "What its start was answered"})
    crm_call_id = fields.String(required=True, allow_none=True)
    direction = _choice(Direction, required=True)
    client_number = fields.String(required=True, allow_none=True, metadata={"description": "null: withheld"})
    line = fields.String(required=True, allow_none=True)
    extension = fields.String(required=True, allow_none=True)
    started_at = _time(required=True)
    ended_at = _time(required=True, allow_none=True)
    disposition = _choice(Disposition, required=True, allow_none=True)
    billsec = fields.Integer(
        required=True, allow_none=True, metadata={"description": "Seconds of talk; null while the call goes on"}
    )
    recording = fields.String(required=True, allow_none=True, metadata={"format": "uri"})
    state = _choice(CallState, required=True)
    source = _choice(("event", "records"), required=True)


class Calls(Answer):
    """A part of the list of calls, newest first."""

    items = fields.List(fields.Nested(CallSchema), required=True)
    next = fields.String(required=True, allow_none=True, metadata={"description": "The cursor of the next part"})


class AttemptSchema(Answer):
    """One try of a delivery; secrets are masked."""

    at = _time(required=True)
    milliseconds = fields.Integer(required=True)
    outcome = fields.String(required=True, metadata={"description": "`done`, or the error's name"})
    request = fields.String(required=True)
    answer = fields.String(required=True)
    error = fields.String(required=True, allow_none=True)


class DeliverySchema(Answer):
    """One thing that the CRM must be told of a call."""

    id = fields.Integer(required=True)
    kind = _choice(DeliveryKind, required=True)
    state = _choice(DeliveryState, required=True)
    due_at = _time(required=True)
    settled_at = _time(required=True, allow_none=True)
    error = fields.String(required=True, allow_none=True)
    attempts = fields.List(fields.Nested(AttemptSchema), required=True)


class DialSchema(Answer):
    """The request that a call was made for."""

    state = _choice(DialState, required=True)
    origin = _choice(DialOrigin, required=True)
    reason = fields.String(required=True, allow_none=True, metadata={"description": "Why it was not made"})
    answer = fields.String(required=True, allow_none=True, metadata={"description": "What Evrotel said"})
    asked_by = fields.String(required=True, allow_none=True)
    extensions = fields.List(fields.String(), required=True, metadata={"description": "Those that were to ring"})
    asked_at = _time(required=True)


class CallAsked(Answer):
    """A call is on its way. `state` is `accepted`, `started` where its start has come already, and `pending` where it
    waits its turn since very many are asked for."""

    id = fields.String(required=True, metadata={"description": "The ID of the call to come"})
    state = _choice(DialState, required=True)
    call = fields.String(required=True, metadata={"description": "Where the call can be asked for"})


class CallWithDeliveries(CallSchema):
    """One phone call, what the CRM was told of it, and the request that it was made for."""

    dial = fields.Nested(DialSchema, required=True, allow_none=True)
    deliveries = fields.List(fields.Nested(DeliverySchema), required=True)


class EventSchema(Answer):
    """A request of Evrotel's as it came."""

    id = fields.Integer(required=True)
    received_at = _time(required=True)
    accepted = fields.Boolean(required=True)
    reason = fields.String(required=True, allow_none=True, metadata={"description": "Why it was rejected"})
    call_id = fields.String(required=True, allow_none=True)
    content_type = fields.String(required=True)
    body = fields.String(required=True)


class Events(Answer):
    """A part of the list of kept events, newest first."""

    items = fields.List(fields.Nested(EventSchema), required=True)
    next = fields.String(required=True, allow_none=True, metadata={"description": "The cursor of the next part"})


class Retried(Answer):
    """How many deliveries will be tried again."""

    retried = fields.Integer(required=True)


class DirectionStats(Answer):
    """Calls of one direction."""

    calls = fields.Integer(required=True)
    talk_seconds = fields.Integer(required=True)
    by_disposition = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        required=True,
        metadata={"description": "Ended calls by disposition, all five of them"},
    )
    open = fields.Integer(required=True, metadata={"description": "Calls that go on"})


class Stats(Answer):
    """Numbers of calls that started in the time."""

    calls = fields.Integer(required=True)
    missed = fields.Integer(required=True, metadata={"description": "Incoming calls that nobody answered"})
    clients = fields.Integer(required=True, metadata={"description": "Different numbers of clients"})
    incoming = fields.Nested(DirectionStats, required=True)
    outgoing = fields.Nested(DirectionStats, required=True)


class ProblemSchema(Answer):
    """An error (RFC 9457)."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String()
    errors = fields.Dict(keys=fields.String(), metadata={"description": "What is wrong, by parameter"})
