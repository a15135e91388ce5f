"""What an account keeps: people, contacts, leads, calls, tasks, tokens."""

from __future__ import annotations

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
