"""Entries of timelines: /api/v4/{contacts|companies|leads|customers}/notes (facts 1.6)."""

from __future__ import annotations

from typing import Any

from tests.emulators.amocrm.asks import Ask
from tests.emulators.amocrm.checks import (
    CALL_RESPONSIBLE,
    Complaint,
    Field,
    check,
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
from tests.emulators.amocrm.records import Note
from tests.emulators.http import Response

CALL_PARAMS = {
    "uniq": text(required=True),
    "duration": number(required=True),
    "source": text(required=True),
    "link": Field((str,), required=True, url=True),
    "phone": text(required=True, filled=True),
    "call_status": number(choices=range(1, 8)),
    "call_result": text(),
    "call_responsible": CALL_RESPONSIBLE,
}
PARAMS = {
    "call_in": CALL_PARAMS,
    "call_out": CALL_PARAMS,
    "common": {"text": text(required=True, filled=True)},
    "service_message": {"text": text(required=True), "service": text(required=True)},
}
SCHEMA = {
    "entity_id": Field((int,)),
    "note_type": text(required=True, choices=tuple(PARAMS)),
    "params": nested(None, required=True),
    "created_by": user(robot=True),
    "updated_by": user(robot=True),
    "responsible_user_id": user(),
    "created_at": moment(),
    "updated_at": moment(),
    "is_need_to_trigger_digital_pipeline": Field((bool,)),
    "request_id": text(),
}
CHANGES = {
    "id": Field((int,)),
    "note_type": text(choices=tuple(PARAMS)),
    "params": nested(None),
    "created_by": user(robot=True),
    "updated_by": user(robot=True),
    "responsible_user_id": user(),
}


def find(ask: Ask, entity_type: str, given: str | None = None) -> Response:
    """A timeline's entries, or those of all timelines of a kind; 204 where there are none."""
    types, numbers = ask.words("filter[note_type]"), ask.numbers("filter[id]")
    entities = ask.numbers("filter[entity_id]") if given is None else {int(given)}
    if given is not None and not ask.account.has(entity_type, int(given)):
        raise Problem(404, "Entity not found")
    found = [
        each
        for each in ask.account.notes.values()
        if each.entity_type == entity_type
        and (entities is None or each.entity_id in entities)
        and (types is None or each.note_type in types)
        and (numbers is None or each.id in numbers)
    ]
    return ask.listing("notes", [_shown(ask, each) for each in found])


def add(ask: Ask, entity_type: str, given: str | None = None) -> Response:
    """Adds entries, each to its timeline."""
    items = read_items(ask, SCHEMA)
    refuse(ask, {request_id: _complaints(ask, entity_type, given, item) for request_id, item in items})
    made = []
    for request_id, item in items:
        entity_id = int(given) if given is not None else item["entity_id"]
        names = ("created_by", "responsible_user_id", "created_at", "updated_at")
        more = {name: item[name] for name in names if name in item}
        note = ask.account.keep_note(entity_type, entity_id, item["note_type"], item["params"], **more)
        made.append({"id": note.id, "entity_id": entity_id, "request_id": request_id, **_links(ask, note)})
    return hal({"_links": ask.link(ask.path), "_embedded": {"notes": made}})


def get(ask: Ask, entity_type: str, entity_id: str, note_id: str) -> Response:
    """One entry; 204 where there is none."""
    note = _note(ask, entity_type, entity_id, note_id)
    return hal(_shown(ask, note)) if note else nothing()


def change(ask: Ask, entity_type: str, entity_id: str, note_id: str) -> Response:
    """Changes one entry; the parameters of a call are given whole."""
    item = read_object(ask, CHANGES)
    note = _note(ask, entity_type, entity_id, note_id)
    if note is None:
        raise Problem(404, "Note not found")
    if "params" in item:
        refuse(ask, {"0": list(check(ask.account, item["params"], PARAMS[note.note_type], "params"))})
        note.params = item["params"]
    note.updated_at = int(ask.account.now())
    return hal({"id": note.id, "entity_id": note.entity_id, "updated_at": note.updated_at, **_links(ask, note)})


def _note(ask: Ask, entity_type: str, entity_id: str, note_id: str) -> Note | None:
    note = ask.account.notes.get(int(note_id))
    same = note is not None and (note.entity_type, note.entity_id) == (entity_type, int(entity_id))
    return note if same else None


def _complaints(ask: Ask, entity_type: str, given: str | None, item: dict[str, Any]) -> list[Complaint]:
    found = list(check(ask.account, item["params"], PARAMS[item["note_type"]], "params"))
    if given is None and "entity_id" not in item:
        found.append(Complaint("FieldMissing", "entity_id"))
    elif not ask.account.has(entity_type, int(given) if given is not None else item["entity_id"]):
        found.append(unknown("entity_id"))
    return found


def _shown(ask: Ask, note: Note) -> dict[str, Any]:
    return {
        "id": note.id,
        "entity_id": note.entity_id,
        "created_by": note.created_by,
        "updated_by": note.created_by,
        "created_at": note.created_at,
        "updated_at": note.updated_at,
        "responsible_user_id": note.responsible_user_id,
        "group_id": 0,
        "note_type": note.note_type,
        "params": note.params,
        "account_id": ask.account.id,
        **_links(ask, note),
    }


def _links(ask: Ask, note: Note) -> dict[str, Any]:
    return {"_links": ask.link(f"/api/v4/{note.entity_type}/{note.entity_id}/notes/{note.id}")}
