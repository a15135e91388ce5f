"""Which numbers the button may have called."""

from __future__ import annotations

import pytest

from connector.callback.numbers import INVALID, NOT_ALLOWED, own_numbers, parse_countries, read_phone, refusal_of

OWN = own_numbers({"044 333 44 55", "001"}, "UA")


@pytest.mark.parametrize(
    ("phone", "refusal"),
    [
        ("067 123-45-67", ""),
        ("+38 (067) 123 45 67", ""),
        ("380442223344", ""),
        ("0443334455", NOT_ALLOWED),  # a line of ours
        ("0800 123 456", NOT_ALLOWED),  # free of charge for the caller, not for us
        ("0900 212 345", NOT_ALLOWED),  # premium
        ("+380900212345", NOT_ALLOWED),
        ("112", NOT_ALLOWED),
        ("101", NOT_ALLOWED),  # an extension
        ("+1 900 555 1234", NOT_ALLOWED),
        ("+48 501 234 567", NOT_ALLOWED),
        ("+881 612 345 678", NOT_ALLOWED),  # a satellite
        ("067 123-45", INVALID),
        ("+380 00 000 00 00", INVALID),
        ("call me", INVALID),
        ("", INVALID),
        ("1" * 61, INVALID),
    ],
)
def test_only_ordinary_ukrainian_numbers_by_default(phone: str, refusal: str) -> None:
    assert refusal_of(read_phone(phone, "UA"), ("UA",), OWN) == refusal


def test_other_countries_where_they_are_allowed() -> None:
    countries = parse_countries("ua, PL")
    assert refusal_of(read_phone("+48 501 234 567", "UA"), countries, OWN) == ""
    assert refusal_of(read_phone("+48 701 123 456", "UA"), countries, OWN) == NOT_ALLOWED
    for unfit in ("", "Ukraine", "UA,XX"):
        with pytest.raises(ValueError, match="UA,PL"):
            parse_countries(unfit)
