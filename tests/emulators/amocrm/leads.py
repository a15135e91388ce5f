"""Leads, alone or together with their contact, and customers (facts 1.6)."""

from __future__ import annotations

from typing import Any

from tests.emulators.amocrm import parties
from tests.emulators.amocrm.asks import Ask
from tests.emulators.amocrm.checks import (
    Complaint,
    Field,
    many,
    moment,
    nested,
    number,
    read_items,
    read_object,
    refuse,
    text,
    unknown,
    user,
)
from tests.emulators.amocrm.errors import Problem, hal, nothing
from tests.emulators.amocrm.records import FIRST_STATUS, LOST, PIPELINE, SECOND_STATUS, WON, Contact, Lead
from tests.emulators.amocrm.state import Account
from tests.emulators.http import Response

STATUSES = (FIRST_STATUS, SECOND_STATUS, WON, LOST)
OWN = {
    "name": text(),
    "price": number(),
    "status_id": number(choices=STATUSES),
    "pipeline_id": number(choices=(PIPELINE,)),
    "responsible_user_id": user(),
    "created_by": user(robot=True),
    "updated_by": user(robot=True),
    "created_at": moment(),
    "updated_at": moment(),
    "closed_at": moment(),
    "custom_fields_values": parties.VALUES,
    "tags_to_add": parties.TAGS,
    "request_id": text(),
}


def _existing(entity_type: str) -> Field:
    return Field((int,), required=True, known=lambda account, value: account.has(entity_type, value))


CONTACTS = many({"id": _existing("contacts"), "is_main": Field((bool,))})
COMPANIES = many({"id": _existing("companies")})
SCHEMA = {**OWN, "_embedded": nested({"contacts": CONTACTS, "companies": COMPANIES, "tags": parties.TAGS})}
CONTACT_OR_NEW = {**parties.SCHEMA, "id": Field((int,)), "is_main": Field((bool,))}
COMPLEX = {
    **OWN,
    "_embedded": nested(
        {
            "contacts": many(CONTACT_OR_NEW),
            "companies": many({**parties.SCHEMA, "id": Field((int,))}),
            "tags": parties.TAGS,
        }
    ),
}


def find(ask: Ask) -> Response:
    """Leads by number, status, pipeline or words."""
    numbers, extras, query = ask.numbers("filter[id]"), ask.words("with") or set(), ask.one("query")
    pipelines, users = ask.numbers("filter[pipeline_id]"), ask.numbers("filter[responsible_user_id]")
    found = [
        each
        for each in ask.account.leads.values()
        if each.listed
        and (numbers is None or each.id in numbers)
        and (pipelines is None or each.pipeline_id in pipelines)
        and (users is None or each.responsible_user_id in users)
        and (query is None or query.lower() in each.name.lower())
    ]
    return ask.listing("leads", [shown(ask, each, extras) for each in found])


def get(ask: Ask, given: str) -> Response:
    """One lead; 204 where there is none."""
    extras = ask.words("with") or set()
    found = ask.account.leads.get(int(given))
    return hal(shown(ask, found, extras)) if found is not None and not found.is_deleted else nothing()


def add(ask: Ask) -> Response:
    """Adds leads to contacts that are there."""
    made = []
    for request_id, item in read_items(ask, SCHEMA):
        lead = create(ask.account, item)
        made.append({"id": lead.id, "request_id": request_id, "_links": ask.link(f"/api/v4/leads/{lead.id}")})
    return hal({"_links": ask.link(ask.path), "_embedded": {"leads": made}})


def add_complex(ask: Ask) -> Response:
    """Adds each lead with a contact and a company of its own; duplicate control may take one that is there."""
    items = read_items(ask, COMPLEX, 50)
    for request_id, item in items:
        _check_parties(ask, request_id, item)
    return hal([_add_complex(ask.account, request_id, item) for request_id, item in items])


def change(ask: Ask, given: str) -> Response:
    """Changes a lead."""
    item = read_object(ask, SCHEMA)
    lead = ask.account.leads.get(int(given))
    if lead is None or lead.is_deleted:
        raise Problem(404, "Entity not found")
    for name in ("name", "price", "status_id", "pipeline_id", "responsible_user_id"):
        setattr(lead, name, item.get(name, getattr(lead, name)))
    lead.updated_at = int(ask.account.now())
    return hal({"id": lead.id, "updated_at": lead.updated_at, "_links": ask.link(f"/api/v4/leads/{lead.id}")})


