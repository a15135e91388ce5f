"""Finds who has a number, however 1C keeps it: 380671234567, 0671234567 or with marks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from crm_adapters.errors import Misconfigured, Refused
from crm_adapters.onec.answers import Exceptional
from crm_adapters.onec.client import Base
from crm_adapters.onec.profiles import CONTACTS, PHONE, PHONE_WITHOUT_CODES, SHOWN, Profile, contact_sets

MOST_ROWS = 50
MOST_WAYS, USUAL_WAYS = 10, 4
CONTACT, LOOKED = "contact", "looked"
NATIONAL = 9
"""Digits of a national number of Ukraine without its zero: these decide whether two numbers are one."""


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


def find_contact(base: Base, profile: Profile, number: str, progress: dict[str, Any]) -> Contact | None:
    """The first contact with this number (E.164); None where there is none. Raises AdapterError.

    `progress` keeps how far it came: a base that is so slow that the time ends is asked on from there.
    """
    if len(_digits(number)) < NATIONAL:
        return None
    if progress.get(CONTACT):
        return Contact(**progress[CONTACT])
    looked = progress.setdefault(LOOKED, [])
    for catalog in contact_sets(base.schema(), profile):
        if catalog not in looked:
            contact = _found(base, catalog, number)
            if contact is not None:
                progress[CONTACT] = asdict(contact)
                return contact
            looked.append(catalog)
    return None


def _found(base: Base, catalog: str, number: str) -> Contact | None:
    for key in owners(_rows(base, catalog, number), number):
        try:
            row = base.get(catalog, key)
        except Refused:
            continue
        if not row.get("DeletionMark"):
            return Contact(catalog=catalog, key=key, name=str(row.get("Description") or "").strip()[:200])
    return None


def _rows(base: Base, catalog: str, number: str) -> list[dict[str, Any]]:
    """What may be the number: by its end; where a base does not take that, as it is usually written, at last in the
    catalog itself, where a base publishes no tables."""
    table = f"{catalog}_{CONTACTS}"
    for conditions in ([by_its_end(number)], [by_its_end(number, PHONE)], _in_pieces(exactly(number))):
        try:
            return [row for each in conditions for row in base.rows(table, filter=each, top=str(MOST_ROWS))]
        except (Refused, Misconfigured, Exceptional):
            continue  # of other properties or not published: `check` tells of it
    condition = " or ".join(f"d/{each}" for each in exactly(number)[:USUAL_WAYS])
    try:
        return within(base.rows(catalog, filter=f"{CONTACTS}/any(d: {condition})", top=str(MOST_ROWS)), number)
    except (Refused, Misconfigured, Exceptional):
        return []


def _in_pieces(conditions: Sequence[str]) -> list[str]:
    return [" or ".join(conditions[at : at + MOST_WAYS]) for at in range(0, len(conditions), MOST_WAYS)]


def within(elements: Sequence[dict[str, Any]], number: str) -> list[dict[str, Any]]:
    """The rows of elements' tables; an element that is shown without its table has the number that was asked for."""
    return [
        {**row, "Ref_Key": element.get("Ref_Key")}
        for element in elements
        for row in element.get(CONTACTS) or [{PHONE: number}]
    ]


def owners(rows: Sequence[dict[str, Any]], number: str) -> list[str]:
    """The keys of those whose number it is, each once."""
    wanted = _digits(number)[-NATIONAL:]
    fitting = (row for row in rows if any(_digits(text)[-NATIONAL:] == wanted for text in _numbers(row)))
    return list(dict.fromkeys(str(row["Ref_Key"]) for row in fitting if row.get("Ref_Key")))


def _numbers(row: dict[str, Any]) -> Iterable[str]:
    return (str(row.get(name) or "") for name in (PHONE, SHOWN))


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
