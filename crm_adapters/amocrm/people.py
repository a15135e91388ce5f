"""Clients by their phone: searched with care, because amoCRM's search looks into every field of a card."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from crm_adapters.amocrm import mapping
from crm_adapters.amocrm.answers import items_of
from crm_adapters.amocrm.client import AmoAccount
from crm_adapters.amocrm.library import all_of
from crm_adapters.errors import Refused

FOUND_LASTS, UNKNOWN_LASTS = 60.0, 10.0
MOST_KEPT = 5000
CLOSED_STATUSES = frozenset({142, 143})
"""Won and lost, in every pipeline."""


@dataclass(frozen=True, kw_only=True)
class Client:
    """A contact or company with the number. `user_id` is the responsible's, None where there is none."""

    type: str
    id: int
    name: str
    user_id: str | None
    leads: tuple[int, ...]

    @property
    def note(self) -> dict[str, Any]:
        """The card as it is noted on a call."""
        return {"type": self.type, "id": self.id, "name": self.name, "user_id": self.user_id}


_kept: dict[tuple[str, str, str], tuple[float, Client | None]] = {}
"""By connection, address and number; a hint of this process."""


def client_of(amo: AmoAccount, number: str, *, fresh: bool = False) -> Client | None:
    """The one client with this number, always the same one of several; None if there is none. Raises AdapterError."""
    key = (amo.account.connection, amo.url, number)
    kept = _kept.get(key)
    if kept is None or fresh or time.monotonic() > kept[0]:
        found = _chosen(amo, clients_of(amo, number))
        kept = (time.monotonic() + (FOUND_LASTS if found else UNKNOWN_LASTS), found)
        if len(_kept) > MOST_KEPT:
            _kept.clear()
        _kept[key] = kept
    return kept[1]


def clients_of(amo: AmoAccount, number: str, *, with_customers: bool = False) -> list[Mapping[str, Any]]:
    """All contacts whose phone field has the number, else all companies. Raises AdapterError."""
    query = mapping.digits(number)[-mapping.COMPARED_DIGITS :]
    for type_, interaction in (("contacts", amo.contacts), ("companies", amo.companies)):
        rows = _searched(interaction, query, with_customers)
        found: list[Mapping[str, Any]] = [{**row, "type": type_} for row in rows if _has(row, number)]
        if found:
            return found
    return []


def _searched(interaction: Any, query: str, with_customers: bool) -> list[dict[str, Any]]:
    if with_customers:
        try:
            return list(all_of(interaction, query=query, include=["leads", "customers"]))
        except Refused:
            pass  # an account without customers
    return list(all_of(interaction, query=query, include=["leads"]))


def likely_leads(amo: AmoAccount, rows: list[Mapping[str, Any]], most: int) -> list[int]:
    """The cards' leads that a call may be on: the open ones first, then the newest. Raises AdapterError."""
    leads = sorted({lead for row in rows for lead in leads_of(row)}, reverse=True)
    if len(leads) > most:
        busy = _open_leads(amo, rows)
        leads.sort(key=lambda lead: lead not in busy)
    return leads[:most]


def _has(row: Mapping[str, Any], number: str) -> bool:
    has_id = isinstance(row.get("id"), int) and not row.get("is_deleted")
    return has_id and any(mapping.same_number(phone, number) for phone in mapping.phones_of(row))


def _chosen(amo: AmoAccount, rows: list[Mapping[str, Any]]) -> Client | None:
    """One with an open lead first, then the one changed last, then the newest."""
    if not rows:
        return None
    busy = _open_leads(amo, rows) if len(rows) > 1 else set()
    best = max(
        rows, key=lambda row: (bool(busy & set(leads_of(row))), _number(row.get("updated_at")), _number(row["id"]))
    )
    responsible = best.get("responsible_user_id")
    return Client(
        type=str(best["type"]),
        id=best["id"],
        name=str(best.get("name") or ""),
        user_id=str(responsible) if responsible else None,
        leads=tuple(leads_of(best)),
    )


def leads_of(row: Mapping[str, Any]) -> list[int]:
    """The IDs of a card's leads."""
    return [lead["id"] for lead in items_of(row, "leads") if isinstance(lead.get("id"), int)]


def _open_leads(amo: AmoAccount, rows: Iterable[Mapping[str, Any]]) -> set[int]:
    """Which of the cards' leads are open; none where amoCRM does not say."""
    ids = [lead for row in rows for lead in leads_of(row)][:200]
    if not ids:
        return set()
    try:
        body = amo.get("leads", limit=250, **{"filter[id][]": ids})
    except Refused:
        return set()
    return {
        lead["id"]
        for lead in items_of(body, "leads")
        if lead.get("id") in ids and lead.get("status_id") not in CLOSED_STATUSES
    }


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0
