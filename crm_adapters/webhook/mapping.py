"""From what happened to the events that own CRMs get, docs/own-crm.md. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from crm_adapters.events import (
    Announced,
    CallEnded,
    CallFacts,
    CallKind,
    CallMissed,
    CallReturned,
    CallStarted,
    Event,
    RecordingReady,
)

MOST_BYTES = 19_000
"""The specification wants bodies below 20 KB."""
LONG_TEXT, SHORT_TEXT = 2000, 200


@dataclass(frozen=True, kw_only=True)
class Message:
    """One event as it is sent. `id` is the idempotency key: the same at every repeat."""

    id: str
    type: str
    body: str


def message_of(event: Event) -> Message | None:
    """The event to send, None for what own CRMs are not told of."""
    match event:
        case CallStarted(kind=CallKind.AUTODIAL):
            return None  # nobody looks at a card while a message is played
        case CallStarted() | CallEnded() | CallMissed() | CallReturned() | RecordingReady():
            name, moment, data = _told(event)
            message_id = f"msg_{event.call_id}_{name.replace('.', '_')}"
        case Announced():
            name, moment, data = event.name, event.at, dict(event.data)
            message_id = f"msg_{event.id}"
        case _:
            return None
    return Message(id=message_id, type=name, body=_body(name, moment, data))


def _told(
    event: CallStarted | CallEnded | CallMissed | CallReturned | RecordingReady,
) -> tuple[str, datetime | None, dict[str, Any]]:
    """The name of an event, when it happened where that is known, and its data."""
    match event:
        case CallStarted():
            return "call.started", event.started_at, call_data(event)
        case CallEnded():
            name = "autodial.call.finished" if event.kind is CallKind.AUTODIAL else "call.finished"
            return name, event.ended_at, call_data(event) | _end(event)
        case CallMissed():
            data = call_data(event) | {"call_back_by": _time(event.deadline) if event.deadline else None}
            return "call.missed", event.missed_at or event.started_at, data
        case CallReturned():
            return "call.returned", None, _of_call(event) | {"returned_by": event.by_call_id or None}
        case RecordingReady():
            return "recording.ready", None, _of_call(event) | _recording(event)


def ping(connection: str, moment: datetime) -> Message:
    """The test event."""
    data = {"connection": connection, "test": True}
    return Message(id=f"msg_ping_{moment.timestamp() * 1_000_000:.0f}", type="ping", body=_body("ping", moment, data))


def call_data(call: CallFacts) -> dict[str, Any]:
    """A call in the words of the HTTP API."""
    return {
        "id": call.call_id,
        "callid": call.callid or call.call_id,
        "crm_call_id": call.crm_call_id,
        "direction": call.direction,
        "kind": call.kind,
        "client_number": call.client_number or None,
        "line": call.line,
        "extension": call.extension,
        "user": call.user_id,
        "started_at": _time(call.started_at),
        "source": "records" if call.from_records else "event",
        "campaign": call.campaign or None,
        "callback_id": call.callback_id or None,
        "utm": dict(call.tags),
    }


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _end(event: CallEnded) -> dict[str, Any]:
    return {
        "ended_at": _time(event.ended_at),
        "disposition": event.disposition,
        "billsec": event.billsec,
        "reason": event.reason or None,
        "recording_expected": event.recording_url is not None,
    }


def _recording(event: RecordingReady) -> dict[str, Any]:
    return {"recording": event.url, "filename": event.filename, "seconds": event.seconds}


def _of_call(event: CallReturned | RecordingReady) -> dict[str, Any]:
    if event.call is not None:
        return call_data(event.call)
    return {"id": event.call_id, "callid": event.call_id, "crm_call_id": event.crm_call_id}


def _body(name: str, moment: datetime | None, data: Mapping[str, Any]) -> str:
    at = (moment or datetime.now(UTC)).astimezone(UTC)
    envelope = {"type": name, "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
    for most in (LONG_TEXT, SHORT_TEXT):
        body = json.dumps(envelope | {"data": _shortened(data, most)}, ensure_ascii=False, separators=(",", ":"))
        if len(body.encode(errors="replace")) <= MOST_BYTES:
            break
    return body.encode(errors="replace").decode()


def _shortened(value: Any, most: int) -> Any:
    match value:
        case str() if len(value) > most:
            return f"{value[:most]}…"
        case Mapping():
            return {str(key)[:most]: _shortened(each, most) for key, each in value.items()}
        case list() | tuple():
            return [_shortened(each, most) for each in value]
        case _:
            return value
