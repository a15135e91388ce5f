"""The forms of the autodial's pages."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import gettext, lazy_gettext
from flask_wtf import FlaskForm
from flask_wtf.file import FileField, FileRequired
from wtforms import (
    BooleanField,
    DateTimeLocalField,
    Field,
    HiddenField,
    IntegerField,
    SelectChoice,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange, Optional, Regexp, ValidationError

from connector.autodial.answers import REDIALLABLE
from connector.autodial.campaigns import MOST_AT_ONCE
from connector.autodial.do_not_call import LONGEST_REASON
from connector.autodial.drafts import Plan
from connector.autodial.hours import parse_holidays, parse_quiet_hours
from connector.panel.autodial_words import in_words
from connector.panel.labels import DISPOSITIONS

_FILL_IN = lazy_gettext("Please fill this in.")
_KEY = Regexp(r"^[0-9a-f]{32}$")
LONGEST_NAME = 200
AUDIO = ".wav,.mp3,.ogg,.flac,audio/wav,audio/mpeg,audio/ogg,audio/flac"
LISTS = ".csv,.txt,.xlsx,.xls,.ods"


def _number(label: Any, least: int, most: int, default: int, description: Any = "") -> IntegerField:
    return IntegerField(
        label,
        [
            InputRequired(_FILL_IN),
            NumberRange(least, most, lazy_gettext("A number from %(min)s to %(max)s.", min=least, max=most)),
        ],
        default=default,
        description=description,
        render_kw={"min": least, "max": most, "inputmode": "numeric"},
    )


def _name(description: Any = "") -> StringField:
    return StringField(
        lazy_gettext("Name of the campaign"),
        [DataRequired(_FILL_IN), Length(max=LONGEST_NAME)],
        description=description,
        render_kw={"autocomplete": "off"},
    )


class AudioForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF ships no annotations
    file = FileField(
        lazy_gettext("Audio file"),
        [FileRequired(lazy_gettext("Choose a file."))],
        description=lazy_gettext("WAV, MP3, OGG or FLAC, at most 120 seconds and 20 MB. It is converted by itself."),
        render_kw={"accept": AUDIO},
    )


class _PlayedForm(FlaskForm):  # type: ignore[misc]  # as above
    """What a campaign plays. `key` makes a form that is sent twice one campaign."""

    key = HiddenField(validators=[_KEY], default=lambda: secrets.token_hex(16))
    name = _name()
    mediafile = SelectField(lazy_gettext("Audio file"), [DataRequired(_FILL_IN)])


class NewCampaignForm(_PlayedForm):
    name = _name(lazy_gettext("The CRM shows it with each call."))
    numbers = TextAreaField(
        lazy_gettext("Numbers"),
        description=lazy_gettext("One a line, in any spelling."),
        render_kw={"rows": 8, "spellcheck": "false", "autocomplete": "off"},
    )
    file = FileField(
        lazy_gettext("Or a file with the numbers"),
        description=lazy_gettext("CSV, XLSX or a plain list, up to 50,000 numbers; other columns are left out."),
        render_kw={"accept": LISTS},
    )

    def validate_numbers(self, field: Field) -> None:
        if not (field.data or "").strip() and not self.file.data:
            raise ValidationError(gettext("Paste numbers or choose a file."))


class EvrotelsListForm(_PlayedForm):
    chnum = _number(lazy_gettext("Calls at the same time"), 1, MOST_AT_ONCE, 3)
    consent = BooleanField(
        lazy_gettext("The people on this list have agreed to be called."),
        [DataRequired(lazy_gettext("Nobody is called without it."))],
    )


class PlanForm(FlaskForm):  # type: ignore[misc]  # as above
    """When a campaign calls. Times are in the connection's zone."""

    chnum = _number(lazy_gettext("Calls at the same time"), 1, MOST_AT_ONCE, 3)
    attempts = _number(
        lazy_gettext("Tries for each number"), 1, 10, 3, lazy_gettext("Who was answered is never called again.")
    )
    retry_minutes = _number(lazy_gettext("Minutes until the next try"), 0, 1440, 5)
    redial = SelectMultipleField(
        lazy_gettext("Another try after"),
        choices=[SelectChoice(str(each), DISPOSITIONS[str(each)][0]) for each in REDIALLABLE],
    )
    pause_seconds = _number(lazy_gettext("Seconds between two calls"), 0, 3600, 0)
    quiet_hours = StringField(
        lazy_gettext("Quiet hours"),
        [Length(max=200)],
        description=lazy_gettext("In the client's own time zone; several with ; between. Empty: none."),
        render_kw={"autocomplete": "off", "spellcheck": "false"},
    )
    holidays = StringField(
        lazy_gettext("Holidays"),
        [Length(max=2000)],
        description=lazy_gettext("Dates on which nobody is called, such as 2026-12-25, with spaces between."),
        render_kw={"autocomplete": "off", "spellcheck": "false"},
    )
    starts_at = DateTimeLocalField(
        lazy_gettext("Not before"),
        [Optional()],
        format=["%Y-%m-%dT%H:%M"],
        description=lazy_gettext("In the connection's time zone. Empty: as soon as you start it."),
    )
    ends_at = DateTimeLocalField(
        lazy_gettext("Not after"),
        [Optional()],
        format=["%Y-%m-%dT%H:%M"],
        description=lazy_gettext("Who was not called by then is not called any more."),
    )

    def validate_quiet_hours(self, field: Field) -> None:
        _read(parse_quiet_hours, field.data or "")

    def validate_holidays(self, field: Field) -> None:
        _read(parse_holidays, _days(field.data))

    def validate_ends_at(self, field: Field) -> None:
        if field.data and self.starts_at.data and field.data <= self.starts_at.data:
            raise ValidationError(gettext("This is before the beginning."))

    def plan(self, zone: ZoneInfo) -> Plan:
        """What a valid form says."""
        return Plan(
            chnum=self.chnum.data,
            attempts=self.attempts.data,
            retry_seconds=self.retry_minutes.data * 60,
            redial=self.redial.data,
            pause_seconds=self.pause_seconds.data,
            quiet_hours=(self.quiet_hours.data or "").strip() or None,
            holidays=parse_holidays(_days(self.holidays.data)),
            starts_at=_aware(self.starts_at.data, zone),
            ends_at=_aware(self.ends_at.data, zone),
        )


