"""What can be set of a connection's call-back button."""

from __future__ import annotations

import re

from connector.callback import hours, limits, numbers
from crm_adapters.addresses import address_parts, is_web_address
from crm_adapters.settings import Field, web_address

LONGEST_CONSENT = 1000
_PORTS = {"http": 80, "https": 443}


def site_of(address: str) -> str:
    """The origin of a web address as browsers send it: lower case, no default port. Raises ValueError."""
    parts = address_parts(address)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("origins such as https://shop.example with commas between")
    host = parts.hostname if ":" not in parts.hostname else f"[{parts.hostname}]"
    port = f":{parts.port}" if parts.port not in {None, _PORTS[parts.scheme]} else ""
    return f"{parts.scheme}://{host}{port}"


def _origins(value: str) -> str:
    origins = [_in_ascii(part.strip().rstrip("/")) for part in value.split(",") if part.strip()]
    for origin in origins:
        if not is_web_address(origin) or address_parts(origin).path or "*" in origin:
            raise ValueError("origins such as https://shop.example with commas between")
    return ",".join(dict.fromkeys(site_of(origin) for origin in origins))


def _in_ascii(address: str) -> str:
    """A host such as магазин.укр as browsers send it."""
    host = address_parts(address).hostname or ""
    try:
        return address if host.isascii() else address.lower().replace(host, host.encode("idna").decode(), 1)
    except UnicodeError:
        return ""


def _opening_hours(value: str) -> str:
    hours.parse_hours(value)
    return value


def _holidays(value: str) -> str:
    hours.parse_holidays(value)
    return value


def _limits(value: str) -> str:
    limits.parse_limits(value)
    return value


def _countries(value: str) -> str:
    return ",".join(numbers.parse_countries(value))


def _seconds(value: str) -> str:
    if not value.isdecimal() or not 10 <= int(value) <= 120:
        raise ValueError("seconds from 10 to 120")
    return str(int(value))


def _tries(value: str) -> str:
    if not re.fullmatch(r"[1-5]", value):
        raise ValueError("tries from 1 to 5")
    return value


def _consent(value: str) -> str:
    if len(value) > LONGEST_CONSENT or not value.isprintable():
        raise ValueError("a text of at most 1000 characters in one line")
    return value


def _phone(value: str) -> str:
    if not re.fullmatch(r"\+?[\d\s()-]{3,25}", value):
        raise ValueError("a phone number such as +380 44 123 45 67")
    return value


CALLBACK_FIELDS = (
    Field(
        key="callback_origins",
        label="Sites of the call-back button",
        help="Only these sites may show it: https://shop.example,https://www.shop.example. Empty: none.",
        check=_origins,
    ),
    Field(
        key="callback_hours",
        label="Working hours of the call-back button",
        help="Such as Mon-Fri 09:00-18:00; Sat 10:00-15:00, in the PBX's time zone. Empty: always.",
        check=_opening_hours,
    ),
    Field(
        key="callback_holidays",
        label="Holidays of the call-back button",
        help="Dates on which nobody works: 2027-01-01,12-25. Without a year: each year.",
        check=_holidays,
    ),
    Field(
        key="callback_off_hours",
        label="Outside working hours",
        help="The visitor chooses a time and is called then, or the button says that you are closed.",
        default="slots",
        choices=("slots", "closed"),
    ),
    Field(
        key="callback_countdown",
        label="Countdown, seconds",
        help="So soon the visitor is promised a call.",
        default="28",
        check=_seconds,
    ),
    Field(
        key="callback_attempts",
        label="Tries where nobody of yours picks up",
        help="Five minutes apart, within working hours.",
        default="2",
        check=_tries,
    ),
    Field(
        key="callback_numbers",
        label="Countries that may be called",
        help="Such as UA,PL. Only geographic and mobile numbers, never premium, short or your own ones.",
        default="UA",
        check=_countries,
    ),
    Field(
        key="callback_limits",
        label="Limits of the call-back button",
        help="How many requests for each number, address and site, and of all; what is left out keeps its default.",
        default=limits.DEFAULTS,
        check=_limits,
    ),
    Field(
        key="callback_consent",
        label="Consent",
        help="What visitors have to agree to before they can ask for a call. Its version is kept with each request.",
        check=_consent,
    ),
    Field(
        key="callback_consent_url",
        label="Privacy policy",
        help="The page that the consent links to.",
        check=web_address,
    ),
    Field(
        key="callback_phone",
        label="Phone to call instead",
        help="Shown in the form: who can't or won't wait calls it.",
        check=_phone,
    ),
)
