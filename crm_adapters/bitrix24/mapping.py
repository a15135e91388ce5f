"""Calls as Bitrix24's parameters: tables and pure functions (REST docs, "Telephony", externalCall methods)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from crm_adapters.errors import AdapterError
from crm_adapters.events import (
    CallEnded,
    CallFacts,
    CallKind,
    CallMissed,
    Direction,
    Disposition,
    EmployeeNotice,
    RecordingReady,
    WorkflowAnswer,
)

REGISTER = "telephony.externalCall.register"
FINISH = "telephony.externalCall.finish"
ATTACH = "telephony.externalCall.attachRecord"
SHOW = "telephony.externalCall.show"
HIDE = "telephony.externalCall.hide"
SEARCH = "telephony.externalCall.searchCrmEntities"
STATISTIC = "voximplant.statistic.get"
NOTIFY = "im.notify"
TODO_ADD = "crm.activity.todo.add"
ACTIVITIES = "crm.activity.list"
ACTIVITY_UPDATE = "crm.activity.update"
WORKFLOW_ANSWER = "bizproc.event.send"
COMMENT = "crm.timeline.comment.add"
LEAD_UPDATE = "crm.lead.update"

TYPES: Mapping[Direction, int] = {Direction.OUTGOING: 1, Direction.INCOMING: 2}
KINDS: Mapping[CallKind, int] = {CallKind.CALLBACK: 4, CallKind.AUTODIAL: 5}
OWNER_TYPES: Mapping[str, int] = {"LEAD": 1, "DEAL": 2, "CONTACT": 3, "COMPANY": 4}
CALL_CUSTOMERS = ("CONTACT", "COMPANY", "LEAD")
"""What a call can be tied to (register's CRM_ENTITY_TYPE)."""
Customer = tuple[str, int]
"""A customer's type and ID."""

ANSWERED, MISSED = "200", "304"
STATUS_CODES: Mapping[tuple[Direction, Disposition], str] = {
    (Direction.INCOMING, Disposition.ANSWERED): ANSWERED,
    (Direction.INCOMING, Disposition.BUSY): MISSED,
    (Direction.INCOMING, Disposition.NO_ANSWER): MISSED,
    (Direction.INCOMING, Disposition.CONGESTION): MISSED,
    (Direction.INCOMING, Disposition.FAILED): MISSED,
    (Direction.OUTGOING, Disposition.ANSWERED): ANSWERED,
    (Direction.OUTGOING, Disposition.BUSY): "486",
    (Direction.OUTGOING, Disposition.NO_ANSWER): "480",
    (Direction.OUTGOING, Disposition.CONGESTION): "503",
    # The PBX does not say why a call failed; 404 would tell the employee that the number is wrong.
    (Direction.OUTGOING, Disposition.FAILED): "OTHER",
}
"""Only 304 of an incoming call counts as missed at the portal and starts what it does about missed calls."""

USER_REFUSALS = ("user is not found or is not active", "user_id or user_phone_inner should be set")
GONE = ("not found", "is not found", "does not exist")
CALL_UNKNOWN = ("call is not found",)
NOT_FINISHED = ("looks like it is not finished yet", "call is not found in the statistic table")


def register_params(
    event: CallFacts,
    user_id: str,
    *,
    line: str | None,
    show: bool,
    source: str = "",
    customer: Customer | None = None,
) -> dict[str, Any]:
    """The parameters of register. EXTERNAL_CALL_ID makes a repeat give the same call while that is not finished.

    `source` is the STATUS_ID of a new lead's source.
    """
    params: dict[str, Any] = {
        "USER_ID": number_or_text(user_id),
        "PHONE_NUMBER": event.client_number,
        "TYPE": KINDS.get(event.kind, TYPES[event.direction]),
        "CALL_START_DATE": event.started_at.isoformat(timespec="seconds"),
        "CRM_CREATE": int(event.create_customer),
        "SHOW": int(show),
        "ADD_TO_CHAT": 0,
        "EXTERNAL_CALL_ID": event.call_id,
    }
    if line:
        params["LINE_NUMBER"] = line
    if event.create_customer and source:
        params["CRM_SOURCE"] = source
    if customer and customer[0] in CALL_CUSTOMERS:
        params["CRM_ENTITY_TYPE"], params["CRM_ENTITY_ID"] = customer
    return params


def finish_params(event: CallEnded, call_id: str, user_id: str) -> dict[str, Any]:
    """The parameters of finish. A duration above zero makes any call an answered one, and only such a duration does."""
    answered = event.disposition == Disposition.ANSWERED
    params = {
        "CALL_ID": call_id,
        "USER_ID": number_or_text(user_id),
        "DURATION": max(event.billsec, 1) if answered else 0,
        "STATUS_CODE": STATUS_CODES[event.direction, event.disposition],
        "ADD_TO_CHAT": 0,  # left out it means 1 by the docs and 0 by what portals do
    }
    if event.reason:
        params["FAILED_REASON"] = event.reason
    return params


def card_params(call_id: str, user_ids: Sequence[str]) -> dict[str, Any]:
    """The parameters of show and hide."""
    return {"CALL_ID": call_id, "USER_ID": [number_or_text(user_id) for user_id in user_ids]}


def comment_params(event: CallEnded, customer: Customer) -> dict[str, Any]:
    """The parameters of crm.timeline.comment.add: where the client asked to be called."""
    kind, number = customer
    return {"fields": {"ENTITY_TYPE": kind.lower(), "ENTITY_ID": number, "COMMENT": event.origin}}


def tags_params(event: CallEnded, lead_id: int) -> dict[str, Any]:
    """The parameters of crm.lead.update that give a new lead the utm tags of the page."""
    return {"id": lead_id, "fields": {name.upper(): value for name, value in event.tags.items()}}


def created_lead_in(result: Any) -> int | None:
    """The lead that a register made, by its answer."""
    found = str(result.get("CRM_CREATED_LEAD") or "") if isinstance(result, dict) else ""
    return int(found) if found.isdecimal() else None


def search_params(number: str) -> dict[str, Any]:
    """The parameters of searchCrmEntities."""
    return {"PHONE_NUMBER": number}


def customers_of(result: Any) -> list[tuple[Customer, str]]:
    """The customers that a search found, in the portal's order, each with its responsible's ID (empty: nobody's)."""
    rows = result if isinstance(result, list) else []
    return [
        (customer, str(row.get("ASSIGNED_BY_ID") or ""))
        for row in rows
        if isinstance(row, dict) and (customer := customer_in(row))
    ]


def customer_in(result: Any) -> Customer | None:
    """The customer that an answer of register, finish or search names."""
    values = result if isinstance(result, dict) else {}
    kind, number = str(values.get("CRM_ENTITY_TYPE") or ""), str(values.get("CRM_ENTITY_ID") or "")
    return (kind, int(number)) if kind in OWNER_TYPES and number.isdecimal() and int(number) else None


def missed_notice_params(event: CallMissed, user_id: str) -> dict[str, Any]:
    """The parameters of im.notify. A notice with the same TAG takes the place of an earlier one: no doubles."""
    return _notice_params(user_id, event.notice, f"evrotel|missed|{event.call_id}")


def notice_params(event: EmployeeNotice) -> dict[str, Any]:
    """The parameters of im.notify, as above."""
    return _notice_params(event.user_id, event.text, f"evrotel|dial|{event.call_id}")


def _notice_params(user_id: str, text: str, tag: str) -> dict[str, Any]:
    return {"USER_ID": number_or_text(user_id), "TYPE": "SYSTEM", "MESSAGE": text, "TAG": tag}


def todo_params(event: CallMissed, deadline: datetime, customer: Customer, user_id: str) -> dict[str, Any]:
    """The parameters of crm.activity.todo.add."""
    return {
        "ownerTypeId": OWNER_TYPES[customer[0]],
        "ownerId": customer[1],
        "deadline": deadline.isoformat(timespec="seconds"),
        "title": event.title,
        "description": event.text,
        "responsibleId": number_or_text(user_id),
    }


def open_todo_params(todo_id: str) -> dict[str, Any]:
    """The parameters of crm.activity.list that find a to-do where nobody has completed or deleted it."""
    return {"filter": {"ID": todo_id, "COMPLETED": "N"}, "select": ["ID", "COMPLETED"]}


def is_open_todo(result: Any, todo_id: str) -> bool:
    """Whether an answer of crm.activity.list has that to-do as an open one."""
    rows = result if isinstance(result, list) else []
    return any(isinstance(row, dict) and str(row.get("ID")) == todo_id and row.get("COMPLETED") != "Y" for row in rows)


def same_todo_params(event: CallMissed, customer: Customer) -> dict[str, Any]:
    """The parameters of crm.activity.list that find that to-do again: it has no ID of ours, but its own title."""
    return {
        "filter": {"OWNER_TYPE_ID": OWNER_TYPES[customer[0]], "OWNER_ID": customer[1], "SUBJECT": event.title},
        "select": ["ID", "SUBJECT"],
    }


def todo_id_in(result: Any, title: str) -> str | None:
    """The ID in the answer of crm.activity.todo.add, or of the list entry with that title."""
    if isinstance(result, dict) and result.get("id"):
        return str(result["id"])
    rows = result if isinstance(result, list) else []
    return next((str(row["ID"]) for row in rows if isinstance(row, dict) and row.get("SUBJECT") == title), None)


def todo_done_params(todo_id: str) -> dict[str, Any]:
    """The parameters of crm.activity.update that complete a to-do; the newer todo methods have none for it."""
    return {"id": number_or_text(todo_id), "fields": {"COMPLETED": "Y"}}


def workflow_params(event: WorkflowAnswer) -> dict[str, Any]:
    """The parameters of bizproc.event.send; the values are those that the robots declare (robots.py)."""
    values = {"result": str(event.disposition), "seconds": event.billsec, "message": event.text}
    return {"EVENT_TOKEN": event.ticket, "RETURN_VALUES": values, "LOG_MESSAGE": event.text}


def attach_link_params(event: RecordingReady, call_id: str) -> dict[str, Any]:
    """The parameters of attachRecord where the portal fetches the recording itself. A repeat replaces it."""
    return {"CALL_ID": call_id, "RECORD_URL": event.url, "FILENAME": event.filename}


def attach_file_params(event: RecordingReady, call_id: str) -> dict[str, Any]:
    """The parameters of attachRecord that FILE_CONTENT is added to."""
    return {"CALL_ID": call_id, "FILENAME": event.content_filename}


def look_up_params(call_id: str) -> dict[str, Any]:
    """The parameters of voximplant.statistic.get for one call: it lists finished calls only."""
    return {"FILTER": {"CALL_ID": call_id}}


def lists_call(result: Any, call_id: str) -> bool:
    """Whether the statistics that came back contain the call."""
    rows = result if isinstance(result, list) else []
    return any(isinstance(row, dict) and row.get("CALL_ID") == call_id for row in rows)


def says(error: AdapterError, phrases: tuple[str, ...]) -> bool:
    """Whether the portal's text contains one of these: telephony errors have no codes of their own."""
    text = str(error).lower()
    return any(phrase in text for phrase in phrases)


def number_or_text(user_id: str) -> int | str:
    """A user's ID as JSON likes it."""
    return int(user_id) if user_id.isdecimal() else user_id
