"""Phone numbers in any spelling to one: E.164 with a plus, an extension's digits, or None for a withheld number."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, ValidationResult

from crm_adapters.events import Direction

MAX_EXTENSION_DIGITS = 5
_MAX_LENGTH = 40
_MIN_FOREIGN_DIGITS = 11
_FRACTION = re.compile(r"(?<=\d{7})[.,]0+$")
"""A spreadsheet's numbers are fractions to some programs: 380671234567.0."""
_WITHHELD = frozenset(
    {
        "anonymous",
        "blocked",
        "hidden",
        "none",
        "nonumber",
        "null",
        "private",
        "privatenumber",
        "restricted",
        "unavailable",
        "unknown",
        "unknownnumber",
        "withheld",
    }
)


@dataclass(frozen=True, kw_only=True)
class Parties:
    """Who talks: the client outside (None: withheld), and on our side the line and the extension as far as known."""

    client_number: str | None
    line: str | None
    extension: str | None


def is_extension(raw: str) -> bool:
    """Whether this is an employee's short number: up to 5 digits and nothing else."""
    return re.fullmatch(rf"[0-9]{{1,{MAX_EXTENSION_DIGITS}}}", raw.strip()) is not None


def is_clients(number: str) -> bool:
    """Whether a number (`dialable_number`) is one of somebody outside, neither an inner nor a short one."""
    return re.fullmatch(r"\+\d{7,15}", number) is not None


def dialable_number(raw: str, region: str) -> str | None:
    """The number that a text has to be dialled as, None where it has none: people write remarks beside it, and inner
    numbers to ask for, which Evrotel can't dial.

    In E.164 with a plus where it can be read, digits alone where it is short.
    """
    text = _FRACTION.sub("", raw)
    number = normal_number(text, region)
    if number is not None and re.fullmatch(r"\+\d+", number):
        return number if _is_whole(number) else None
    found = next(iter(phonenumbers.PhoneNumberMatcher(text, region)), None)
    if found is not None:
        return phonenumbers.format_number(found.number, phonenumbers.PhoneNumberFormat.E164)
    return number if number is not None and number.isdecimal() else None


def _is_whole(number: str) -> bool:
    """Ukrainian numbers have nine digits after 380: with more or fewer a stranger would be called, or nobody."""
    return not number.startswith("+380") or len(number) == len("+380671234567")


@lru_cache(maxsize=4096)  # a start needs each number twice, and its line is the same every time
def normal_number(raw: str, region: str) -> str | None:
    """One spelling for all of a number's spellings; `region` (such as "UA") is the country of national numbers.

    E.164 with a plus where the number can be read, digits alone where not (short and inner numbers among them), a text
    of at most 40 characters where it is a name or a feature code (`*21`), None where the number is withheld. What
    comes out goes in again unchanged.
    """
    text = _bare(raw)
    letters = "".join(character for character in text if character.isalpha()).casefold()
    digits = "".join(str(unicodedata.decimal(character)) for character in text if character.isdecimal())
    if not digits and (not letters or letters in _WITHHELD):
        return None
    if letters or not digits or any(mark in text for mark in "*#"):
        return text
    if is_extension(digits):
        return digits
    if re.match(r"\D*\+", text) and (number := _international(digits)):
        return number
    return _dialled(digits, region) or digits


def readable(number: str) -> str:
    """`+380987858227` as `+380 98 785 8227`; short and unreadable numbers as they are."""
    if not number.startswith("+"):
        return number
    try:
        parsed = phonenumbers.parse(number)
    except NumberParseException:
        return number
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def parties(direction: Direction, number_a: str, number_b: str, region: str) -> Parties:
    """Who is who: A calls B, so the client is A of an incoming call and B of an outgoing one."""
    caller, called = normal_number(number_a, region), normal_number(number_b, region)
    client, ours = (caller, called) if direction is Direction.INCOMING else (called, caller)
    if ours is not None and is_extension(ours):
        return Parties(client_number=client, line=None, extension=ours)
    return Parties(client_number=client, line=ours, extension=None)


def _bare(raw: str) -> str:
    """Without `tel:` and `sip:`, the host and parameters of an address, full-width characters and spaces around."""
    text = unicodedata.normalize("NFKC", raw)
    text = re.sub(r"^\W*((tel|sips?|callto):\s*)+", "", text, flags=re.IGNORECASE)
    return re.split("[@;]", text, maxsplit=1)[0].strip()[:_MAX_LENGTH].strip()


def _dialled(digits: str, region: str) -> str | None:
    """E.164 of digits without a plus; the first rule that reads them wins."""
    if re.fullmatch(r"380\d{9}", digits):  # Evrotel's own way to write a Ukrainian number, whatever the region
        return _international(digits)
    if digits.startswith("00") and (number := _international(digits[2:])):
        return number
    if region == "UA" and re.fullmatch(r"80\d{9}", digits):  # the trunk prefix 8 of before 2009 is still written
        digits = digits[1:]
    country_code = str(phonenumbers.country_code_for_region(region))
    if digits.startswith(country_code) and (number := _international(digits, only_valid=True)):
        return number
    if number := _national(digits, region):
        return number
    if len(digits) >= _MIN_FOREIGN_DIGITS:  # a foreign number whose plus was lost, as in a form that did not escape it
        return _international(digits, only_valid=True)
    return None


def _international(digits: str, *, only_valid: bool = False) -> str | None:
    """Digits that begin with a country code. Unless `only_valid`, the right length is enough: ranges come and go."""
    number = _parsed(f"+{digits}", None)
    return _e164(number, only_valid) if number else None


def _national(digits: str, region: str) -> str | None:
    """Digits as they are dialled inside `region`; with the prefix of national calls the right length is enough."""
    number = _parsed(digits, region)
    prefix = phonenumbers.ndd_prefix_for_region(region, strip_non_digits=True)
    if number is None or (prefix and number.italian_leading_zero):
        return None  # so short that the prefix was taken for a part of it
    return _e164(number, not (prefix and digits.startswith(prefix)))


def _parsed(text: str, region: str | None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except NumberParseException:
        return None


def _e164(number: PhoneNumber, only_valid: bool) -> str | None:
    if not phonenumbers.is_valid_number(number) and (
        only_valid or phonenumbers.is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE
    ):
        return None
    text = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return text if _parsed(text, None) == number else None  # a reading that reads differently again is none
