"""Activities: something to do for a customer (Bitrix24 REST docs, "Universal activity", "crm.activity.*")."""

from __future__ import annotations

from datetime import datetime

from tests.emulators.bitrix24 import php
from tests.emulators.bitrix24.errors import CORE, RestError
from tests.emulators.bitrix24.invocation import Invocation, Page
from tests.emulators.bitrix24.state import Activity

OWNER_TYPES = {1: "LEAD", 2: "DEAL", 3: "CONTACT", 4: "COMPANY"}


def todo_add(call: Invocation) -> dict[str, int]:
    """Adds the activity to the customer's timeline."""
    for key in ("ownerTypeId", "ownerId", "deadline"):
        if not call.text(key):
            raise RestError("100", f"Could not find value for parameter {{{key}}}")
    owner = call.account.find_entity(OWNER_TYPES.get(call.number("ownerTypeId"), ""), call.number("ownerId"))
    if owner is None:
        raise RestError("OWNER_NOT_FOUND", "Owner was not found")
    try:
        datetime.fromisoformat(call.text("deadline"))
    except ValueError:
        raise RestError("WRONG_DATETIME_FORMAT", "Wrong datetime format") from None
    responsible = call.number("responsibleId") or call.user.id
    todo = Activity(call.account.next_id(), "TODO", owner, responsible, deadline=call.text("deadline"))
    todo.title, todo.description = call.text("title"), call.text("description")
    call.account.activities.append(todo)
    return {"id": todo.id}


def activity_update(call: Invocation) -> bool:
    """Changes an activity; only completing it is emulated."""
    found = next((each for each in call.account.activities if each.id == call.number("id")), None)
    if found is None:
        raise RestError(CORE, "Activity is not found")
    fields = php.as_map(call.params.get("fields"))
    for key in fields.keys() - {"COMPLETED"}:
        call.report(f"field {key} is not emulated")
    found.completed = fields.get("COMPLETED") == "Y"
    return True


def activity_list(call: Invocation) -> Page:
    """Activities by filter, 50 a page."""
    rows = [
        {
            "ID": str(each.id),
            "OWNER_TYPE_ID": str(next(number for number, kind in OWNER_TYPES.items() if kind == each.owner.type)),
            "OWNER_ID": str(each.owner.id),
            "SUBJECT": each.title,
            "COMPLETED": "Y" if each.completed else "N",
        }
        for each in call.account.activities
        if each.kind == "TODO"
    ]
    for key, wanted in php.as_map(call.params.get("filter")).items():
        rows = [row for row in rows if row.get(key) == str(wanted)]
    return Page.of(rows, call.number("start"))


def comment_add(call: Invocation) -> int:
    """A comment on a customer's timeline."""
    fields = php.as_map(call.params.get("fields"))
    for key in fields.keys() - {"ENTITY_ID", "ENTITY_TYPE", "COMMENT", "AUTHOR_ID", "FILES"}:
        call.report(f"field {key} is unknown")
    kind, number, text = (str(fields.get(key) or "") for key in ("ENTITY_TYPE", "ENTITY_ID", "COMMENT"))
    if kind not in {"lead", "deal", "contact", "company", "order"}:
        raise RestError(CORE, "Entity type is not specified or is not supported")
    owner = call.account.find_entity(kind.upper(), int(number)) if number.isdecimal() else None
    if owner is None or not text:
        raise RestError(CORE, "Entity is not found" if text else "Empty comment message")
    made = Activity(call.account.next_id(), "COMMENT", owner, call.user.id, description=text)
    call.account.activities.append(made)
    return made.id


def lead_update(call: Invocation) -> bool:
    """Changes a lead; only its utm tags are emulated."""
    lead = call.account.find_entity("LEAD", call.number("id"))
    if lead is None:
        raise RestError(CORE, "Not found")
    for key, value in php.as_map(call.params.get("fields")).items():
        if not key.startswith("UTM_"):
            call.report(f"field {key} is not emulated")
        lead.utm[key] = str(value)
    return True
