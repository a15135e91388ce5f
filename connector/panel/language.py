"""Ukrainian, Russian, English: which one a request gets, and how times, numbers and durations are written in it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_datetime
from flask import Flask, has_request_context, request
from flask_babel import Babel, get_locale
from flask_login import current_user

from connector.calls.numbers import readable

LANGUAGES = {"uk": "Українська", "ru": "Русский", "en": "English"}
DEFAULT = "uk"
COOKIE = "language"
KEPT_SECONDS = 365 * 24 * 3600


def set_up_language(app: Flask) -> None:
    """Babel and the templates' filters."""
    Babel(
        app,
        default_locale=DEFAULT,
        default_translation_directories=str(Path(__file__).parent / "translations"),
        locale_selector=language,
    )
    app.jinja_env.filters.update(local_time=local_time, iso_time=iso_time, phone=phone, clock=clock)
    app.jinja_env.globals.update(LANGUAGES=LANGUAGES, language=language)


def language() -> str:
    """The user's own choice, else this browser's, else what the browser asks for, else Ukrainian."""
    if not has_request_context():
        return DEFAULT
    chosen = getattr(current_user, "language", None) or request.cookies.get(COOKIE)
    if chosen in LANGUAGES:
        return str(chosen)
    return request.accept_languages.best_match(list(LANGUAGES)) or DEFAULT


def local_time(moment: datetime | None, zone: ZoneInfo | None = None, width: str = "short") -> str:
    """A moment in the connection's zone; without a zone in UTC, and then it says so."""
    if moment is None:
        return "–"
    locale: Any = get_locale()
    if zone is None:
        return format_datetime(moment, "short", locale=locale) + " UTC"
    return format_datetime(moment, width, tzinfo=zone, locale=locale)


def iso_time(moment: datetime) -> str:
    """For the `datetime` attribute."""
    return moment.isoformat(timespec="seconds")


def phone(number: str | None) -> str:
    """`+380987858227` as `+380 98 785 8227`; a dash where there is none."""
    return readable(number) if number else "–"


def clock(seconds: int | None) -> str:
    """75 as `1:15`, 3675 as `1:01:15`."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
