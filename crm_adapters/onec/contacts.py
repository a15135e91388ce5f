"""Finds who has a number, however 1C keeps it: 380671234567, 0671234567 or with marks."""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import phonenumbers

from crm_adapters.errors import Misconfigured, Refused
from crm_adapters.onec.answers import Exceptional
from crm_adapters.onec.client import Base
from crm_adapters.onec.profiles import CONTACTS, PHONE, PHONE_WITHOUT_CODES, SHOWN, Profile, contact_sets

MOST_ROWS = 1000
"""A large base has hundreds of numbers with the same last four digits."""
MOST_WAYS, USUAL_WAYS = 10, 4
CONTACT, LOOKED, OWNERS, REFUSED = "contact", "looked", "owners", "refused_ways"
TAKEN_LASTS = 600.0
NATIONAL = 9
"""Digits of a national number of Ukraine without its zero: numbers that differ in these are two."""
LEAST_DIGITS, LONGEST_NATIONAL = 7, 10
_BETWEEN = re.compile(r"[,;]|[^\W\d]+")
RUSSIA = "7"
"""Whose trunk prefix is 8."""

_taken: dict[tuple[str, str], tuple[float, int]] = {}
"""How a base was asked with success, by its address and the catalog; a hint, so threads need no lock."""


@dataclass(frozen=True, kw_only=True)
class Contact:
    """An element of a catalog: who is on the phone."""

    catalog: str
    key: str
    name: str

    @property
    def type(self) -> str:
        """The name of its type where a property may hold elements of several catalogs."""
        return f"StandardODATA.{self.catalog}"


def find_contact(
    base: Base, profile: Profile, number: str, progress: dict[str, Any], region: str = "UA"
) -> Contact | None:
    """The first contact with this number (E.164); None where there is none. Raises AdapterError.

    `progress` keeps how far it came: a base that is so slow that the time ends is asked on from there. `region` is the
    country of numbers without a code.
    """
    if len(_digits(number)) < (LEAST_DIGITS if number.startswith("+") else NATIONAL):
        return None
    if progress.get(CONTACT):
        return Contact(**progress[CONTACT])
    looked = progress.setdefault(LOOKED, [])
    for catalog in contact_sets(base.schema(), profile):
        if catalog not in looked:
            contact = _found(base, catalog, number, str(phonenumbers.country_code_for_region(region)), progress)
            if contact is not None:
                progress[CONTACT] = asdict(contact)
                return contact
            looked.append(catalog)
    return None


def _found(base: Base, catalog: str, number: str, home: str, progress: dict[str, Any]) -> Contact | None:
    known = progress.setdefault(OWNERS, {})
    if catalog not in known:
        rows = _rows(base, catalog, number, home, progress.setdefault(REFUSED, {}))
        known[catalog] = owners(rows, number, home)
    for key in known[catalog]:
        try:
            row = base.get(catalog, key)
        except Refused:
            continue
        if not row.get("DeletionMark"):
            return Contact(catalog=catalog, key=key, name=plain_name(str(row.get("Description") or "")))
    return None


def plain_name(text: str) -> str:
    """A name as it may be shown and written anywhere: without what no text has, such as NUL and half characters."""
    shown = "".join(" " if unicodedata.category(each) in {"Cc", "Cs"} else each for each in text)
    return " ".join(shown.split())[:200]


def _rows(base: Base, catalog: str, number: str, home: str, refused: dict[str, int]) -> list[dict[str, Any]]:
    """What may be the number: by its end; where a base does not take that or has too many of that end, as it is usually
    written, at last in the catalog itself, where a base publishes no tables. `refused` is how many of these ways were
    no use."""
    ways, taken = _ways(number), refused.get(catalog, _way_taken(base, catalog))
    for way in range(taken, len(ways)):
        conditions, how = ways[way]
        try:
            table = f"{catalog}_{CONTACTS}"
            found = [row for each in conditions for row in base.rows(table, filter=each, top=str(MOST_ROWS), **how)]
        except (Refused, Misconfigured, Exceptional):
            refused[catalog] = way + 1  # of other properties or not published: `check` tells of it
            taken += taken == way
            continue
        _taken[base.url, catalog] = (time.monotonic(), taken)
        if len(found) < MOST_ROWS or owners(found, number, home):
            return found
        refused[catalog] = way + 1
    condition = " or ".join(f"d/{each}" for each in exactly(number)[:USUAL_WAYS])
    try:
        elements = base.rows(catalog, filter=f"{CONTACTS}/any(d: {condition})", top=str(MOST_ROWS))
    except (Refused, Misconfigured, Exceptional):
        _taken.pop((base.url, catalog), None)
        return []
    _taken[base.url, catalog] = (time.monotonic(), len(ways))
    return within(elements, number)


