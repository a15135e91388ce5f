"""Missed calls as tasks: one open task of a client, done by itself when the client is reached."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from crm_adapters.amocrm import mapping
from crm_adapters.amocrm.answers import INVALID, NOT_FOUND
from crm_adapters.amocrm.library import all_of
from crm_adapters.amocrm.people import Client, client_of
from crm_adapters.amocrm.rounds import Round
from crm_adapters.amocrm.strangers import UNSORTED
from crm_adapters.contract import CARD, TASK_ID, Telling
from crm_adapters.errors import AdapterError, NotWanted, Refused, Unreachable
from crm_adapters.events import CallMissed, CallReturned

TASK_SENT = "task_sent"
FOLLOW_UP = 1
"""The type of task that every account has: to contact."""
IN_UNSORTED = "the caller's entry in Unsorted is what is to be done"


def miss(round_: Round, telling: Telling) -> bool:
    """Makes the task, unless there is an open one for an earlier missed call of this client."""
    event = telling.event
    if not isinstance(event, CallMissed) or event.deadline is None or telling.progress.get(TASK_ID):
        return False
    if reason := mapping.unfit_reason(event):
        raise NotWanted(reason)
    amo, number = round_.amo, event.client_number
    found = client_of(amo, number) or client_of(amo, number, fresh=True) or _noted(telling)
    if found is None and telling.notes.get(UNSORTED):
        raise NotWanted(IN_UNSORTED)
    if event.earlier_task_id and _is_open(round_, found, event.earlier_task_id):
        return False
    if telling.progress.get(TASK_SENT) and (made := _made_before(round_, found, event)):
        telling.progress[TASK_ID] = made
        return False
    telling.progress[TASK_SENT] = True
    round_.save([telling])
    try:
        task = _made(round_, event, found)
    except AdapterError as error:
        if not error.maybe_done:
            del telling.progress[TASK_SENT]
        raise
    if not task.get("id"):
        raise Unreachable("amoCRM does not name the task that it made", maybe_done=True)
    telling.progress[TASK_ID] = str(task["id"])
    return False


def complete(round_: Round, telling: Telling) -> bool:
    """Ticks the task off; one that is gone needs none."""
    event = telling.event
    if not isinstance(event, CallReturned) or not event.task_id:
        return False
    changes = {"is_completed": True, "result": {"text": event.result}}
    try:
        round_.amo.changed(f"tasks/{event.task_id}", changes)
    except Refused as refusal:
        if refusal.code not in {NOT_FOUND, INVALID}:
            raise
    return False


def _noted(telling: Telling) -> Client | None:
    """The card that was made for this very call and that the search does not find yet."""
    card = telling.notes.get(CARD) or {}
    if not isinstance(card.get("id"), int):
        return None
    return Client(type=card["type"], id=card["id"], name=card.get("name") or "", user_id=card.get("user_id"), leads=())


def _made(round_: Round, event: CallMissed, found: Client | None) -> dict[str, Any]:
    """The task, for the first of those whose it may be whom the account still has."""
    owner = found.user_id if found else None
    candidates = [owner, event.user_id, *event.line_user_ids, event.fallback_user_id]
    active = [each for each in candidates if mapping.first_active([each], event.employees)]
    refusal: Refused | None = None
    for user_id in [*dict.fromkeys(active), None]:
        try:
            return round_.amo.made("tasks", _task(event, found, mapping.user_number(user_id)))
        except Refused as error:
            if "responsible_user_id" not in str(error):
                raise
            refusal = error
    raise refusal or Refused("the task is for nobody")


def _task(event: CallMissed, found: Client | None, responsible: int | None) -> dict[str, Any]:
    task: dict[str, Any] = {
        "text": f"{event.title}\n{event.text}",
        "complete_till": int(event.deadline.timestamp()) if event.deadline else 0,
        "task_type_id": FOLLOW_UP,
        "request_id": event.call_id,
    }
    if responsible is not None:
        task["responsible_user_id"] = responsible
    if found is not None:
        task |= {"entity_id": found.id, "entity_type": found.type}
    return task


def _is_open(round_: Round, found: Client | None, task_id: str) -> bool:
    """Whether an earlier task still stands. Where amoCRM does not say, one without a card is taken to."""
    try:
        task = round_.amo.get(f"tasks/{int(task_id)}")
    except (Refused, ValueError):
        task = None
    if isinstance(task, dict) and isinstance(task.get("is_completed"), bool):
        return not task["is_completed"]
    return found is None or any(str(row.get("id")) == task_id for row in _open_tasks(round_, found))


def _made_before(round_: Round, found: Client | None, event: CallMissed) -> str | None:
    """The task that an earlier try may have made: its title names the call's time."""
    for row in _open_tasks(round_, found):
        if str(row.get("text") or "").startswith(event.title) and row.get("id"):
            return str(row["id"])
    return None


def _open_tasks(round_: Round, found: Client | None) -> Iterator[dict[str, Any]]:
    """The open tasks of a card; without one those of all cards, the newest first."""
    return all_of(round_.amo.tasks, filters=(_OpenOf(found),), order={"id": "desc"})


class _OpenOf:
    """The library's filter for open tasks."""

    def __init__(self, found: Client | None) -> None:
        self._found = found

    def _as_params(self) -> dict[str, Any]:
        params: dict[str, Any] = {"filter[is_completed]": 0}
        if self._found is not None:
            params |= {"filter[entity_type]": self._found.type, "filter[entity_id][]": self._found.id}
        return params
