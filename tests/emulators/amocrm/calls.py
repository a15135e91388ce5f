"""POST /api/v4/calls: whom a call belongs to, and what becomes of it (facts 1.3)."""

from __future__ import annotations

from typing import Any

from tests.emulators.amocrm.asks import Ask
from tests.emulators.amocrm.checks import CALL_RESPONSIBLE, Field, moment, number, read_items, text, user
from tests.emulators.amocrm.errors import Problem, hal
from tests.emulators.amocrm.records import Call, Contact
from tests.emulators.amocrm.state import Account
from tests.emulators.http import Response

STATUSES = range(1, 8)
PLURAL = {"contact": "contacts", "company": "companies", "lead": "leads", "customer": "customers"}
SCHEMA = {
    "direction": text(required=True, choices=("inbound", "outbound")),
    "duration": number(required=True),
    "source": text(required=True, filled=True),
    "phone": text(required=True, filled=True),
    "uniq": text(),
    "link": Field((str,), url=True),
    "call_status": number(choices=STATUSES),
    "call_result": text(),
    "call_responsible": CALL_RESPONSIBLE,
    "responsible_user_id": user(),
    "created_by": user(robot=True),
    "updated_by": user(robot=True),
    "created_at": moment(),
    "updated_at": moment(),
    "request_id": text(),
}
NOT_FOUND = {"title": "Entity not found", "status": 263, "detail": "Entity not found"}


def add(ask: Ask) -> Response:
    """Attaches each call to its customer; those of strangers are refused one by one."""
    items = read_items(ask, SCHEMA)
    most = ask.account.calls_504_above
    if most is not None and len(items) > most:
        raise Problem(504, "Gateway Timeout")
    added, errors = [], []
    for request_id, item in items:
        found = match(ask.account, item["phone"])
        if found is None:
            errors.append({**NOT_FOUND, "request_id": request_id})
        else:
            added.append(_shown(ask, keep(ask, item, request_id, *found), request_id))
    failed = not added or (bool(errors) and ask.account.mixed_as_400)
    return hal(
        {"_total_items": len(added), "errors": errors, "_embedded": {"calls": added}}, status=400 if failed else 200
    )


def match(account: Account, phone: str) -> tuple[str, int] | None:
    """What a call with that number is attached to; None: nobody has it, or nobody that is indexed already."""
    for party in _candidates(account, phone):
        leads = [each for each in account.leads_of(party) if each.active]
        customers = account.customers_of(party)
        if len(leads) == 1 and not customers:
            return "lead", leads[0].id
        if len(customers) == 1 and not leads:
            return "customer", customers[0].id
        return ("contact" if party.entity_type == "contacts" else "company"), party.id
    return None


def keep(ask: Ask, item: dict[str, Any], request_id: str, entity_type: str, entity_id: int) -> Call:
    """Writes a call down, and onto the timeline."""
    account = ask.account
    given = {name: value for name, value in item.items() if name != "request_id"}
    note = account.keep_note(
        PLURAL[entity_type],
        entity_id,
        "call_in" if item["direction"] == "inbound" else "call_out",
        params(item),
        created_by=item.get("created_by"),
        responsible_user_id=item.get("responsible_user_id", account.default_user()),
        created_at=item.get("created_at"),
    )
    call = Call(account.next_id(), entity_type, entity_id, note.id, dict(item), request_id=request_id, **given)
    account.calls.append(call)
    return call


def params(item: dict[str, Any]) -> dict[str, Any]:
    """What a call's entry on a timeline tells."""
    names = ("uniq", "duration", "source", "link", "phone", "call_result", "call_status", "call_responsible")
    return {name: item[name] for name in names if name in item}


def _candidates(account: Account, phone: str) -> list[Contact]:
    """Who has the number: contacts before companies, the oldest first."""
    everybody: list[Contact] = [*account.contacts.values(), *account.companies.values()]
    having = [each for each in everybody if each.listed and each.has_phone(phone, 10)]
    return [each for each in having if _indexed(account, each)]


def _indexed(account: Account, party: Contact) -> bool:
    """Whether calls find it already; to look brings that nearer."""
    if party.ready_at > account.now():
        return False
    party.looks_left -= 1
    return party.looks_left < 0


def _shown(ask: Ask, call: Call, request_id: str) -> dict[str, Any]:
    links = ask.link(f"/api/v4/{PLURAL[call.entity_type]}/{call.entity_id}")
    return {
        "id": call.id,
        "entity_id": call.entity_id,
        "entity_type": call.entity_type,
        "account_id": ask.account.id,
        "request_id": request_id,
        "_embedded": {"entity": {"id": call.entity_id, "_links": links}},
    }
