"""What people do in an account: they hire, add, close, accept, forget to pay."""

from __future__ import annotations

from typing import TypeVar

from tests.emulators.amocrm import unsorted as unsorted_calls
from tests.emulators.amocrm.limits import RequestRate
from tests.emulators.amocrm.records import (
    FIRST_STATUS,
    LOST,
    PHONE_FIELD,
    Company,
    Contact,
    Customer,
    Lead,
    Person,
    Unsorted,
    phone_field,
)
from tests.emulators.amocrm.state import Account

AnyParty = TypeVar("AnyParty", bound=Contact)


class Arranging:
    """The part of AmoCRM that arranges the account."""

    account: Account
    rate: RequestRate

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
