"""What the HTTP API takes and gives of the autodial."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask_smorest.fields import Upload  # type: ignore[import-untyped]  # the package has no annotations
from marshmallow import Schema, ValidationError, fields, validate

from connector.api.schemas import Answer
from connector.autodial.answers import REDIALLABLE, Outcome
from connector.autodial.campaigns import MOST_AT_ONCE
from connector.autodial.hours import parse_holidays, parse_quiet_hours
from connector.autodial.numbers import MOST
from connector.models import CampaignNumberState, CampaignStatus

_TEXT = [validate.Length(1, 200), validate.ContainsNoneOf("\0")]


class _Aware(fields.Field[datetime]):
    """A time in ISO 8601 with an offset."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> datetime:
        try:
            moment = datetime.fromisoformat(str(value))
            if moment.tzinfo is None or not 2000 <= moment.year < 2900:
                raise ValueError(value)
        except ValueError:
            raise ValidationError("should be a time such as 2026-01-31T09:00:00+02:00") from None
        return moment


class _Entry(fields.Field[str]):
    """One entry of a list of numbers, as somebody wrote it."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        return str(value)[:200] if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _quiet(value: str | None) -> None:
    try:
        parse_quiet_hours(value)
    except ValueError as error:
        raise ValidationError(str(error)) from None


def _days(values: list[str]) -> None:
    try:
        parse_holidays(values)
    except ValueError as error:
        raise ValidationError(str(error)) from None


def _time(**options: Any) -> _Aware:
    described = {"type": "string", "format": "date-time", "example": "2026-01-31T09:00:00+02:00"}
    return _Aware(metadata=described, load_default=None, allow_none=True, **options)


class MediaFile(Schema):
    """A WAV, MP3, OGG or FLAC file of at most 120 seconds."""

    file = Upload(required=True, metadata={"description": "WAV, MP3, OGG or FLAC, at most 120 seconds and 20 MB"})


class MediaAdded(Answer):
    """Evrotel has the file."""

    mediafile = fields.String(required=True, metadata={"description": "Its name at Evrotel, for campaigns"})
    seconds = fields.Float(required=True)


class CampaignWanted(Schema):
    """A campaign; without `numbers` Evrotel's own list is called."""

    mediafile = fields.String(required=True, validate=_TEXT, metadata={"example": "20558_greeting_1a2b3c4d.wav"})
    numbers = fields.List(
        _Entry(metadata={"type": "string", "example": "+380671234567"}),
        load_default=None,
        allow_none=True,
        validate=validate.Length(0, MOST),
        metadata={"description": "Clients' numbers in any spelling"},
    )
    chnum = fields.Integer(
        load_default=3,
        strict=True,
        validate=validate.Range(1, MOST_AT_ONCE),
        metadata={"description": "Calls at the same time"},
    )
    attempts = fields.Integer(load_default=3, strict=True, validate=validate.Range(1, 10))
    retry_seconds = fields.Integer(load_default=300, strict=True, validate=validate.Range(0, 86400))
    redial = fields.List(
        fields.String(validate=validate.OneOf([str(each) for each in REDIALLABLE])),
        load_default=None,
        allow_none=True,
        metadata={"description": "After which results a number is tried again; without it busy, no_answer, congestion"},
    )
    pause_seconds = fields.Integer(load_default=0, strict=True, validate=validate.Range(0, 3600))
    quiet_hours = fields.String(
        load_default=None,
        allow_none=True,
        validate=[validate.Length(0, 200), _quiet],
        metadata={"description": "In the client's time zone", "example": "20:00-09:00"},
    )
    holidays = fields.List(
        fields.String(), load_default=list, validate=_days, metadata={"description": "Dates on which nobody is called"}
    )
    starts_at = _time()
    ends_at = _time()
    test_number = fields.String(
        load_default=None,
        allow_none=True,
        validate=_TEXT,
        metadata={"description": "Called first; the others only when this call was answered"},
    )
    name = fields.String(load_default="", validate=[validate.Length(0, 200), validate.ContainsNoneOf("\0")])


class Rejected(Answer):
    """An entry of the list that can't be called."""

    index = fields.Integer(required=True)
    value = fields.String(required=True)
    error = fields.String(required=True)


class CampaignSchema(Answer):
    """A campaign."""

    id = fields.String(required=True)
    name = fields.String(required=True)
    status = fields.String(required=True, validate=validate.OneOf([str(each) for each in CampaignStatus]))
    mediafile = fields.String(required=True)
    chnum = fields.Integer(required=True)
    attempts = fields.Integer(required=True)
    retry_seconds = fields.Integer(required=True)
    quiet_hours = fields.String(required=True, allow_none=True)
    error = fields.String(required=True, allow_none=True)
    created_at = fields.String(required=True)
    finished_at = fields.String(required=True, allow_none=True)
    counts = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        required=True,
        metadata={"description": f"total, {', '.join(CampaignNumberState)}, and of those done by result"},
    )


class NewCampaignSchema(CampaignSchema):
    """The campaign that was made, and what was left out of its list."""

    rejected = fields.List(fields.Nested(Rejected), required=True)
    duplicates = fields.List(fields.String(), required=True)
    do_not_call = fields.List(fields.String(), required=True)


class CampaignNumberSchema(Answer):
    """What has become of a number."""

    number = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf([str(each) for each in CampaignNumberState]))
    result = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": f"{', '.join(list(Outcome)[:6])}, or why it was skipped"},
    )
    tries = fields.Integer(required=True)
    billsec = fields.Integer(required=True, allow_none=True)
    call = fields.String(required=True, allow_none=True, metadata={"description": "The ID of its last call"})


class CampaignWithNumbers(CampaignSchema):
    """A campaign with each of its numbers."""

    numbers = fields.List(fields.Nested(CampaignNumberSchema), required=True)


class Campaigns(Answer):
    """All campaigns, newest first."""

    items = fields.List(fields.Nested(CampaignSchema), required=True)


class Redialled(Answer):
    """How many numbers are called again."""

    redialled = fields.Integer(required=True)


class NumbersNotToCall(Schema):
    """Numbers that no campaign may call."""

    numbers = fields.List(
        _Entry(metadata={"type": "string", "example": "+380671234567"}),
        required=True,
        validate=validate.Length(1, 1000),
    )
    reason = fields.String(load_default="", validate=[validate.Length(0, 200), validate.ContainsNoneOf("\0")])


class NumberNotToCall(Answer):
    """A number that no campaign calls."""

    number = fields.String(required=True)
    reason = fields.String(required=True)
    created_by = fields.String(required=True)


class NotToCall(Answer):
    """The do-not-call list, newest first."""

    items = fields.List(fields.Nested(NumberNotToCall), required=True)


class Added(Answer):
    """How many numbers were not on the list yet."""

    added = fields.Integer(required=True)


class Removed(Answer):
    """The number that campaigns may call again."""

    removed = fields.String(required=True)
