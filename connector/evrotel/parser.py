"""Evrotel's call events: from the body of a request to typed values, without any I/O.

The operator's document says JSON; its sample sender sends a form, and JSON arrives labelled as a form. So the body
decides, not its label. Keys come in either case, and a null as null, "NULL", "null" or "" (or, in a form, not at all).
"""

from __future__ import annotations

import json
import logging
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from crm_adapters.events import Direction, Disposition

logger = logging.getLogger(__name__)

Fields = Mapping[str, object]

MAX_BILLSEC = 7 * 24 * 60 * 60
MAX_NUMBER, MAX_CALLID, MAX_RECFILE, MAX_DATE, MAX_WORD = 40, 200, 2000, 40, 40
"""The longest values in characters: the columns they go to, and more than the PBX has a use for."""

_KEYS = frozenset(
    {"callstatus", "calldate", "date", "callid", "numbera", "numberb", "direction", "disposition", "billsec", "recfile"}
)
_MAX_FORM_FIELDS = 100
_DIRECTIONS = {
    **dict.fromkeys(("i", "in", "incoming"), Direction.INCOMING),
    **dict.fromkeys(("o", "out", "outgoing"), Direction.OUTGOING),
}
_DISPOSITIONS = {
    "answered": Disposition.ANSWERED,
    "answer": Disposition.ANSWERED,
    "busy": Disposition.BUSY,
    "congestion": Disposition.CONGESTION,
    "failed": Disposition.FAILED,
    "noanswer": Disposition.NO_ANSWER,
}
# Control characters, lone surrogates (no database takes them) and the separators that would break a line.
_REFUSED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})


class Unreadable(ValueError):
    """The event can't be understood; the message is the one line that Evrotel is answered."""


@dataclass(frozen=True, kw_only=True)
class StartEvent:
    """A call begins. Numbers are Evrotel's texts, stripped, "" where there is none; `date` is its text, PBX's time."""

    number_a: str
    number_b: str
    direction: Direction
    date: str | None


@dataclass(frozen=True, kw_only=True)
class EndEvent:
    """A call is over. `callid` is what its start was answered with, `billsec` the talk time in seconds as it was given.

    Numbers and `date` as at a start; whether the date is the call's start or its end is not documented.
    """

    callid: str | None
    number_a: str
    number_b: str
    direction: Direction | None
    date: str | None
    disposition: Disposition
    billsec: int
    recfile: str | None


def parse_event(body: bytes) -> StartEvent | EndEvent:
    """Reads one event from a request's body, a JSON object or a form, in UTF-8. Raises Unreadable, nothing else."""
    fields = _fields(body)
    status = _text(fields, "callstatus", MAX_WORD)
    match status.casefold() if status else None:
        case "start":
            return _start(fields)
        case "end":
            return _end(fields)
        case None:
            raise Unreadable("callstatus is missing: it should be start or end")
        case _:
            raise Unreadable(f"callstatus should be start or end, not {status!r}")


def _start(fields: Fields) -> StartEvent:
    number_a, number_b = _numbers(fields)
    if not number_a and not number_b:
        raise Unreadable("a start needs numberA or numberB")
    direction = _direction(fields)
    if direction is None:
        raise Unreadable("direction is missing: it should be i or o")
    return StartEvent(number_a=number_a, number_b=number_b, direction=direction, date=_date(fields))


def _end(fields: Fields) -> EndEvent:
    number_a, number_b = _numbers(fields)
    billsec = _billsec(fields)
    return EndEvent(
        callid=_text(fields, "callid", MAX_CALLID),
        number_a=number_a,
        number_b=number_b,
        direction=_direction(fields),
        date=_date(fields),
        disposition=_disposition(fields, billsec),
        billsec=billsec,
        recfile=_text(fields, "recfile", MAX_RECFILE),
    )


