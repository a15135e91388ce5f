"""Which numbers the button may have called: those of the allowed countries that cost what any call costs. Pure."""

from __future__ import annotations

from collections.abc import Collection

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberType

from connector.calls.numbers import dialable_number, is_extension, normal_number

ALLOWED_TYPES = frozenset({PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})
"""Never premium, shared-cost, toll-free, personal, pager or voicemail numbers."""
LONGEST_PHONE = 60
INVALID, NOT_ALLOWED = "phone_invalid", "phone_not_allowed"


def parse_countries(text: str) -> tuple[str, ...]:
    """`UA,PL`. Raises ValueError."""
    countries = tuple(piece.strip().upper() for piece in text.split(",") if piece.strip())
    if not countries or not set(countries) <= phonenumbers.SUPPORTED_REGIONS:
        raise ValueError("countries' two letters such as UA,PL")
    return countries


def read_phone(raw: str, region: str) -> str | None:
    """The number that a visitor means, in E.164, or a short one's digits; None where it is none."""
    return dialable_number(raw, region) if len(raw) <= LONGEST_PHONE else None


def refusal_of(number: str | None, countries: Collection[str], own: Collection[str]) -> str:
    """INVALID, NOT_ALLOWED, or empty where it may be called. `own` are the company's own numbers in E.164."""
    if number is None:
        return INVALID
    if is_extension(number) or number in own:
        return NOT_ALLOWED
    try:
        parsed = phonenumbers.parse(number, None)
    except NumberParseException:
        return INVALID
    if not phonenumbers.is_valid_number(parsed):
        at_home = phonenumbers.region_code_for_country_code(parsed.country_code or 0) in countries
        return INVALID if at_home else NOT_ALLOWED
    of_country = phonenumbers.region_code_for_number(parsed) in countries
    return "" if of_country and phonenumbers.number_type(parsed) in ALLOWED_TYPES else NOT_ALLOWED


def own_numbers(named: Collection[str], region: str) -> frozenset[str]:
    """Numbers as settings and calls name them, each in the one spelling."""
    return frozenset(number for each in named if (number := normal_number(each, region)))
