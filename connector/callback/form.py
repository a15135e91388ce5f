"""What the form's script is given: texts, times, consent and a token, in the visitor's language."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_datetime

from connector.callback.button import Button, version_of
from connector.callback.texts import FIRST, FORM
from connector.panel.language import LANGUAGES
from connector.texts import in_language


def form_of(button: Button, *, language: str, token: str, moment: datetime, with_slots: bool) -> dict[str, Any]:
    """The form as it is at this moment. Slots are given where nobody works now, or where they are asked for."""
    opening = button.hours.next_open(moment)
    is_open = opening == moment
    takes = is_open or (opening is not None and button.takes_slots)
    consent = button.consent_text(language)
    slots = button.hours.slots(moment) if takes and (with_slots or not is_open) else []
    return {
        "open": is_open,
        "takes": takes,
        "next_open": None if is_open or opening is None else shown_time(opening, button.hours.zone, language, moment),
        "language": language,
        "texts": {name: in_language(language, text) for name, text in FORM.items()},
        "countdown": button.countdown,
        "consent": {"text": consent, "url": button.consent_url, "version": version_of(consent, button.consent_url)}
        if consent
        else None,
        "phone": button.phone,
        "slots": _days(slots, language),
        "token": token,
    }


def first_texts() -> dict[str, dict[str, str]]:
    """The button's own text by language, and what is shown before the rest has come, or where it does not come."""
    return {language: {name: in_language(language, FORM[name]) for name in FIRST} for language in LANGUAGES}


def shown_time(moment: datetime, zone: ZoneInfo, language: str, today: datetime) -> str:
    """`14:30` of the same day, else with the day, in the zone of the company."""
    local = moment.astimezone(zone)
    form = "HH:mm" if local.date() == today.astimezone(zone).date() else "EEEE, d MMMM, HH:mm"
    return str(format_datetime(local, form, locale=language))


def _days(slots: Sequence[datetime], language: str) -> list[dict[str, Any]]:
    """The slots by day: what the day is called, and each time with its text."""
    days: dict[str, list[list[str]]] = {}
    for slot in slots:
        name = str(format_datetime(slot, "EEEE, d MMMM", locale=language))
        days.setdefault(name, []).append([f"{slot:%H:%M}", slot.isoformat(timespec="minutes")])
    return [{"day": name, "times": times} for name, times in days.items()]
