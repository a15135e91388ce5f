"""What an account knows: its people, customers, calls, and the one integration installed in it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

WON, LOST = 142, 143
PIPELINE = 3177727
UNSORTED_STATUS, FIRST_STATUS, SECOND_STATUS = 32392156, 32392159, 32392165
PHONE_FIELD, EMAIL_FIELD, POSITION_FIELD = 589601, 589603, 589605
PHONE_ENUMS = ("WORK", "WORKDD", "MOB", "FAX", "HOME", "OTHER")


@dataclass
class Person:
    """A user of the account."""

    id: int
    name: str = "Олена Коваль"
    email: str = ""
    is_admin: bool = False
    is_active: bool = True
    is_free: bool = False


@dataclass
class Contact:
    """A contact, or a company: its fields as they are sent. `in_unsorted`: waits for acceptance, nobody finds it.

    `looks_left` and `ready_at` keep it from calls (and from the search, where so ordered) until it has been indexed.
    """

    id: int
    name: str
    custom_fields_values: list[dict[str, Any]] = field(default_factory=list)
    responsible_user_id: int = 0
    created_by: int = 0
    created_at: int = 0
    updated_at: int = 0
    tags: list[str] = field(default_factory=list)
    in_unsorted: bool = False
    is_deleted: bool = False
    looks_left: int = 0
    ready_at: float = 0.0
    entity_type: str = "contacts"

    @property
    def phones(self) -> list[str]:
        """Its numbers as they were written."""
        found = [each for each in self.custom_fields_values if _is_phone(each)]
        return [str(value["value"]) for each in found for value in each["values"]]

    @property
    def listed(self) -> bool:
        """Whether lists and searches show it."""
        return not self.in_unsorted and not self.is_deleted

    def has_phone(self, phone: str, last: int) -> bool:
        """Whether one of its numbers ends with the same digits."""
        tail = digits(phone)[-last:]
        return bool(tail) and any(digits(each)[-last:] == tail for each in self.phones)


@dataclass
class Company(Contact):
    """A company."""

    entity_type: str = "companies"


@dataclass
class Lead:
    """A lead and whom it belongs to."""

    id: int
    name: str = ""
    price: int = 0
    pipeline_id: int = PIPELINE
    status_id: int = FIRST_STATUS
    responsible_user_id: int = 0
    created_by: int = 0
    created_at: int = 0
    updated_at: int = 0
    contact_ids: list[int] = field(default_factory=list)
    company_ids: list[int] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    in_unsorted: bool = False
    is_deleted: bool = False

    @property
    def closed(self) -> bool:
        """Whether it is won or lost."""
        return self.status_id in (WON, LOST)

    @property
    def listed(self) -> bool:
        """Whether lists and searches show it."""
        return not self.in_unsorted and not self.is_deleted

    @property
    def active(self) -> bool:
        """Whether a call can be attached to it."""
        return self.listed and not self.closed


@dataclass
class Customer:
    """A buyer with periodic purchases."""

    id: int
    name: str = ""
    responsible_user_id: int = 0
    created_at: int = 0
    updated_at: int = 0
    contact_ids: list[int] = field(default_factory=list)
    company_ids: list[int] = field(default_factory=list)
    listed: bool = True


@dataclass
class Note:
    """An entry of a timeline."""

    id: int
    entity_type: str
    entity_id: int
    note_type: str
    params: dict[str, Any]
    created_by: int = 0
    responsible_user_id: int = 0
    created_at: int = 0
    updated_at: int = 0


@dataclass
class Call:
    """One accepted call: what was sent (None: was not), and what it was attached to (`contact`, `lead`, ...)."""

    id: int
    entity_type: str
    entity_id: int
    note_id: int
    sent: dict[str, Any]
    direction: str
    duration: int
    source: str
    phone: str
    request_id: str
    uniq: str | None = None
    link: str | None = None
    call_status: int | None = None
    call_result: str | None = None
    call_responsible: int | str | None = None
    responsible_user_id: int | None = None
    created_by: int | None = None
    updated_by: int | None = None
    created_at: int | None = None
    updated_at: int | None = None


@dataclass
class Task:
    """Something to do."""

    id: int
    text: str
    complete_till: int
    task_type_id: int = 1
    responsible_user_id: int = 0
    entity_type: str | None = None
    entity_id: int | None = None
    is_completed: bool = False
    result: str | None = None
    created_by: int = 0
    created_at: int = 0
    updated_at: int = 0


@dataclass
class Unsorted:
    """An incoming call that waits in Unsorted, or waited: `state` is pending, accepted or declined."""

    uid: str
    source_uid: str
    source_name: str
    metadata: dict[str, Any]
    pipeline_id: int = PIPELINE
    created_at: int = 0
    state: str = "pending"
    settled_by: int | None = None
    contact_ids: list[int] = field(default_factory=list)
    lead_ids: list[int] = field(default_factory=list)
    company_ids: list[int] = field(default_factory=list)


@dataclass
class Popup:
    """What users in the web interface saw; `users` None: all of them. `contact_id`: who was recognised."""

    at: float
    phone_number: str
    users: tuple[int, ...] | None
    contact_id: int | None


class TokenPair(NamedTuple):
    """What a successful exchange gives."""

    access: str
    refresh: str


@dataclass
class Token:
    """One pair of tokens; it belongs to a user. A long-lived one has no refresh token."""

    access: str
    refresh: str
    user_id: int
    expires_at: float
    refresh_expires_at: float
    used: bool = False
    refresh_used: bool = False
    revoked: bool = False
    successors: list[Token] = field(default_factory=list)


class Violation(NamedTuple):
    """What a good client never does, refused or swallowed."""

    method: str
    path: str
    what: str


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


def phone_field(phones: tuple[str, ...]) -> list[dict[str, Any]]:
    """Numbers as the API shows and takes them; none at all where there are none."""
    if not phones:
        return []
    values = [{"value": phone, "enum_code": "WORK"} for phone in phones]
    return [{"field_id": PHONE_FIELD, "field_code": "PHONE", "values": values}]


def digits(phone: str) -> str:
    """A number without its punctuation."""
    return "".join(letter for letter in phone if letter.isdigit())


def _is_phone(custom: dict[str, Any]) -> bool:
    return custom.get("field_code") == "PHONE" or custom.get("field_id") == PHONE_FIELD


def _belongs(thing: Lead | Customer, party: Contact) -> bool:
    return party.id in (thing.contact_ids if party.entity_type == "contacts" else thing.company_ids)