def _ways(number: str) -> list[tuple[list[str], dict[str, str]]]:
    """How a table may be asked, the best first: conditions, and what else belongs to the questions."""
    return [
        ([by_its_end(number, PHONE, SHOWN)], {"select": f"Ref_Key,{PHONE},{SHOWN}"}),
        ([by_its_end(number, PHONE)], {"select": f"Ref_Key,{PHONE}"}),
        (_in_pieces(exactly(number)), {}),
    ]


def _way_taken(base: Base, catalog: str) -> int:
    """The first way that the base has taken a while ago: a slow one has no time to refuse the others at each call."""
    at, way = _taken.get((base.url, catalog), (0.0, 0))
    return way if time.monotonic() - at < TAKEN_LASTS else 0


def _in_pieces(conditions: Sequence[str]) -> list[str]:
    return [" or ".join(conditions[at : at + MOST_WAYS]) for at in range(0, len(conditions), MOST_WAYS)]


def within(elements: Sequence[dict[str, Any]], number: str) -> list[dict[str, Any]]:
    """The rows of elements' tables; an element that is shown without its table has the number that was asked for."""
    return [
        {**row, "Ref_Key": element.get("Ref_Key")}
        for element in elements
        for row in element.get(CONTACTS) or [{PHONE: number}]
    ]


def owners(rows: Sequence[dict[str, Any]], number: str, home: str) -> list[str]:
    """The keys of those whose number it is, each once; `home` is the country code of numbers without one."""
    fitting = (row for row in rows if any(is_number(text, number, home) for text in _numbers(row)))
    return list(dict.fromkeys(str(row["Ref_Key"]) for row in fitting if row.get("Ref_Key")))


def is_number(text: str, number: str, home: str) -> bool:
    """Whether a text of a base means this number (E.164). Two countries' numbers may differ in the country code alone:
    what is written with a code, or with the zero or the 8 of calls within a country, is of that country."""
    written, wanted = _digits(text), _digits(number)
    if written == wanted or written[-NATIONAL:] != wanted[-NATIONAL:]:
        return written == wanted
    if written.startswith("00"):
        return written[2:] == wanted
    by_eight = len(written) == NATIONAL + 2 and written.startswith("8")
    bare = (written[1:] if by_eight else written).lstrip("0")
    if len(bare) > LONGEST_NATIONAL:
        return False
    country = wanted.removesuffix(bare)
    if written.startswith("0") or by_eight:
        return country in ({home, RUSSIA} if by_eight else {home})
    return True


def _numbers(row: dict[str, Any]) -> Iterable[str]:
    """Several stand in one field, or an inner number behind it: "044 123-45-67, 067 123-45-67 дод. 5"."""
    return (each for name in (PHONE, SHOWN) for each in _BETWEEN.split(str(row.get(name) or "")))


def exactly(number: str) -> list[str]:
    """The conditions for the usual ways to write a number."""
    return [f"{PHONE} eq '{text}'" for text in ways_to_write(number)]


def by_its_end(number: str, *names: str) -> str:
    """The filter by the last four digits: what it finds is compared digit by digit. In an address it has to stay below
    2 KB, which is all that IIS takes."""
    last = _digits(number)[-4:]
    first, second = last[:2], last[2:]
    ends = (last, f"{first}-{second}", f"{first} {second}", f"{first}.{second}")
    conditions = [f"endswith({name},'{end}')" for name in names or (PHONE, SHOWN) for end in ends]
    conditions += [f"endswith({PHONE},'{last[0]}{mark}{last[1:]}')" for mark in "- "]
    return " or ".join([*conditions, f"{PHONE_WITHOUT_CODES} eq '{_digits(number)[-7:]}'"])


def ways_to_write(number: str) -> list[str]:
    """How people and programs write a number of Ukraine; of another country's its digits, with a plus and without."""
    digits = _digits(number)
    ways = [digits, f"+{digits}"]
    if digits.startswith("380") and len(digits) == 12:
        code, first, second, third = digits[3:5], digits[5:8], digits[8:10], digits[10:]
        ways += [digits[2:], digits[1:]]
        for start in (f"+38 (0{code}) ", f"+38(0{code})", f"(0{code}) ", f"0{code} ", f"+380 {code} ", f"+38 0{code} "):
            ways += [f"{start}{first}-{second}-{third}", f"{start}{first} {second} {third}"]
    return list(dict.fromkeys(ways))


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)
