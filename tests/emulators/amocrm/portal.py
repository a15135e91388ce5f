"""The account as a test handles it: arranging it, making trouble, looking at what happened."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar

import requests

from tests.emulators.amocrm import unsorted as unsorted_calls
from tests.emulators.amocrm.faults import Faults
from tests.emulators.amocrm.limits import RequestRate, busiest_second
from tests.emulators.amocrm.rest import HttpRequest, Rest
from tests.emulators.amocrm.state import (
    FIRST_STATUS,
    LOST,
    PHONE_FIELD,
    Account,
    Call,
    Company,
    Contact,
    Customer,
    Lead,
    Note,
    Person,
    Popup,
    Task,
    TokenPair,
    Unsorted,
    Violation,
    phone_field,
)
from tests.emulators.amocrm.tokens import (
    disposable,
    issue_code,
    issue_long_lived,
    issue_token,
    signature_of_uninstall,
)
from tests.emulators.http import Loopback, wait_until

PEOPLE = (Person(7, "Ірина Адміненко", is_admin=True), Person(8, "Олена Коваль"), Person(9, "Тарас Мельник"))
REDIRECT_URI = "https://connector.example.com/amocrm/default/callback"
AnyParty = TypeVar("AnyParty", bound=Contact)


class AmoCRM:
    """One account with one integration.

    As a context manager it serves until the end of the block, and fails the block where the emulator itself crashed.
    Accounts given one `rate` share it, as those behind one address do.
    """

    def __init__(
        self,
        *,
        client_id: str | None = None,
        client_secret: str | None = None,
        redirect_uri: str = REDIRECT_URI,
        account_id: int = 31415926,
        users: Iterable[Person] = PEOPLE,
        unsorted: bool = True,
        refresh: str = "strict",
        rate: RequestRate | None = None,
    ) -> None:
        self.account = Account(
            id=account_id,
            client_id=client_id or str(uuid.uuid4()),
            client_secret=client_secret or secrets.token_urlsafe(48),
            redirect_uri=redirect_uri,
            users={person.id: Person(**vars(person)) for person in users},
            is_unsorted_on=unsorted,
        )
        self.refresh_mode(refresh)
        self.faults = Faults()
        self.rate = rate or RequestRate()
        self.rest = Rest(self.account, self.faults, self.rate)
        self._servers = [Loopback(self.rest.answer)]
        self._api_domain = Loopback(self.rest.answer_api_domain)
        self.account.address = self._servers[0].address
        self.account.api_domain = self._api_domain.address

    def __enter__(self) -> Self:
        self.come_up()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.faults.clear()
        for server in (*self._servers, self._api_domain):
            server.close()
        if error is None and self.crashes:
            raise AssertionError("the emulator crashed:\n" + "\n".join(self.crashes))

    # Where it is, and what an admin copies into the connector's settings.

    @property
    def address(self) -> str:
        """Host and port, as `referer` carries it; changes when the account is renamed."""
        return self.account.address

    @property
    def url(self) -> str:
        """The account's address."""
        return self.account.url

    @property
    def api_domain(self) -> str:
        """Host and port that the tokens' claim `api_domain` names; stays when the account is renamed."""
        return self.account.api_domain

    @property
    def account_id(self) -> int:
        """What stays the same when the account is renamed."""
        return self.account.id

    @property
    def subdomain(self) -> str:
        """The account's name in its address."""
        return self.account.subdomain

    @property
    def client_id(self) -> str:
        """The integration's ID."""
        return self.account.client_id

    @property
    def client_secret(self) -> str:
        """The integration's secret."""
        return self.account.client_secret

    @property
    def redirect_uri(self) -> str:
        """The registered redirect URI."""
        return self.account.redirect_uri

    # Consent and tokens.

    def consent(self, user_id: int = 7) -> str:
        """An authorization code as the consent page gives it: 20 minutes, once."""
        return issue_code(self.account, user_id)

    def callback_query(self, user_id: int = 7, **more: str) -> dict[str, str]:
        """The whole query of the redirect; `more` is state, from_widget, or overrides."""
        own = {"code": self.consent(user_id), "referer": self.address, "client_id": self.client_id}
        return own | more

    def grant(self, user_id: int = 7) -> TokenPair:
        """Tokens as if a code had been exchanged earlier."""
        token = issue_token(self.account, user_id)
        return TokenPair(token.access, token.refresh)

    def long_lived_token(self, user_id: int = 7) -> str:
        """The token of a private integration."""
        return issue_long_lived(self.account, user_id)

    def disposable_token(
        self, user_id: int = 7, *, algorithm: str = "HS256", key: str | None = None, **claims: Any
    ) -> str:
        """What a widget shows to a server; `claims` override, None leaves one out."""
        return disposable(self.account, user_id, claims, algorithm, key)

    def uninstall_query(self) -> dict[str, str]:
        """The query of the hook that tells of a revoked access."""
        return {
            "client_uuid": self.client_id,
            "account_id": str(self.account_id),
            "signature": signature_of_uninstall(self.account),
        }

    def uninstall(self, hook: str) -> int:
        """An admin removes the integration: the access is revoked and the hook told; its status."""
        self.revoke()
        agent = {"User-Agent": "amoService-oAuth-Code-Sender/1.0"}
        return requests.get(hook, params=self.uninstall_query(), headers=agent, timeout=5).status_code

    def revoke(self) -> None:
        """All tokens are taken away, and codes too; new consent gives new ones."""
        with self.account.lock:
            self.account.codes.clear()
            for token in self.account.tokens:
                token.revoked = True

    def expire(self) -> None:
        """Access tokens have run out; refresh tokens still serve."""
        with self.account.lock:
            for token in self.account.tokens:
                token.expires_at = min(token.expires_at, self.account.now())

    def refresh_mode(self, mode: str) -> None:
        """`strict`: a used refresh token is dead at once; `grace`: only when its successor has been used."""
        if mode not in ("strict", "grace"):
            raise ValueError(f"no such mode: {mode}")
        self.account.strict_refresh = mode == "strict"

    def advance(self, seconds: float) -> None:
        """Moves the account's clock forward: codes and tokens age."""
        self.account.advance(seconds)

    # Arranging the account.

    def hire(self, person: Person) -> Person:
        """Adds a user."""
        self.account.users[person.id] = person
        return person

    def dismiss(self, user_id: int) -> None:
        """A user is no longer active: not to be named in calls, and his tokens are worth nothing."""
        self.account.users[user_id].is_active = False

    def add_contact(
        self, name: str, *phones: str, responsible: int | None = None, leads: int = 0, updated_at: int | None = None
    ) -> Contact:
        """Adds a contact, with so many open leads."""
        contact = Contact(self.account.next_id(), name, phone_field(phones))
        self.account.contacts[contact.id] = contact
        return self._arranged(contact, responsible, leads, updated_at)

    def add_company(
        self, name: str, *phones: str, responsible: int | None = None, leads: int = 0, updated_at: int | None = None
    ) -> Company:
        """Adds a company, with so many open leads."""
        company = Company(self.account.next_id(), name, phone_field(phones))
        self.account.companies[company.id] = company
        return self._arranged(company, responsible, leads, updated_at)

    def add_lead(
        self,
        party: Contact | None = None,
        *,
        status_id: int | None = None,
        closed: bool = False,
        name: str = "",
        responsible: int | None = None,
    ) -> Lead:
        """Adds a lead of a contact or company; `closed` without a status: lost."""
        status = status_id if status_id is not None else (LOST if closed else FIRST_STATUS)
        lead = Lead(self.account.next_id(), name or "Заявка", status_id=status)
        lead.responsible_user_id = self.account.default_user() if responsible is None else responsible
        lead.created_at = lead.updated_at = int(self.account.now())
        if party is not None:
            (lead.company_ids if isinstance(party, Company) else lead.contact_ids).append(party.id)
        self.account.leads[lead.id] = lead
        return lead

    def add_customer(self, party: Contact, name: str = "Покупець", *, responsible: int | None = None) -> Customer:
        """Makes a customer of a contact or company."""
        now = int(self.account.now())
        owner = self.account.default_user() if responsible is None else responsible
        customer = Customer(self.account.next_id(), name, owner, now, now)
        (customer.company_ids if isinstance(party, Company) else customer.contact_ids).append(party.id)
        self.account.customers[customer.id] = customer
        return customer

    def set_field(self, party: Contact, code: str, *values: str) -> None:
        """Fills in another field (EMAIL, POSITION): the search looks there too."""
        field_id = {"PHONE": PHONE_FIELD, "EMAIL": PHONE_FIELD + 2, "POSITION": PHONE_FIELD + 4}[code]
        filled = [{"value": value, "enum_code": "WORK"} for value in values]
        party.custom_fields_values.append({"field_id": field_id, "field_code": code, "values": filled})

    def delete(self, thing: Contact | Lead) -> None:
        """A user deletes a contact, company or lead."""
        thing.is_deleted = True

    def accept(self, uid: str, user_id: int = 7) -> None:
        """A user accepts what waits in Unsorted."""
        with self.account.lock:
            unsorted_calls.accept_one(self.account, self._pending(uid), user_id)

    def decline(self, uid: str, user_id: int = 7) -> None:
        """A user declines what waits in Unsorted."""
        with self.account.lock:
            unsorted_calls.decline_one(self.account, self._pending(uid), user_id)

    def index_delay(self, *, looks: int = 0, seconds: float = 0.0, search: bool = False) -> None:
        """Calls find new contacts only after so many looks in vain, or seconds; `search`: so does the search."""
        self.account.index_looks, self.account.index_seconds = looks, seconds
        self.account.index_search = search

    def require_payment(self, required: bool = True) -> None:
        """The account is not paid for, or is again: 402."""
        self.account.unpaid = required

    def block(self, blocked: bool = True) -> None:
        """Everything is answered by nginx's 403, or no longer."""
        self.account.blocked = blocked
        if not blocked:
            self.rate.reset()

    # Trouble that is no fault of a single request: `faults` has those.

    def go_down(self) -> None:
        """The account refuses connections."""
        for server in (*self._servers, self._api_domain):
            server.go_down()

    def come_up(self) -> None:
        """The account listens, at the same address as before."""
        for server in (*self._servers, self._api_domain):
            server.listen()

    def rename(self, subdomain: str = "evrotelnew", *, old: int = 404) -> str:
        """Moves the account to a new address, which it returns; the old one answers 404 or 401."""
        if old not in (401, 404):
            raise ValueError("a former address answers 401 or 404")
        server = Loopback(self.rest.answer)
        server.listen()
        self._servers.append(server)
        with self.account.lock:
            self.account.former[self.account.address] = old
            self.account.address, self.account.subdomain = server.address, subdomain
        return server.address

    # Looking at what happened.

    @property
    def crashes(self) -> list[str]:
        """Tracebacks of the emulator's own mistakes."""
        return [crash for server in (*self._servers, self._api_domain) for crash in server.crashes]

    @property
    def violations(self) -> list[Violation]:
        """What the client did that a good client never does."""
        return self.account.violations

    @property
    def requests(self) -> list[HttpRequest]:
        """All requests, in order of arrival."""
        return self.rest.requests

    def asked(self, method: str, path: str) -> list[HttpRequest]:
        """The requests of that method to that path."""
        return [each for each in self.requests if (each.method, each.path) == (method, path)]

    def busiest_second(self) -> int:
        """The most requests in any one second, refused ones too."""
        return busiest_second(each.at for each in self.requests)

    @property
    def calls(self) -> list[Call]:
        """Calls that were accepted, in order; a call sent twice is there twice."""
        return self.account.calls

    @property
    def popups(self) -> list[Popup]:
        """Pop-ups, in order."""
        return self.account.popups

    @property
    def tasks(self) -> list[Task]:
        """All tasks, completed ones too."""
        return list(self.account.tasks.values())

    @property
    def contacts(self) -> list[Contact]:
        """All contacts, also those in Unsorted; not the deleted ones."""
        return [each for each in self.account.contacts.values() if not each.is_deleted]

    @property
    def companies(self) -> list[Company]:
        """All companies; not the deleted ones."""
        return [each for each in self.account.companies.values() if not each.is_deleted]

    @property
    def leads(self) -> list[Lead]:
        """All leads, also those in Unsorted; not the deleted ones."""
        return [each for each in self.account.leads.values() if not each.is_deleted]

    @property
    def unsorted(self) -> list[Unsorted]:
        """All that came into Unsorted, settled ones too."""
        return list(self.account.unsorted.values())

    def notes(self, entity_type: str, entity_id: int) -> list[Note]:
        """A timeline: of `contacts`, `companies`, `leads` or `customers`."""
        wanted = (entity_type, entity_id)
        return [each for each in self.account.notes.values() if (each.entity_type, each.entity_id) == wanted]

    def call_notes(self) -> list[Note]:
        """The calls on all timelines, whatever put them there: a call, a note, an acceptance from Unsorted."""
        return list(self.account.call_notes())

    def wait_until(self, predicate: Callable[[], object], timeout: float = 5.0) -> bool:
        """Waits until something is true; False where time was up first."""
        return wait_until(predicate, timeout)

    def _pending(self, uid: str) -> Unsorted:
        found = self.account.unsorted[uid]
        if found.state != "pending":
            raise ValueError(f"{uid} has been {found.state}")
        return found

    def _arranged(self, party: AnyParty, responsible: int | None, leads: int, updated_at: int | None) -> AnyParty:
        now = int(self.account.now())
        party.responsible_user_id = self.account.default_user() if responsible is None else responsible
        party.created_at = now
        party.updated_at = now if updated_at is None else updated_at
        for _ in range(leads):
            self.add_lead(party, responsible=party.responsible_user_id)
        return party
