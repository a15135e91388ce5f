"""One person is one number, however the PBX writes it; a withheld number is nobody's."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connector.calls.numbers import Parties, dialable_number, is_extension, normal_number, parties
from crm_adapters.events import Direction

REGIONS = ["UA", "RU", "DE", "PL", "KZ", "US", "IT"]


@pytest.mark.parametrize(
    "raw",
    [
        "0987858227",
        "380987858227",
        "+380987858227",
        "00380987858227",
        "8 098 785 82 27",
        "80987858227",
        "987858227",
        "+38 (098) 785-82-27",
        "(+38) 098 785 82 27",
        "\u202a+38\u00a0098\u00a0785.82.27",
        "+380 (0) 98 785 82 27",
        "tel:+380987858227",
        "sip:0987858227@pbx.example;user=phone",
        "380987858227@10.0.0.1",
        "０９８７８５８２２７",
        "+0987858227",
    ],
)
def test_every_spelling_of_a_ukrainian_number(raw: str) -> None:
    assert normal_number(raw, "UA") == "+380987858227"


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("raw", ["380987858227", "+380987858227", "00380987858227", "380 98 785-82-27"])
def test_a_number_with_ukraine_s_code_is_ukrainian_in_every_region(raw: str, region: str) -> None:
    assert normal_number(raw, region) == "+380987858227"


@pytest.mark.parametrize(
    ("raw", "region", "number"),
    [
        ("030 901820", "DE", "+4930901820"),
        ("4930901820", "DE", "+4930901820"),
        ("8 912 345-67-89", "RU", "+79123456789"),
        ("79123456789", "RU", "+79123456789"),
        ("221234567", "PL", "+48221234567"),
        ("06 698 82", "IT", "+390669882"),
        ("0800 30 12 34", "UA", "+380800301234"),
        ("+48 22 123 45 67", "UA", "+48221234567"),
        (" 48221234567", "UA", "+48221234567"),  # an unescaped plus in a form is a space
    ],
)
def test_national_and_foreign_numbers(raw: str, region: str, number: str) -> None:
    assert normal_number(raw, region) == number


def test_a_new_range_of_numbers_needs_no_new_release() -> None:
    assert {normal_number(raw, "UA") for raw in ("0111111111", "380111111111", "+380111111111")} == {"+380111111111"}


@pytest.mark.parametrize(
    "raw",
    ["", "  ", "anonymous", "Anonymous", "UNKNOWN", "<unknown>", "private", "Private number", "restricted", "withheld",
     "unavailable", "sip:anonymous@anonymous.invalid", "-", "+", "()"],
)  # fmt: skip
def test_a_withheld_number_is_none(raw: str) -> None:
    assert normal_number(raw, "UA") is None


@pytest.mark.parametrize("raw", ["1", "001", "101", "12345", "0", "112"])
def test_an_extension_stays_as_it_is(raw: str) -> None:
    assert is_extension(raw)
    assert is_extension(f" {raw} ")
    assert normal_number(raw, "UA") == raw
    assert normal_number(f"sip:{raw}@pbx", "UA") == raw


@pytest.mark.parametrize("raw", ["", "123456", "+101", "10a", "*21", "١٠١", "1 01"])
def test_anything_else_is_no_extension(raw: str) -> None:
    assert not is_extension(raw)


@pytest.mark.parametrize(
    ("raw", "number"),
    [
        ("123456", "123456"),
        ("12-34-567", "1234567"),
        ("+99912345678901234567", "99912345678901234567"),
        ("00000000", "00000000"),
        ("1" * 60, "1" * 40),
        (" Kyivstar ", "Kyivstar"),
        ("a" * 60, "a" * 40),
        ("*21#", "*21#"),
        ("1-800-FLOWERS", "1-800-FLOWERS"),
    ],
)
def test_what_no_rule_reads_is_kept(raw: str, number: str) -> None:
    assert normal_number(raw, "UA") == number


SPELLING = st.text(st.sampled_from("0123456789+ -()/.,;:@*#abtelsip<>٣０＋\u00a0é"), max_size=45)


@given(
    raw=st.text(max_size=60) | SPELLING | st.from_regex(r"\+?[0-9]{1,20}", fullmatch=True),
    region=st.sampled_from(REGIONS),
)
@example(raw="+987858227", region="UA")
@example(raw="+3800098785822", region="UA")
def test_a_normal_number_is_its_own_normal_number(raw: str, region: str) -> None:
    number = normal_number(raw, region)
    assert number is None or (normal_number(number, region) == number and 1 <= len(number) <= 40)


MARKS = st.sampled_from(["", " ", "-", ".", "\u00a0"])


@given(st.data(), st.integers(0, 10**9 - 1).map(lambda rest: f"{rest:09}"))
@example(None, "987858227")
def test_all_spellings_of_one_number_give_one(data: st.DataObject | None, rest: str) -> None:
    number = normal_number(f"+380{rest}", "UA")
    possible = phonenumbers.parse(f"+380{rest}", None)
    if str(possible.national_number) != rest:
        return  # nothing in Ukraine begins with the prefix of national calls
    assert number == f"+380{rest}"
    mark = data.draw(MARKS) if data else ""
    for prefix in ("0", "380", "00380", "8 0", "+380", "+38 (0", "tel:+380"):
        assert normal_number(prefix + mark.join(rest), "UA") == number


@pytest.mark.parametrize(
    ("direction", "number_a", "number_b", "who"),
    [
        ("incoming", "0987858227", "0443334455", ("+380987858227", "+380443334455", None)),
        ("incoming", "0987858227", "101", ("+380987858227", None, "101")),
        ("incoming", "anonymous", "101", (None, None, "101")),
        ("incoming", "0987858227", "", ("+380987858227", None, None)),
        ("incoming", "102", "101", ("102", None, "101")),
        ("outgoing", "001", "380987858227", ("+380987858227", None, "001")),
        ("outgoing", "sip:101@pbx", "103", ("103", None, "101")),
        ("outgoing", "0443334455", "0987858227", ("+380987858227", "+380443334455", None)),
    ],
)
def test_who_is_who(
    direction: str, number_a: str, number_b: str, who: tuple[str | None, str | None, str | None]
) -> None:
    client, line, extension = who
    read = parties(Direction(direction), number_a, number_b, "UA")
    assert read == Parties(client_number=client, line=line, extension=extension)


@pytest.mark.parametrize(
    ("raw", "number"),
    [
        ("067 123 45 67 Olena", "+380671234567"),
        ("067 123 45 67 доб. 12", "+380671234567"),
        ("+380671234567x12", "+380671234567"),
        ("0671234567,12", "+380671234567"),
        ("0671234567, 050 123 45 67", "+380671234567"),
        ("380671234567.0", "+380671234567"),
        ("380671234567,00", "+380671234567"),
        ("101", "101"),
        ("06712345678", None),
        ("+3806712345678", None),
        ("Olena", None),
    ],
)
def test_the_number_to_dial_stands_among_remarks(raw: str, number: str | None) -> None:
    assert dialable_number(raw, "UA") == number


def test_a_number_that_lacks_a_digit_is_not_read_with_its_prefix() -> None:
    assert normal_number("067123456", "UA") == "067123456"
