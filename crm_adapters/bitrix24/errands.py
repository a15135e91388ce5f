"""Dialogues with a portal about what follows from a call: something to do, a notice, an answer to a workflow.

They need permissions that logging calls does not: where one is missing only this telling fails, for an admin to see.
"""

from __future__ import annotations

from typing import Any

from crm_adapters.bitrix24 import mapping
from crm_adapters.bitrix24.commands import Command
from crm_adapters.bitrix24.dialogues import CUSTOMER, NOBODY_KNOWN, REFUSED, Asking, Setting, Steps
from crm_adapters.contract import TASK_ID, Telling
from crm_adapters.errors import NotSupported, Refused, SignInRefused
from crm_adapters.events import CallMissed, CallReturned, EmployeeNotice, WorkflowAnswer

TODO_SENT = "todo_sent"
TOLD = "told"


def errand(telling: Telling, setting: Setting) -> Steps:
    """The steps for the telling's event."""
    match telling.event:
        case CallMissed() as event:
            return _missed(telling, event, setting)
        case CallReturned() as event:
            return _returned(event)
        case EmployeeNotice() as event:
            return _notice(event)
        case WorkflowAnswer() as event:
            return _workflow(event)
        case event:
            raise NotSupported(f"Bitrix24 is not told of {type(event).__name__}")


def _missed(telling: Telling, event: CallMissed, setting: Setting) -> Steps:
    """Tells the responsible of a missed call, else the default user, and gives them something to do, once."""
    found = mapping.customers_of((yield from _asked(mapping.SEARCH, mapping.search_params(event.client_number))))
    customer, user_id = _whose(telling, event, found, setting)
    if not telling.progress.get(TOLD):
        yield from _asked(mapping.NOTIFY, mapping.missed_notice_params(event, user_id))
        telling.progress[TOLD] = True
    if event.deadline is None or customer is None or telling.progress.get(TASK_ID):
        return
    if event.earlier_task_id and (yield from _is_open(event.earlier_task_id)):
        return
    if telling.progress.get(TODO_SENT):
        listed = yield from _asked(mapping.ACTIVITIES, mapping.same_todo_params(event, customer))
        telling.progress[TASK_ID] = mapping.todo_id_in(listed, event.title)
        if telling.progress[TASK_ID]:
            return
    telling.progress[TODO_SENT] = True
    made = yield from _asked(mapping.TODO_ADD, mapping.todo_params(event, event.deadline, customer, user_id))
    telling.progress[TASK_ID] = mapping.todo_id_in(made, event.title)


def _is_open(todo_id: str) -> Asking:
    """Whether an earlier missed call's to-do still stands; where the portal does not say, it is taken to."""
    try:
        listed = yield from _asked(mapping.ACTIVITIES, mapping.open_todo_params(todo_id))
    except Refused:
        return True
    return mapping.is_open_todo(listed, todo_id)


def _whose(
    telling: Telling, event: CallMissed, found: list[tuple[mapping.Customer, str]], setting: Setting
) -> tuple[mapping.Customer | None, str]:
    """The customer whose timeline gets the task, and the user who has to call. Raises Refused where there is nobody."""
    noted = telling.notes.get(CUSTOMER)
    customer = (str(noted[0]), int(noted[1])) if noted else next((each for each, _ in found), None)
    responsible = [user for each, user in found if each == customer] + [user for _, user in found]
    refused = telling.notes.get(REFUSED, ())  # dismissed, since the employees were last read
    active = [user for user in responsible if not event.employees or user in event.employees]
    candidates = [user for user in active if user not in refused]
    for user_id in (*candidates, event.fallback_user_id, event.noted_user_id, setting.owner):
        if user_id:
            return customer, user_id
    raise Refused(NOBODY_KNOWN)


def _returned(event: CallReturned) -> Steps:
    """Completes what a missed call gave somebody to do; one that somebody deleted is done as well."""
    if event.task_id is None:
        return
    try:
        yield from _asked(mapping.ACTIVITY_UPDATE, mapping.todo_done_params(event.task_id))
    except Refused as refusal:
        if not mapping.says(refusal, mapping.GONE):
            raise


def _notice(event: EmployeeNotice) -> Steps:
    """Tells an employee something, behind the portal's bell."""
    yield from _asked(mapping.NOTIFY, mapping.notice_params(event))


def _workflow(event: WorkflowAnswer) -> Steps:
    """Lets a workflow go on with what became of its call."""
    yield from _asked(mapping.WORKFLOW_ANSWER, mapping.workflow_params(event))


def _asked(method: str, params: dict[str, Any]) -> Asking:
    """The result of one command; a missing permission for it fails this telling alone. Raises AdapterError."""
    try:
        return (yield Command(method=method, params=params))
    except SignInRefused as refusal:
        if refusal.code.lower() != "insufficient_scope":
            raise
        raise Refused(str(refusal), code=refusal.code) from refusal
