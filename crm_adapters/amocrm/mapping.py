"""From a call to amoCRM's fields: pure, by tables. Sources: amoCRM docs, "Calls"; issues for what is compulsory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from crm_adapters.amocrm.answers import objects_in
from crm_adapters.events import CallEnded, CallFacts, CallKind, Direction, Disposition

SOURCE = "Evrotel"
TALKED, WRONG_NUMBER, NOT_REACHED, BUSY = 4, 5, 6, 7
"""`call_status`; 2 and 3 are an employee's verdict and never ours, nor is 5: the PBX does not say why a call failed."""

STATUSES: Mapping[Disposition, int] = {
    Disposition.ANSWERED: TALKED,
    Disposition.BUSY: BUSY,
    Disposition.NO_ANSWER: NOT_REACHED,
    Disposition.CONGESTION: NOT_REACHED,
    Disposition.FAILED: NOT_REACHED,
}
DIRECTIONS: Mapping[Direction, str] = {Direction.INCOMING: "inbound", Direction.OUTGOING: "outbound"}
NEW_LEAD = {"uk": "Вхідний дзвінок {number}", "ru": "Входящий звонок {number}", "en": "Incoming call {number}"}
CALLBACK_LEAD = {"uk": "Зворотний дзвінок {number}", "ru": "Обратный звонок {number}", "en": "Call-back {number}"}
SHORTEST_NUMBER = 5
COMPARED_DIGITS = 10
"""amoCRM matches a call by so many last digits of the phone."""
SHORT_NUMBER = "a number of fewer than five digits: amoCRM has no card for it"


def unfit_reason(event: CallFacts) -> str | None:
    """Why amoCRM can't have this call at all; None where it can."""
    return SHORT_NUMBER if len(digits(event.client_number)) < SHORTEST_NUMBER else None


def digits(number: str) -> str:
    return "".join(each for each in number if each.isdecimal())


def same_number(one: str, other: str) -> bool:
    """Whether two spellings are one number to amoCRM."""
    first, second = digits(one)[-COMPARED_DIGITS:], digits(other)[-COMPARED_DIGITS:]
    return bool(first) and first == second


def user_number(user_id: str | None) -> int | None:
    """A user's ID as amoCRM takes it; None where it is none."""
    return int(user_id) if user_id and user_id.isascii() and user_id.isdecimal() and len(user_id) < 16 else None


def was_answered(event: CallEnded) -> bool:
    """Whether somebody talked: an answered call of no seconds is one that nobody took."""
    return event.disposition is Disposition.ANSWERED and event.billsec > 0


def came_from_client(event: CallFacts) -> bool:
    """Whether it was the client who wanted the call: they called, or asked to be called back."""
    return event.direction is Direction.INCOMING or event.kind is CallKind.CALLBACK


def status_of(event: CallEnded) -> int:
    if event.disposition is Disposition.ANSWERED and not was_answered(event):
        return NOT_REACHED
    return STATUSES[event.disposition]


def call_item(event: CallEnded, *, author: int | None, responsible: int | None) -> dict[str, Any]:
    """One item of POST /api/v4/calls: whole numbers, nothing that is null.

    `author` is the employee whose extension it was, `responsible` who may manage the entry.
    """
    taken_by: int | str | None = author or event.extension
    if taken_by is None and not was_answered(event):
        taken_by = responsible
    optional: dict[str, Any] = {
        "link": event.recording_url,
        "call_result": event.result or None,
        "call_responsible": taken_by,
        "responsible_user_id": author or responsible,
        "created_by": author,
    }
    return {
        "direction": DIRECTIONS[event.direction],
        "uniq": event.call_id,
        "duration": event.billsec if was_answered(event) else 0,
        "source": SOURCE,
        "phone": event.client_number,
        "call_status": status_of(event),
        "created_at": int(event.started_at.timestamp()),
        "request_id": event.call_id,
        **{key: value for key, value in optional.items() if value is not None},
    }


def unsorted_item(event: CallEnded, *, connection: str, author: int | None, language: str) -> dict[str, Any]:
    """One item of POST /api/v4/leads/unsorted/sip; the call appears by itself when the entry is accepted.

    `from` and `phone` are shown in each other's place after that (issue 441 of amocrm-api-php): both are the client's.
    """
    at = int(event.started_at.timestamp())
    metadata: dict[str, Any] = {
        "uniq": event.call_id,
        "duration": event.billsec if was_answered(event) else 0,
        "service_code": SOURCE.lower(),
        "link": event.recording_url or "",
        "phone": event.client_number,
        "called_at": at,
        "from": event.client_number,
        "is_call_event_needed": True,
    }
    if taken_by := author or event.extension:
        metadata["call_responsible"] = taken_by
    return {
        "source_uid": f"{SOURCE.lower()}-{connection}",
        "source_name": SOURCE,
        "created_at": at,
        "request_id": event.call_id,
        "metadata": metadata,
        "_embedded": {
            "leads": [{"name": lead_name(event.client_number, language)}],
            "contacts": [{"name": event.client_number, "custom_fields_values": [phone_field(event.client_number)]}],
        },
    }


def contact_item(event: CallEnded, *, author: int | None, responsible: int | None) -> dict[str, Any]:
    """A new contact of whom only the number is known."""
    item: dict[str, Any] = {
        "name": event.client_number,
        "custom_fields_values": [phone_field(event.client_number)],
        "request_id": event.call_id,
    }
    if author or responsible:
        item["responsible_user_id"] = author or responsible
    if author:
        item["created_by"] = author
    return item


def lead_item(event: CallEnded, contact_id: int, *, responsible: int | None, language: str) -> dict[str, Any]:
    """A new lead of the contact, in the account's main pipeline."""
    item: dict[str, Any] = {
        "name": lead_name(
            event.client_number, language, NEW_LEAD if event.kind is not CallKind.CALLBACK else CALLBACK_LEAD
        ),
        "request_id": event.call_id,
        "_embedded": {"contacts": [{"id": contact_id, "is_main": True}]},
    }
    return item | ({"responsible_user_id": responsible} if responsible else {})


def lead_name(number: str, language: str, names: Mapping[str, str] = NEW_LEAD) -> str:
    return names.get(language, names["en"]).format(number=number)


def phone_field(number: str) -> dict[str, Any]:
    return {"field_code": "PHONE", "values": [{"value": number, "enum_code": "WORK"}]}


def phones_of(row: Mapping[str, Any]) -> list[str]:
    """The values of a contact's or company's phone field, and of no other."""
    return [
        str(value["value"])
        for field in objects_in(row.get("custom_fields_values"))
        if field.get("field_code") == "PHONE"
        for value in objects_in(field.get("values"))
        if value.get("value")
    ]


def first_active(candidates: Iterable[str | None], employees: frozenset[str]) -> str | None:
    """The first candidate that still works there; `employees` is empty where that is not known."""
    return next((each for each in candidates if each and (not employees or each in employees)), None)
