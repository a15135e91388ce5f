"""What a link asks for, and whether its page may dial without a question."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import phonenumbers
from flask import Request
from phonenumbers import PhoneNumberType
from sqlalchemy import select

from connector.calls.numbers import dialable_number, is_clients
from connector.connections.store import Connection
from connector.deployment import Deployment
from connector.models import Call

ASKED = "asked"
"""In the address of a page whose form was sent: loaded anew, it dials when it is told to."""
LONGEST_GIVEN = 200
_ESCAPED = re.compile("%[0-9A-Fa-f]{2}")
_ORDINARY = frozenset({PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Whom the link is to call: `number` in E.164 (None: it has none that can be called), `given` as it stood there."""

    connection: Connection
    given: str
    number: str | None
    name: str


def read_given(raw: str, region: str) -> tuple[str, str | None]:
    """What a link gives, and the client's number (E.164) in it.

    `tel:` links, and programs that escape a link once more, leave `%20` in it; a plus that nobody escaped has become a
    blank.
    """
    text = unquote(raw) if _ESCAPED.search(raw) else raw
    given = "".join(character if character.isprintable() else " " for character in text).strip()[:LONGEST_GIVEN]
    number = given_number(given, region)
    if number is None and text.startswith(" ") and (number := given_number(f"+{given}", region)):
        given = f"+{given}"
    return given, number


def given_number(given: str, region: str) -> str | None:
    """The client's number (E.164) that a text gives, None where it is none: inner and short numbers are nobody's."""
    number = dialable_number(given, region) if given else None
    return number if number and is_clients(number) else None


def is_ordinary(number: str, region: str) -> bool:
    """Whether calling it costs no more than one expects: a fixed line or a mobile phone of the country."""
    parsed = phonenumbers.parse(number)
    here = phonenumbers.region_code_for_number(parsed) == region
    return here and phonenumbers.number_type(parsed) in _ORDINARY


def calls_by_itself(deployment: Deployment, user: Any, wanted: Wanted, request: Request) -> bool:
    """Whether the page dials as soon as it is there: the user chose so, a person led here, and it is a usual number."""
    if request.method != "GET" or not user.dials_at_once or not user.extension or wanted.number is None:
        return False
    if ASKED in request.args:
        return False
    if not came_by_a_person(request.headers.get("Sec-Fetch-Site"), request.headers.get("Sec-Fetch-User")):
        return False
    return is_ordinary(wanted.number, wanted.connection.get("phone_region")) or _is_known(deployment, wanted)


def came_by_a_person(site: str | None, user: str | None) -> bool:
    """Whether no foreign page has led here by itself (Fetch Metadata, https://www.w3.org/TR/fetch-metadata/).

    A program such as Excel opens the browser with `none`; who clicks a link on a page sends `?1`.
    """
    return site in {"none", "same-origin"} or user == "?1"


def _is_known(deployment: Deployment, wanted: Wanted) -> bool:
    mine = (Call.connection_id == wanted.connection.id, Call.client_number == wanted.number, Call.expected.is_(False))
    with deployment.database.read() as db:
        return db.execute(select(Call.id).where(*mine).limit(1)).first() is not None