def plan_form(campaign: Any, zone: ZoneInfo) -> PlanForm:
    """The form with what a campaign's row says."""

    def wall(moment: datetime | None) -> datetime | None:
        return None if moment is None else moment.astimezone(zone).replace(tzinfo=None)

    plain = ("chnum", "attempts", "redial", "pause_seconds")
    return PlanForm(
        data={name: getattr(campaign, name) for name in plain}
        | {
            "retry_minutes": campaign.retry_seconds // 60,
            "quiet_hours": campaign.quiet_hours or "",
            "holidays": " ".join(campaign.holidays),
            "starts_at": wall(campaign.starts_at),
            "ends_at": wall(campaign.ends_at),
        }
    )


class OwnPhoneForm(FlaskForm):  # type: ignore[misc]  # as above
    number = StringField(
        lazy_gettext("Your phone"),
        [DataRequired(_FILL_IN), Length(max=40)],
        render_kw={"type": "tel", "autocomplete": "tel"},
    )


class StartForm(FlaskForm):  # type: ignore[misc]  # as above
    consent = BooleanField(
        lazy_gettext("The people on this list have agreed to be called."),
        [DataRequired(lazy_gettext("Nobody is called without it."))],
    )


class DoNotCallForm(FlaskForm):  # type: ignore[misc]  # as above
    numbers = TextAreaField(
        lazy_gettext("Numbers"),
        description=lazy_gettext("One a line, in any spelling."),
        render_kw={"rows": 3, "spellcheck": "false", "autocomplete": "off"},
    )
    file = FileField(lazy_gettext("Or a file with the numbers"), render_kw={"accept": LISTS})
    reason = StringField(lazy_gettext("Why"), [Length(max=LONGEST_REASON)], render_kw={"autocomplete": "off"})

    def validate_numbers(self, field: Field) -> None:
        if not (field.data or "").strip() and not self.file.data:
            raise ValidationError(gettext("Paste numbers or choose a file."))


def _read(parse: Any, text: Any) -> None:
    try:
        parse(text)
    except ValueError as error:
        raise ValidationError(in_words(error)) from None


def _days(text: str | None) -> Sequence[str]:
    return re.split(r"[\s,;]+", text or "")


def _aware(moment: datetime | None, zone: ZoneInfo) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=zone)
