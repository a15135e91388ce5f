"""Contacts and companies: search, lists, adding, changing (facts 1.6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.emulators.amocrm.asks import Ask
from tests.emulators.amocrm.checks import Field, many, moment, nested, number, read_items, read_object, text, user
from tests.emulators.amocrm.errors import Problem, hal, nothing
from tests.emulators.amocrm.records import (
    EMAIL_FIELD,
    PHONE_ENUMS,
    PHONE_FIELD,
    POSITION_FIELD,
    Company,
    Contact,
    digits,
)
from tests.emulators.amocrm.state import Account
from tests.emulators.http import Response

CUSTOM = {PHONE_FIELD: "PHONE", EMAIL_FIELD: "EMAIL", POSITION_FIELD: "POSITION"}
ENUM_IDS = {code: 1193197 + 2 * index for index, code in enumerate(PHONE_ENUMS)}
VALUE = {
    "value": Field((str, int, bool), required=True),
    "enum_code": text(choices=(*PHONE_ENUMS, "PRIV")),
    "enum_id": number(choices=tuple(ENUM_IDS.values())),
}
VALUES = many(
    {
        "field_id": number(choices=tuple(CUSTOM)),
        "field_code": text(choices=tuple(CUSTOM.values())),
        "field_name": text(),
        "field_type": text(),
        "values": Field((list,), required=True, inside=VALUE),
    },
    either=("field_code", "field_id"),
)
TAGS = many({"id": number(), "name": text(filled=True)})
SCHEMA: Mapping[str, Field] = {
    "name": text(),
    "first_name": text(),
    "last_name": text(),
    "responsible_user_id": user(),
    "created_by": user(robot=True),
    "updated_by": user(robot=True),
    "created_at": moment(),
    "updated_at": moment(),
    "custom_fields_values": VALUES,
    "tags_to_add": TAGS,
    "request_id": text(),
    "_embedded": nested({"tags": TAGS}),
}
KINDS: dict[str, type[Contact]] = {"contacts": Contact, "companies": Company}


def search(ask: Ask, entity_type: str) -> Response:
    """A list, or whatever has the words of `query` in any of its fields; 204 where nothing does."""
    extras = ask.words("with") or set()
    query = ask.one("query")
    numbers, names = ask.numbers("filter[id]"), ask.words("filter[name]")
    found = [
        each
        for each in kept(ask.account, entity_type).values()
        if each.listed
        and (query is None or (_contains(each, query) and _searchable(ask.account, each)))
        and (numbers is None or each.id in numbers)
        and (names is None or each.name in names)
    ]
    return ask.listing(entity_type, [shown(ask, each, extras) for each in found])


def get(ask: Ask, entity_type: str, given: str) -> Response:
    """One of them; 204 where there is none."""
    extras = ask.words("with") or set()
    found = kept(ask.account, entity_type).get(int(given))
    return hal(shown(ask, found, extras)) if found is not None and not found.is_deleted else nothing()


def add(ask: Ask, entity_type: str) -> Response:
    """Adds them all."""
    made = [(name, create(ask.account, entity_type, item)) for name, item in read_items(ask, SCHEMA)]
    answers = [{"id": party.id, "request_id": name, **_links(ask, party)} for name, party in made]
    return hal({"_links": ask.link(ask.path), "_embedded": {entity_type: answers}})


def change(ask: Ask, entity_type: str, given: str) -> Response:
    """Changes one."""
    item = read_object(ask, SCHEMA)
    party = kept(ask.account, entity_type).get(int(given))
    if party is None or party.is_deleted:
        raise Problem(404, "Entity not found")
    party.name = item.get("name", party.name)
    party.responsible_user_id = item.get("responsible_user_id", party.responsible_user_id)
    party.custom_fields_values = item.get("custom_fields_values", party.custom_fields_values)
    party.updated_at = int(ask.account.now())
    return hal({"id": party.id, "updated_at": party.updated_at, **_links(ask, party)})


def create(account: Account, entity_type: str, item: dict[str, Any], *, in_unsorted: bool = False) -> Contact:
    """A new one out of what was sent; calls find it as soon as it is indexed."""
    now = int(account.now())
    name = item.get("name") or " ".join(item[part] for part in ("first_name", "last_name") if item.get(part))
    party = KINDS[entity_type](
        account.next_id(),
        name,
        custom_fields_values=item.get("custom_fields_values", []),
        responsible_user_id=item.get("responsible_user_id", account.default_user()),
        created_by=item.get("created_by", 0),
        created_at=item.get("created_at", now),
        updated_at=item.get("updated_at", now),
        tags=tags_of(item),
        in_unsorted=in_unsorted,
        looks_left=account.index_looks,
        ready_at=account.now() + account.index_seconds if account.index_seconds else 0.0,
    )
    if isinstance(party, Company):
        account.companies[party.id] = party
    else:
        account.contacts[party.id] = party
    return party


def kept(account: Account, entity_type: str) -> Mapping[int, Contact]:
    """All contacts, or all companies."""
    return account.contacts if entity_type == "contacts" else account.companies


def tags_of(item: dict[str, Any]) -> list[str]:
    """The names of the tags that were sent."""
    sent = item.get("_embedded", {}).get("tags", []) + item.get("tags_to_add", [])
    return [tag.get("name") or f"#{tag.get('id')}" for tag in sent]


def shown(ask: Ask, party: Contact, extras: set[str]) -> dict[str, Any]:
    """A contact or company as it is answered."""
    first, _, last = party.name.partition(" ")
    embedded: dict[str, Any] = {"tags": [{"id": index, "name": name} for index, name in enumerate(party.tags, 1)]}
    if "leads" in extras:
        leads = ask.account.leads_of(party)
        embedded["leads"] = [{"id": each.id, "_links": ask.link(f"/api/v4/leads/{each.id}")} for each in leads]
    if "customers" in extras:
        embedded["customers"] = [{"id": each.id} for each in ask.account.customers_of(party)]
    return {
        "id": party.id,
        "name": party.name,
        **({"first_name": first, "last_name": last} if party.entity_type == "contacts" else {}),
        "responsible_user_id": party.responsible_user_id,
        "group_id": 0,
        "created_by": party.created_by,
        "updated_by": 0,
        "created_at": party.created_at,
        "updated_at": party.updated_at,
        "closest_task_at": None,
        "is_deleted": party.is_deleted,
        **({"is_unsorted": party.in_unsorted} if party.entity_type == "contacts" else {}),
        "custom_fields_values": party.custom_fields_values or None,
        "account_id": ask.account.id,
        **_links(ask, party),
        "_embedded": embedded,
    }


def _contains(party: Contact, query: str) -> bool:
    """Whether any field has the words, or the digits in a row."""
    values = [str(value["value"]) for each in party.custom_fields_values for value in each["values"]]
    texts, wanted = [party.name, *values], digits(query)
    return any(query.lower() in each.lower() for each in texts) or (
        len(wanted) > 2 and any(wanted in digits(each) for each in texts)
    )


def _searchable(account: Account, party: Contact) -> bool:
    return not account.index_search or (party.looks_left <= 0 and party.ready_at <= account.now())


def _links(ask: Ask, party: Contact) -> dict[str, Any]:
    return {"_links": ask.link(f"/api/v4/{party.entity_type}/{party.id}")}
