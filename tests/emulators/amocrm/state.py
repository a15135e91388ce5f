"""The account itself: every handler reads and changes it, one at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.emulators.amocrm.records import (
    Call,
    Company,
    Contact,
    Customer,
    Lead,
    Note,
    Person,
    Popup,
    Task,
    Token,
    Unsorted,
    Violation,
)


@dataclass
class Account:
    """The account behind the HTTP: every handler reads and changes this, one at a time (`lock`)."""

    id: int
    client_id: str
    client_secret: str
    redirect_uri: str
    users: dict[int, Person]
    is_unsorted_on: bool = True
    customers_mode: str = "disabled"
    subdomain: str = "evrotelshop"
    name: str = "Крамниця"
    address: str = ""
    api_domain: str = ""
    former: dict[str, int] = field(default_factory=dict)
    unpaid: bool = False
    blocked: bool = False
    strict_refresh: bool = True
    refresh_kills_access: bool = False
    mixed_as_400: bool = False
    calls_504_above: int | None = None
    merge_duplicates: bool = False
    index_looks: int = 0
    index_seconds: float = 0.0
    index_search: bool = False
    contacts: dict[int, Contact] = field(default_factory=dict)
    companies: dict[int, Company] = field(default_factory=dict)
    leads: dict[int, Lead] = field(default_factory=dict)
    customers: dict[int, Customer] = field(default_factory=dict)
    notes: dict[int, Note] = field(default_factory=dict)
    tasks: dict[int, Task] = field(default_factory=dict)
    unsorted: dict[str, Unsorted] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    popups: list[Popup] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)
    codes: dict[str, tuple[int, float]] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _offset: float = 0.0
    _last_id: int = 10_000_000

    @property
    def url(self) -> str:
        """Where it is at present."""
        return f"http://{self.address}"

    def now(self) -> float:
        """The account's clock, Unix seconds; tests can move it."""
        return time.time() + self._offset

    def advance(self, seconds: float) -> None:
        """Moves the account's clock forward."""
        self._offset += seconds

    def next_id(self) -> int:
        """A fresh number for whatever has just been made."""
        with self.lock:
            self._last_id += 1
            return self._last_id

    def violate(self, method: str, path: str, what: str) -> None:
        """Remembers a client's mistake."""
        self.violations.append(Violation(method, path, what))

    def is_user(self, number: object) -> bool:
        """Whether there is such a user who has not been dismissed."""
        return isinstance(number, int) and number in self.users and self.users[number].is_active

    def default_user(self) -> int:
        """Who is responsible where nobody has been named: an administrator, as for robots."""
        admins = [user.id for user in self.users.values() if user.is_admin]
        return (admins or list(self.users) or [0])[0]

    def has(self, entity_type: str, number: object) -> bool:
        """Whether there is a contact, company, lead or customer of that number that is not deleted."""
        if not isinstance(number, int):
            return False
        found: Contact | Lead | None = {
            "contacts": self.contacts.get(number),
            "companies": self.companies.get(number),
            "leads": self.leads.get(number),
        }.get(entity_type)
        if entity_type == "customers":
            return number in self.customers
        return found is not None and not found.is_deleted

    def leads_of(self, party: Contact) -> list[Lead]:
        """The leads of a contact or company, closed ones too."""
        return [each for each in self.leads.values() if each.listed and _belongs(each, party)]

    def customers_of(self, party: Contact) -> list[Customer]:
        """The customers that a contact or company is."""
        return [each for each in self.customers.values() if _belongs(each, party)]

    def keep_note(self, entity_type: str, entity_id: int, note_type: str, params: dict[str, Any], **more: Any) -> Note:
        """Adds an entry to a timeline."""
        now = int(self.now())
        given = {"created_at": now, "updated_at": now, **{key: value for key, value in more.items() if value}}
        note = Note(self.next_id(), entity_type, entity_id, note_type, params, **given)
        self.notes[note.id] = note
        return note

    def call_notes(self) -> Iterator[Note]:
        """Calls on timelines, whatever put them there."""
        return (note for note in self.notes.values() if note.note_type in ("call_in", "call_out"))


def _belongs(thing: Lead | Customer, party: Contact) -> bool:
    return party.id in (thing.contact_ids if party.entity_type == "contacts" else thing.company_ids)
