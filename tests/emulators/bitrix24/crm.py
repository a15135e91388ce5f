"""crm.activity.todo.add: something to do for a customer (Bitrix24 REST docs, "Universal activity")."""

from __future__ import annotations

from datetime import datetime

from tests.emulators.bitrix24.errors import RestError
from tests.emulators.bitrix24.invocation import Invocation
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
