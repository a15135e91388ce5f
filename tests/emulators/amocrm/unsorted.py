"""Unsorted: incoming calls of strangers that wait until a user accepts or declines them (facts 1.5)."""

from __future__ import annotations

import secrets
from typing import Any

from tests.emulators.amocrm import calls, leads, parties
from tests.emulators.amocrm.asks import Ask
from tests.emulators.amocrm.checks import (
    CALL_RESPONSIBLE,
    Complaint,
    Field,
    flag,
    many,
    moment,
    nested,
    number,
    read_items,
    read_object,
    refuse,
    text,
    user,
)
from tests.emulators.amocrm.errors import Problem, hal, nothing
from tests.emulators.amocrm.records import FIRST_STATUS, PIPELINE, UNSORTED_STATUS, Contact, Unsorted
from tests.emulators.amocrm.state import Account
from tests.emulators.http import Response

METADATA = {
    "uniq": text(required=True, filled=True),
    "duration": number(required=True),
    "service_code": text(required=True, filled=True),
    "link": Field((str,), url=True),
    "phone": Field((str, int), required=True, filled=True),
    "called_at": moment(required=True),
    "from": Field((str, int)),
    "is_call_event_needed": flag(),
    "call_responsible": CALL_RESPONSIBLE,
}
SCHEMA = {
    "source_uid": text(required=True, filled=True),
    "source_name": text(required=True, filled=True),
    "pipeline_id": number(choices=(PIPELINE,)),
    "created_at": moment(),
    "request_id": text(),
    "metadata": nested(METADATA, required=True),
    "_embedded": nested(
        {"leads": many(leads.SCHEMA), "contacts": many(parties.SCHEMA), "companies": many(parties.SCHEMA)}
    ),
}
SETTLED = {"user_id": user(robot=True), "status_id": number(choices=leads.STATUSES)}


def add(ask: Ask) -> Response:
    """Adds incoming calls; nobody finds their contacts until they are accepted."""
    if not ask.account.is_unsorted_on:
        raise Problem(400, "Unsorted is disabled")
    items = read_items(ask, SCHEMA)
    taken = {(each.metadata["uniq"], each.source_uid) for each in ask.account.unsorted.values()}
    complaints: dict[str, list[Complaint]] = {}
    for request_id, item in items:
        key = (item["metadata"]["uniq"], item["source_uid"])
        complaints[request_id] = [Complaint("NotUnique", "metadata.uniq")] if key in taken else []
        taken.add(key)
    refuse(ask, complaints)
    made = [{**_create(ask.account, item, ask), "request_id": request_id} for request_id, item in items]
    return hal({"_total_items": len(made), "_links": ask.link(ask.path), "_embedded": {"unsorted": made}})


def find(ask: Ask) -> Response:
    """What waits; 204 where nothing does."""
    categories, uids = ask.words("filter[category]"), ask.words("filter[uid]")
    found = [
        each
        for each in ask.account.unsorted.values()
        if each.state == "pending"
        and (categories is None or "sip" in categories)
        and (uids is None or each.uid in uids)
    ]
    return ask.listing("unsorted", [_shown(ask, each) for each in found])


def get(ask: Ask, uid: str) -> Response:
    """One that waits; 204 where there is none."""
    found = ask.account.unsorted.get(uid)
    return hal(_shown(ask, found)) if found and found.state == "pending" else nothing()


def accept(ask: Ask, uid: str) -> Response:
    """A user takes it."""
    item, found = _settled(ask, uid)
    accept_one(ask.account, found, item.get("user_id", ask.person.id), item.get("status_id", FIRST_STATUS))
    return hal(_shown(ask, found))


def decline(ask: Ask, uid: str) -> Response:
    """A user throws it away."""
    item, found = _settled(ask, uid)
    decline_one(ask.account, found, item.get("user_id", ask.person.id))
    return hal(_shown(ask, found))


def accept_one(account: Account, item: Unsorted, user_id: int, status_id: int = FIRST_STATUS) -> None:
    """Its contact and lead come to light, and so does the call, where that was wished."""
    item.state, item.settled_by = "accepted", user_id
    for party in _parties(account, item):
        party.in_unsorted = False
        party.responsible_user_id = user_id
    for lead_id in item.lead_ids:
        lead = account.leads[lead_id]
        lead.in_unsorted, lead.status_id, lead.responsible_user_id = False, status_id, user_id
    if item.metadata.get("is_call_event_needed", True):
        sent = {"source": item.source_name, **item.metadata, "phone": str(item.metadata["phone"])}
        created_at = item.metadata["called_at"]
        account.keep_note("leads", item.lead_ids[0], "call_in", calls.params(sent), created_at=created_at)


def decline_one(account: Account, item: Unsorted, user_id: int) -> None:
    """Nothing of it remains."""
    item.state, item.settled_by = "declined", user_id
    for party in _parties(account, item):
        party.is_deleted = True
    for lead_id in item.lead_ids:
        account.leads[lead_id].is_deleted = True


def _settled(ask: Ask, uid: str) -> tuple[dict[str, Any], Unsorted]:
    item = {} if ask.body is None else read_object(ask, SETTLED)
    found = ask.account.unsorted.get(uid)
    if found is None or found.state != "pending":
        raise Problem(404, "Unsorted not found")
    return item, found


def _parties(account: Account, item: Unsorted) -> list[Contact]:
    return [
        *(account.contacts[each] for each in item.contact_ids),
        *(account.companies[each] for each in item.company_ids),
    ]


def _create(account: Account, item: dict[str, Any], ask: Ask) -> dict[str, Any]:
    """A new one with its hidden contacts, companies and lead; a lead there always is."""
    embedded = item.get("_embedded", {})
    made = Unsorted(
        secrets.token_hex(16),
        item["source_uid"],
        item["source_name"],
        item["metadata"],
        item.get("pipeline_id", PIPELINE),
        item.get("created_at", int(account.now())),
    )
    for kind, ids in (("contacts", made.contact_ids), ("companies", made.company_ids)):
        ids.extend(parties.create(account, kind, each, in_unsorted=True).id for each in embedded.get(kind, []))
    for each in embedded.get("leads") or [{}]:
        lead = leads.create(account, each, in_unsorted=True)
        lead.status_id = UNSORTED_STATUS
        lead.contact_ids, lead.company_ids = list(made.contact_ids), list(made.company_ids)
        made.lead_ids.append(lead.id)
    account.unsorted[made.uid] = made
    shown = _shown(ask, made)
    return {name: shown[name] for name in ("uid", "account_id", "_links", "_embedded")}


def _shown(ask: Ask, item: Unsorted) -> dict[str, Any]:
    return {
        "uid": item.uid,
        "source_uid": item.source_uid,
        "source_name": item.source_name,
        "category": "sip",
        "pipeline_id": item.pipeline_id,
        "created_at": item.created_at,
        "metadata": item.metadata,
        "account_id": ask.account.id,
        "_links": ask.link(f"/api/v4/leads/unsorted/{item.uid}"),
        "_embedded": {
            "contacts": [{"id": each} for each in item.contact_ids],
            "leads": [{"id": each} for each in item.lead_ids],
            "companies": [{"id": each} for each in item.company_ids],
        },
    }
