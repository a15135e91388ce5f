"""One event of each kind, as the service would tell it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from crm_adapters.events import (
    Announced,
    CallEnded,
    CallFacts,
    CallMissed,
    CallReturned,
    CallStarted,
    Direction,
    Disposition,
    EmployeeNotice,
    Event,
    Inbound,
    RecordingReady,
    WorkflowAnswer,
)

NUMBER = "+380671234567"
CALL_ID = "0198f6d2c5e07a51a8d9a6e0b7f1c2d3"
ANNOUNCED = "callback.requested"
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(24)
INBOUND = Inbound(content_type="application/json", body=b"{}")


def facts(user_id: str, /, **changes: Any) -> dict[str, Any]:
    """What is known of a client's call to 101."""
    return {
        "call_id": CALL_ID,
        "crm_call_id": None,
        "direction": Direction.INCOMING,
        "client_number": NUMBER,
        "line": "+380441112233",
        "extension": "101",
        "user_id": user_id,
        "fallback_user_id": user_id,
        "started_at": datetime.now(UTC) - timedelta(seconds=60),
        "create_customer": True,
        **changes,
    }


def event_of(kind: type[Event], user_id: str, /, **changes: Any) -> Any:
    """An event of this kind; `changes` are those of its own fields, and of the call's where it has a call."""
    return _MADE[kind](user_id, changes)


def _started(user_id: str, changes: dict[str, Any]) -> Event:
    return CallStarted(**facts(user_id, read_inbound=lambda: INBOUND, **changes))


def _ended(user_id: str, changes: dict[str, Any]) -> Event:
    own = {"ended_at": datetime.now(UTC), "disposition": Disposition.ANSWERED, "billsec": 30}
    return CallEnded(**facts(user_id, read_inbound=lambda: INBOUND, **own, **changes))


def _recording(user_id: str, changes: dict[str, Any]) -> Event:
    own: dict[str, Any] = {"call_id": CALL_ID, "crm_call_id": None, "url": None, "seconds": 30.0}
    names = {"filename": "call.wav", "content_filename": "call.wav", "read_content": lambda: WAV}
    return RecordingReady(**own | names | _with_call(user_id, changes))


def _missed(user_id: str, changes: dict[str, Any]) -> Event:
    moment = datetime.now(UTC)
    own = {"notice": "A missed call", "title": "Call back", "text": "At once", "missed_at": moment}
    return CallMissed(**facts(user_id, **own, **{"deadline": moment + timedelta(minutes=15), **changes}))


def _returned(user_id: str, changes: dict[str, Any]) -> Event:
    own: dict[str, Any] = {"call_id": CALL_ID, "crm_call_id": None, "task_id": None, "result": "Reached"}
    return CallReturned(**own | _with_call(user_id, changes))


def _notice(user_id: str, changes: dict[str, Any]) -> Event:
    own: dict[str, Any] = {"call_id": CALL_ID, "crm_call_id": None, "user_id": user_id, "text": "It was not dialled"}
    return EmployeeNotice(**own | changes)


def _workflow(user_id: str, changes: dict[str, Any]) -> Event:
    own: dict[str, Any] = {"call_id": CALL_ID, "crm_call_id": None, "ticket": "ticket-1", "text": "Reached"}
    return WorkflowAnswer(**own | {"disposition": Disposition.ANSWERED, "billsec": 30} | changes)


def _announced(user_id: str, changes: dict[str, Any]) -> Event:
    own: dict[str, Any] = {"id": "announcement-1", "name": ANNOUNCED, "at": datetime.now(UTC)}
    return Announced(**own | {"data": {"number": NUMBER}} | changes)


def _with_call(user_id: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The call beside an event of it that has little else."""
    of_call = {key: value for key, value in changes.items() if key in {"call_id", "crm_call_id", "client_number"}}
    rest = {key: value for key, value in changes.items() if key != "client_number"}
    return {"call": CallFacts(**facts(user_id, **of_call)), **rest}


_MADE: Mapping[type[Event], Callable[[str, dict[str, Any]], Event]] = {
    CallStarted: _started,
    CallEnded: _ended,
    RecordingReady: _recording,
    CallMissed: _missed,
    CallReturned: _returned,
    EmployeeNotice: _notice,
    WorkflowAnswer: _workflow,
    Announced: _announced,
}
EVENTS: tuple[type[Event], ...] = tuple(_MADE)
