"""The button of a connection as its settings make it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from connector.callback.hours import Hours, parse_holidays, parse_hours
from connector.callback.limits import Limits, parse_limits
from connector.callback.numbers import parse_countries
from connector.callback.texts import CONSENT
from connector.connections.store import Connection
from connector.texts import in_language


@dataclass(frozen=True, kw_only=True)
class Button:
    """A connection's settings of the button, typed. `extensions` are the phones that ring first, empty: whoever is
    responsible for the client. `countdown` is in seconds."""

    origins: tuple[str, ...]
    hours: Hours
    takes_slots: bool
    extensions: tuple[str, ...]
    countdown: int
    attempts: int
    countries: tuple[str, ...]
    limits: Limits
    consent: str
    consent_url: str
    phone: str

    def consent_text(self, language: str) -> str:
        """What a visitor has to agree to, empty where nothing is asked."""
        if self.consent or not self.consent_url:
            return self.consent
        return in_language(language, CONSENT)


def button_of(connection: Connection) -> Button:
    """The button of these settings; limits that were kept before they were checked count as none."""
    try:
        limits = parse_limits(connection.get("callback_limits"))
    except ValueError:
        limits = parse_limits("")
    return Button(
        origins=tuple(filter(None, connection.get("callback_origins").split(","))),
        hours=Hours(
            zone=connection.zone,
            spans=parse_hours(connection.get("callback_hours")),
            holidays=parse_holidays(connection.get("callback_holidays")),
        ),
        takes_slots=connection.get("callback_off_hours") == "slots",
        extensions=tuple(each.strip() for each in connection.get("callback_extensions").split(",") if each.strip()),
        countdown=int(connection.get("callback_countdown")),
        attempts=int(connection.get("callback_attempts")),
        countries=parse_countries(connection.get("callback_numbers")),
        limits=limits,
        consent=connection.get("callback_consent"),
        consent_url=connection.get("callback_consent_url"),
        phone=connection.get("callback_phone"),
    )


def version_of(text: str, url: str) -> str:
    """The version of a consent: a digest of what was shown."""
    return hashlib.sha256(f"{text}\n{url}".encode()).hexdigest()[:16]