def create(account: Account, item: dict[str, Any], *, in_unsorted: bool = False) -> Lead:
    """A new lead out of what was sent."""
    now, number_ = int(account.now()), account.next_id()
    embedded = item.get("_embedded", {})
    lead = Lead(
        number_,
        item.get("name") or f"Сделка #{number_}",
        item.get("price", 0),
        item.get("pipeline_id", PIPELINE),
        item.get("status_id", FIRST_STATUS),
        item.get("responsible_user_id", account.default_user()),
        item.get("created_by", 0),
        item.get("created_at", now),
        item.get("updated_at", now),
        [each["id"] for each in embedded.get("contacts", []) if "id" in each],
        [each["id"] for each in embedded.get("companies", []) if "id" in each],
        parties.tags_of(item),
        in_unsorted,
    )
    account.leads[lead.id] = lead
    return lead


def shown(ask: Ask, lead: Lead, extras: set[str]) -> dict[str, Any]:
    """A lead as it is answered."""
    embedded: dict[str, Any] = {
        "tags": [{"id": index, "name": name} for index, name in enumerate(lead.tags, 1)],
        "companies": [{"id": each} for each in lead.company_ids],
    }
    if "contacts" in extras:
        embedded["contacts"] = [{"id": each, "is_main": each == lead.contact_ids[0]} for each in lead.contact_ids]
    return {
        "id": lead.id,
        "name": lead.name,
        "price": lead.price,
        "responsible_user_id": lead.responsible_user_id,
        "group_id": 0,
        "status_id": lead.status_id,
        "pipeline_id": lead.pipeline_id,
        "loss_reason_id": None,
        "created_by": lead.created_by,
        "updated_by": 0,
        "created_at": lead.created_at,
        "updated_at": lead.updated_at,
        "closed_at": lead.updated_at if lead.closed else None,
        "closest_task_at": None,
        "is_deleted": lead.is_deleted,
        "custom_fields_values": None,
        "account_id": ask.account.id,
        "_links": ask.link(f"/api/v4/leads/{lead.id}"),
        "_embedded": embedded,
    }


def customers(ask: Ask) -> Response:
    """The customers."""
    numbers = ask.numbers("filter[id]")
    found = [
        {
            "id": each.id,
            "name": each.name,
            "responsible_user_id": each.responsible_user_id,
            "created_at": each.created_at,
            "updated_at": each.updated_at,
            "is_deleted": False,
            "account_id": ask.account.id,
            "_links": ask.link(f"/api/v4/customers/{each.id}"),
            "_embedded": {"tags": []},
        }
        for each in ask.account.customers.values()
        if numbers is None or each.id in numbers
    ]
    return ask.listing("customers", found)


def _add_complex(account: Account, request_id: str, item: dict[str, Any]) -> dict[str, Any]:
    embedded = item.get("_embedded", {})
    contact, merged = _party(account, "contacts", embedded.get("contacts", []))
    company, _ = _party(account, "companies", embedded.get("companies", []))
    lead = create(account, {**item, "_embedded": {"tags": embedded.get("tags", [])}})
    lead.contact_ids = [contact.id] if contact else []
    lead.company_ids = [company.id] if company else []
    return {
        "id": lead.id,
        "contact_id": contact.id if contact else None,
        "company_id": company.id if company else None,
        "request_id": [request_id],
        "merged": merged,
    }


def _party(account: Account, entity_type: str, given: list[dict[str, Any]]) -> tuple[Contact | None, bool]:
    """The contact or company that a lead was sent with, and whether duplicate control knew it already."""
    if not given:
        return None, False
    kept = parties.kept(account, entity_type)
    if "id" in given[0]:
        return kept[given[0]["id"]], False
    new = parties.create(account, entity_type, given[0])
    known = [each for each in kept.values() if each.listed and each is not new]
    twin = next((each for each in known for phone in new.phones if each.has_phone(phone, 10)), None)
    if twin is None or not account.merge_duplicates:
        return new, False
    new.is_deleted = True
    return twin, True


def _check_parties(ask: Ask, request_id: str, item: dict[str, Any]) -> None:
    for entity_type in ("contacts", "companies"):
        given = item.get("_embedded", {}).get(entity_type, [])
        absent = [each for each in given if "id" in each and not ask.account.has(entity_type, each["id"])]
        path = f"_embedded.{entity_type}.0.id"
        refuse(ask, {request_id: [unknown(path) for _ in absent]})
        if len(given) > 1:
            refuse(ask, {request_id: [Complaint("InvalidRange", f"_embedded.{entity_type}")]})