def _fields(body: bytes) -> Fields:
    """The known keys in lower case with their values; of a repeated key the last value that is not null."""
    try:
        text = body.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise Unreadable("the body is not UTF-8") from None
    if not text:
        raise Unreadable("the body is empty")
    fields: dict[str, object] = {}
    for name, value in _json_pairs(text) if text[0] in "{[" else _form_pairs(text):
        key = name.strip().casefold()
        if key in _KEYS and not _is_null(value):
            fields[key] = value
    return fields


def _json_pairs(text: str) -> list[tuple[str, object]]:
    if not text.startswith("{"):
        raise Unreadable("the body should be a JSON object or a form")
    try:
        pairs: list[tuple[str, object]] = json.loads(text, object_pairs_hook=list)
    except RecursionError:
        raise Unreadable("the JSON is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise Unreadable(f"the JSON can't be read: {error}") from None
    except ValueError:  # Python's limit on the digits of an integer
        raise Unreadable("the JSON has a number that is too long") from None
    return pairs


def _form_pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FORM_FIELDS)
    except UnicodeDecodeError:
        raise Unreadable("the form is not UTF-8") from None
    except ValueError:
        raise Unreadable("the form has too many fields") from None


def _is_null(value: object) -> bool:
    return value is None or (isinstance(value, str) and value.strip().casefold() in {"", "null"})


def _text(fields: Fields, name: str, limit: int) -> str | None:
    """A value as stripped text; whole JSON numbers too. None where it is missing or null."""
    value = fields.get(name.casefold())
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Unreadable(f"{name} should be a text or a whole number")
    text = str(value).strip()
    if len(text) > limit:
        raise Unreadable(f"{name} is longer than {limit} characters")
    if any(unicodedata.category(character) in _REFUSED_CATEGORIES for character in text):
        raise Unreadable(f"{name} has control characters")
    return text


def _numbers(fields: Fields) -> tuple[str, str]:
    return _text(fields, "numberA", MAX_NUMBER) or "", _text(fields, "numberB", MAX_NUMBER) or ""


def _direction(fields: Fields) -> Direction | None:
    return read_direction(_text(fields, "direction", MAX_WORD))


def read_direction(word: str | None) -> Direction | None:
    """Evrotel's word for a direction; None where there is none. Raises Unreadable."""
    if word is None:
        return None
    if word.casefold() not in _DIRECTIONS:
        raise Unreadable(f"direction should be i or o, not {word!r}")
    return _DIRECTIONS[word.casefold()]


def _date(fields: Fields) -> str | None:
    """Never a reason to refuse an event: the time of its arrival serves where there is no date."""
    for name in ("calldate", "date"):
        try:
            text = _text(fields, name, MAX_DATE)
        except Unreadable:
            continue
        if text:
            return text
    return None


def _billsec(fields: Fields) -> int:
    """Whole seconds: a string since 2018-05-25, an integer before; null counts as 0."""
    text = _text(fields, "billsec", MAX_WORD)
    if text is None:
        return 0
    found = re.fullmatch(r"([0-9]+)(?:\.0*)?", text)
    if not found:
        raise Unreadable(f"billsec should be whole seconds, not {text!r}")
    seconds = int(found[1])
    if seconds > MAX_BILLSEC:
        raise Unreadable(f"billsec should be at most {MAX_BILLSEC} seconds, not {text!r}")
    return seconds


def _disposition(fields: Fields, billsec: int) -> Disposition:
    return read_disposition(_text(fields, "disposition", MAX_WORD), billsec)


def read_disposition(word: str | None, billsec: int) -> Disposition:
    """Evrotel's word for how a call ended; where it is missing or new to us, who talked was answered."""
    known = _DISPOSITIONS.get(re.sub(r"[\s_-]", "", word.casefold())) if word else None
    if known is not None:
        return known
    guess = Disposition.ANSWERED if billsec > 0 else Disposition.NO_ANSWER
    if word:
        logger.warning("unknown disposition %r taken as %s", word, guess)
    return guess
