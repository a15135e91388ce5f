"""What a visitor's request says, whichever way it was sent: JSON or a form, with nothing but a phone or with all there
is. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from connector.panel.language import LANGUAGES
from crm_adapters.addresses import address_parts

HONEYPOT = "website"
"""A field that people do not see."""
PHONES = ("phone", "number", "tel")
"""What a site's own form may name the number, the first that is there counts."""
TAGS = ("utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term")
LONGEST_ADDRESS, LONGEST_TITLE, LONGEST_TAG = 2000, 300, 200


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A visitor's request. `consent` is the version that was agreed to, `slot` the time that was chosen (ISO 8601); all
    are empty where not given. `language` is one of ours."""

    phone: str
    token: str
    consent: str
    slot: str
    honeypot: str
    language: str
    page: str
    title: str
    referrer: str
    utm: Mapping[str, str]


def read_wanted(values: Mapping[str, Any], *, page: str, language: str) -> Wanted:
    """The request of these fields; `page` and `language` stand in where they name none."""
    address = _address(values.get("page")) or _address(page)
    asked = _text(values.get("lang"), 5).lower()
    return Wanted(
        phone=next((text for name in PHONES if (text := _text(values.get(name), 100))), ""),
        token=_text(values.get("token"), 500),
        consent=_text(values.get("consent"), 16),
        slot=_slot(values.get("slot")),
        honeypot=_text(values.get(HONEYPOT), 100),
        language=asked if asked in LANGUAGES else language,
        page=address,
        title=_text(values.get("title"), LONGEST_TITLE),
        referrer=_address(values.get("referrer")),
        utm=_tags(values, address),
    )


def _slot(value: Any) -> str:
    """The time that was chosen; what is no time stays something that none fits, lest it is called at once."""
    return (_text(value, 40) or "?") if value else ""


def _tags(values: Mapping[str, Any], page: str) -> dict[str, str]:
    """The utm tags as they were given, or as the page's address has them."""
    given = values.get("utm")
    in_page = dict(parse_qsl(address_parts(page).query)) if page else {}
    found = {}
    for tag in TAGS:
        nested = given.get(tag) if isinstance(given, dict) else None
        if text := _text(nested or values.get(tag) or in_page.get(tag), LONGEST_TAG):
            found[tag] = text
    return found


def _address(value: Any) -> str:
    """A web address; nothing else, since people click on it."""
    text = _text(value, LONGEST_ADDRESS)
    parts = address_parts(text)
    return text if parts.scheme in {"http", "https"} and parts.hostname else ""


def _text(value: Any, longest: int) -> str:
    """A text on one line without control characters; empty for anything but texts and numbers."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    kept = "".join(character if character.isprintable() else " " for character in str(value))
    return " ".join(kept.split())[:longest]
