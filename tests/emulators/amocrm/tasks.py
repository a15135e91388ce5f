"""/api/v4/tasks: what is to be done, and what has been (facts 1.6)."""

from __future__ import annotations

from typing import Any

from tests.emulators.amocrm.asks import Ask
from tests.emulators.amocrm.checks import (
    Complaint,
    Field,
    flag,
    moment,
    nested,
    number,
    read_items,
    read_object,
    refuse,
    text,
    unknown,
    user,
)
from tests.emulators.amocrm.errors import Problem, hal, nothing
from tests.emulators.amocrm.records import Task
from tests.emulators.http import Response

TYPES = (1, 2)
ENTITIES = ("leads", "contacts", "companies", "customers")
SCHEMA = {
    "text": text(required=True, filled=True),
    "complete_till": moment(required=True),
    "task_type_id": number(choices=TYPES),
    "responsible_user_id": user(),
    "entity_id": Field((int,)),
    "entity_type": text(choices=ENTITIES),
    "is_completed": flag(),
    "duration": number(),
    "result": nested({"text": text(required=True)}),
    "created_by": user(robot=True),
    "updated_by": user(robot=True),
    "created_at": moment(),
    "updated_at": moment(),
    "request_id": text(),
}
CHANGES = {
    **SCHEMA,
    "text": text(filled=True),
    "complete_till": moment(),
}


def add(ask: Ask) -> Response:
    """Adds tasks."""
    items = read_items(ask, SCHEMA)
    refuse(ask, {request_id: _complaints(ask, item) for request_id, item in items})
    made = [(request_id, _create(ask, item)) for request_id, item in items]
    answers = [{"id": task.id, "request_id": name, **_links(ask, task)} for name, task in made]
    return hal({"_links": ask.link(ask.path), "_embedded": {"tasks": answers}})


def find(ask: Ask) -> Response:
    """Tasks: open ones, those of an entity, of a user, of a type; 204 where there are none."""
    completed, kinds = ask.numbers("filter[is_completed]"), ask.words("filter[entity_type]")
    numbers, entities = ask.numbers("filter[id]"), ask.numbers("filter[entity_id]")
    types, users = ask.numbers("filter[task_type]"), ask.numbers("filter[responsible_user_id]")
    wanted = [
        each
        for each in ask.account.tasks.values()
        if (completed is None or int(each.is_completed) in completed)
        and (kinds is None or each.entity_type in kinds)
        and (entities is None or each.entity_id in entities)
    ]
    found = [
        each
        for each in wanted
        if (numbers is None or each.id in numbers)
        and (types is None or each.task_type_id in types)
        and (users is None or each.responsible_user_id in users)
    ]
    return ask.listing("tasks", [_shown(ask, each) for each in found])


def get(ask: Ask, given: str) -> Response:
    """One task; 204 where there is none."""
    task = ask.account.tasks.get(int(given))
    return hal(_shown(ask, task)) if task else nothing()


def change(ask: Ask, given: str) -> Response:
    """Changes a task; completed it is with `is_completed` and what came of it."""
    item = read_object(ask, CHANGES)
    task = ask.account.tasks.get(int(given))
    if task is None:
        raise Problem(404, "Task not found")
    for name in ("text", "complete_till", "task_type_id", "responsible_user_id", "is_completed"):
        setattr(task, name, item.get(name, getattr(task, name)))
    if "result" in item:
        task.result = item["result"]["text"]
    task.updated_at = int(ask.account.now())
    return hal({"id": task.id, "updated_at": task.updated_at, **_links(ask, task)})


def _complaints(ask: Ask, item: dict[str, Any]) -> list[Complaint]:
    """An entity has both a type and a number, and is there."""
    if ("entity_id" in item) != ("entity_type" in item):
        return [Complaint("FieldMissing", "entity_type" if "entity_id" in item else "entity_id")]
    if "entity_id" in item and not ask.account.has(item["entity_type"], item["entity_id"]):
        return [unknown("entity_id")]
    return []


def _create(ask: Ask, item: dict[str, Any]) -> Task:
    now = int(ask.account.now())
    task = Task(
        ask.account.next_id(),
        item["text"],
        item["complete_till"],
        item.get("task_type_id", 1),
        item.get("responsible_user_id", ask.person.id),
        item.get("entity_type"),
        item.get("entity_id"),
        item.get("is_completed", False),
        item.get("result", {}).get("text"),
        item.get("created_by", 0),
        item.get("created_at", now),
        now,
    )
    ask.account.tasks[task.id] = task
    return task


def _shown(ask: Ask, task: Task) -> dict[str, Any]:
    return {
        "id": task.id,
        "created_by": task.created_by,
        "updated_by": task.created_by,
        "created_at": task.created_at,
        "updated_at": task.updated_at,
        "responsible_user_id": task.responsible_user_id,
        "group_id": 0,
        "entity_id": task.entity_id,
        "entity_type": task.entity_type,
        "is_completed": task.is_completed,
        "task_type_id": task.task_type_id,
        "text": task.text,
        "duration": 0,
        "complete_till": task.complete_till,
        "result": {"text": task.result} if task.result is not None else [],
        "account_id": ask.account.id,
        **_links(ask, task),
    }


def _links(ask: Ask, task: Task) -> dict[str, Any]:
    return {"_links": ask.link(f"/api/v4/tasks/{task.id}")}
