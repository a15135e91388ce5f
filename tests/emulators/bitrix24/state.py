"""What a portal knows: its people, customers, calls, and the one application installed in it."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

ACCESS_SECONDS = 3600
REFRESH_SECONDS = 180 * 86400
ALL_SCOPES = frozenset({"telephony", "crm", "user_basic", "im", "placement", "bizproc"})


@dataclass
class User:
    """An employee; `app_access` False: an admin has restricted the application for this user."""

    id: int
    name: str = "Олена"
    last_name: str = "Коваль"
    active: bool = True
    admin: bool = False
    inner_phone: str | None = None
    mobile: str | None = None
    user_type: str = "employee"
    app_access: bool = True


@dataclass
class Entity:
    """A contact, company, lead or deal."""

    type: str
    id: int
    name: str = ""
    phones: tuple[str, ...] = ()
    assigned_by_id: int = 1
    created_by_call: str | None = None
    source: str | None = None
    utm: dict[str, str] = field(default_factory=dict)


@dataclass
class Line:
    """An external line of the application."""

    id: int
    number: str
    name: str = ""
    crm_auto_create: str = "Y"


@dataclass
class Call:
    """One registered call and all that happened to it. `listed` is false while the statistics lag behind."""

    call_id: str
    external_call_id: str | None
    user_id: int
    phone_number: str
    type: int
    line_number: str | None
    start_date: datetime
    show: bool
    crm_create: bool
    app_id: str
    start_date_text: str | None = None
    portal_call: bool = False
    crm_entity: Entity | None = None
    created: list[Entity] = field(default_factory=list)
    registrations: int = 1
    shown_to: list[int] = field(default_factory=list)
    hidden_from: list[int] = field(default_factory=list)
    finished: bool = False
    finished_by: int | None = None
    duration: int | None = None
    status_code: str | None = None
    failed_reason: str | None = None
    statistic: dict[str, Any] = field(default_factory=dict)
    listed: bool = True
    finishes_accepted: int = 0
    finishes_refused: int = 0
    activities: list[Activity] = field(default_factory=list)
    missed: bool = False
    called_back: bool = False
    record: bytes | None = None
    record_name: str | None = None
    record_file_id: int | None = None
    records_attached: int = 0


@dataclass
class Activity:
    """An entry of a customer's timeline: a call, or something to do."""

    id: int
    kind: str
    owner: Entity
    responsible_id: int
    call_id: str | None = None
    title: str = ""
    description: str = ""
    deadline: str | None = None
    completed: bool = False


@dataclass
class Notice:
    """What the bell shows to a user."""

    id: int
    user_id: int
    message: str
    type: str
    tag: str | None = None


@dataclass
class EventHandler:
    """A binding made by event.bind."""

    event: str
    handler: str
    auth_type: int = 0
    offline: bool = False


@dataclass
class Token:
    """One pair of tokens; it belongs to the user who opened the application."""

    access: str
    refresh: str
    user_id: int
    scopes: frozenset[str]
    expires_at: float
    refresh_expires_at: float
    refresh_used: bool = False
    revoked: bool = False


class Violation(NamedTuple):
    """Something that Bitrix24 swallows, or can't know, and that a good client never does."""

    method: str
    what: str


@dataclass
class Account:
    """The portal behind the HTTP: every method reads and changes this, one at a time (`lock`)."""

    client_id: str
    client_secret: str
    member_id: str
    application_token: str
    scopes: set[str]
    error_code_mode: str = ""
    domain: str = ""
    oauth_url: str = ""
    installed: bool = False
    revoked: bool = False
    payment_required: bool = False
    default_line: str = ""
    users: dict[int, User] = field(default_factory=dict)
    entities: list[Entity] = field(default_factory=list)
    lines: dict[str, Line] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)
    activities: list[Activity] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    notices_sent: int = 0
    handlers: list[EventHandler] = field(default_factory=list)
    placements: list[dict[str, Any]] = field(default_factory=list)
    robots: dict[str, dict[str, Any]] = field(default_factory=dict)
    workflow_answers: list[dict[str, Any]] = field(default_factory=list)
    tokens: dict[str, Token] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    fire: Callable[[str, dict[str, Any]], object] = lambda _event, _data: None
    former_domains: set[str] = field(default_factory=set)
    lock: threading.RLock = field(default_factory=threading.RLock)
    missed: dict[str, list[Call]] = field(default_factory=dict)
    _by_phone: dict[str, list[Entity]] = field(default_factory=dict)
    _going: dict[tuple[int, str, int], list[Call]] = field(default_factory=dict)
    _offset: float = 0.0
    _last_id: int = 1000

    def now(self) -> float:
        """The portal's clock, Unix seconds; tests can move it."""
        return time.time() + self._offset

    def moment(self) -> datetime:
        """The portal's clock as an aware time."""
        return datetime.fromtimestamp(self.now(), UTC)

    def advance(self, seconds: float) -> None:
        """Moves the portal's clock forward."""
        self._offset += seconds

    def next_id(self) -> int:
        """A fresh number for whatever has just been made."""
        with self.lock:
            self._last_id += 1
            return self._last_id

    def violate(self, method: str, what: str) -> None:
        """Remembers a client's mistake."""
        self.violations.append(Violation(method, what))

    def issue_token(self, user_id: int) -> Token:
        """A new pair of tokens with the application's present scopes."""
        now = self.now()
        token = Token(
            access=secrets.token_hex(35),
            refresh=secrets.token_hex(35),
            user_id=user_id,
            scopes=frozenset(self.scopes),
            expires_at=now + ACCESS_SECONDS,
            refresh_expires_at=now + REFRESH_SECONDS,
        )
        with self.lock:
            self.tokens[token.access] = token
        return token

    def find_entity(self, kind: str, number: int) -> Entity | None:
        """The customer of that kind and ID."""
        return next((each for each in self.entities if (each.type, each.id) == (kind, number)), None)

    def keep_entity(self, entity: Entity) -> Entity:
        """Adds a customer, to be found by number from now on."""
        with self.lock:
            self.entities.append(entity)
            for phone in entity.phones:
                self._by_phone.setdefault(digits(phone)[-10:], []).append(entity)
        return entity

    def find_by_phone(self, phone: str) -> list[Entity]:
        """Customers with that number, in the order in which telephony prefers them: contacts, leads, companies."""
        order = ("CONTACT", "LEAD", "COMPANY")
        found = self._by_phone.get(digits(phone)[-10:], [])
        return sorted((each for each in found if each.type in order), key=lambda each: order.index(each.type))

    def user_by_inner_phone(self, phone: str) -> User | None:
        """The active employee with that inner number."""
        return next((user for user in self.users.values() if user.active and user.inner_phone == phone), None)

    def keep_call(self, call: Call) -> None:
        """Adds a call to those that are going on."""
        self.calls[call.call_id] = call
        self._going.setdefault((call.user_id, call.phone_number, call.type), []).append(call)

    def going(self, user_id: int, phone: str, kind: int) -> list[Call]:
        """Unfinished calls of one user with one number in one direction, oldest first."""
        key = (user_id, phone, kind)
        self._going[key] = [call for call in self._going.get(key, []) if not call.finished]
        return self._going[key]


def digits(phone: str) -> str:
    """A number without its punctuation."""
    return "".join(letter for letter in phone if letter.isdigit())
