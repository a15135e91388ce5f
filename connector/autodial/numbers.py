"""Lists of numbers for campaigns: from texts, CSV files and spreadsheets, with what is wrong line by line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import phonenumbers
from phonenumbers import PhoneNumberType

from connector.autodial.sheets import rows_of_sheet
from connector.calls.numbers import dialable_number

MOST = 50_000
MOST_BYTES = 8 * 1024 * 1024
LONGEST_SHOWN = 60
_CALLED = re.compile(r"\+380\d{9}")
_NEVER = frozenset({PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST})
_PREMIUM = "+380900"
"""Also those that are not given out yet."""
_LIKE_A_NUMBER = re.compile(r"(?:\D*\d){5,}")
_A_FLOAT = re.compile(r"^(\+?\d{9,15})\.0$")
"""What programs for tables make of a number of twelve digits."""

NO_NUMBER = "this is no phone number"
FOREIGN = "Evrotel's autodial calls Ukrainian numbers only"
PREMIUM = "premium numbers are not called"


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """An entry that can't be called: its place (from 0), its text, and why, for people."""

    index: int
    value: str
    error: str


@dataclass(frozen=True, kw_only=True)
class NumberList:
    """Numbers in E.164 in the order in which they came, each once; what came again, and what can't be called."""

    numbers: Sequence[str]
    duplicates: Sequence[str]
    rejected: Sequence[Rejected]


def read_numbers(texts: Iterable[str], region: str) -> NumberList:
    """The numbers of these texts, one a text; `region` is the country of national numbers."""
    numbers: dict[str, None] = {}
    duplicates, rejected = [], []
    for index, text in enumerate(texts):
        number, error = _read(text, region)
        if number is None:
            rejected.append(Rejected(index=index, value=text.strip()[:LONGEST_SHOWN], error=error))
        elif number in numbers:
            duplicates.append(number)
        else:
            numbers[number] = None
    return NumberList(numbers=tuple(numbers), duplicates=tuple(duplicates), rejected=tuple(rejected))


def _read(text: str, region: str) -> tuple[str | None, str]:
    number = dialable_number(text[:200], region)
    if number is None or not number.startswith("+"):
        return None, NO_NUMBER
    if not _CALLED.fullmatch(number):
        return None, FOREIGN
    if number.startswith(_PREMIUM) or phonenumbers.number_type(phonenumbers.parse(number)) in _NEVER:
        return None, PREMIUM
    return number, ""


def entries_of_file(content: bytes, region: str) -> list[tuple[int, str]]:
    """The entries of a CSV file, a spreadsheet (XLSX, XLS, ODS) or a plain list: line (from 1) and text, one for each
    row that is not empty.

    Of a row with several cells the first one that can be called (`region`: the country of national numbers), else that
    looks like a number; a file of one row is a list across. A first row of headings is left out. Raises ValueError that
    says what is wrong.
    """
    is_sheet = content.startswith((b"PK", b"\xd0\xcf\x11\xe0"))
    table = rows_of_sheet(content, MOST + 2) if is_sheet else _table(_decoded(content))
    rows = [
        (line, cells) for line, row in enumerate(table, 1) if (cells := [cell.strip() for cell in row if cell.strip()])
    ]
    if rows and not any(_LIKE_A_NUMBER.match(cell) for cell in rows[0][1]):
        del rows[0]
    if len(rows) == 1 and all(_can_be_called(cell, region) for cell in rows[0][1]):
        rows = [(rows[0][0], [cell]) for cell in rows[0][1]]
    if len(rows) > MOST:
        raise ValueError(f"a list may have {MOST} numbers at most")
    return [(line, _A_FLOAT.sub(r"\1", _entry(row, region))) for line, row in rows]


def _entry(row: Sequence[str], region: str) -> str:
    """The cell that a row is there for: clients' IDs, contracts and dates look like numbers too."""
    alike = [cell for cell in row if _LIKE_A_NUMBER.match(cell)]
    if len(alike) > 1:
        return next((cell for cell in alike if _can_be_called(cell, region)), alike[0])
    return alike[0] if alike else row[0]


def _can_be_called(cell: str, region: str) -> bool:
    return _read(_A_FLOAT.sub(r"\1", cell), region)[0] is not None


def _decoded(content: bytes) -> str:
    for encoding in ("utf-8-sig", "utf-16" if content[:2] in {b"\xff\xfe", b"\xfe\xff"} else "cp1251"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ValueError("this text can't be read: save it as CSV in UTF-8")


def _table(text: str) -> list[list[str]]:
    """Lines of cells with tabs, semicolons or commas between, whichever there are most of."""
    begin = text[:4000]
    delimiter = max("\t;,", key=begin.count)
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error:
        return [[line] for line in text.splitlines()]
