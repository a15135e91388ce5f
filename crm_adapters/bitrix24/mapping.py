"""Calls as Bitrix24's parameters: tables and pure functions (REST docs, "Telephony", externalCall methods)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crm_adapters.errors import AdapterError
from crm_adapters.events import CallEnded, CallFacts, Direction, Disposition, RecordingReady

REGISTER = "telephony.externalCall.register"
FINISH = "telephony.externalCall.finish"
ATTACH = "telephony.externalCall.attachRecord"
STATISTIC = "voximplant.statistic.get"

TYPES: Mapping[Direction, int] = {Direction.OUTGOING: 1, Direction.INCOMING: 2}

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
CALL_UNKNOWN = ("call is not found",)
NOT_FINISHED = ("looks like it is not finished yet", "call is not found in the statistic table")


def register_params(event: CallFacts, user_id: str, *, show: bool) -> dict[str, Any]:
    """The parameters of register. EXTERNAL_CALL_ID makes a repeat give the same call while that is not finished."""
    params: dict[str, Any] = {
        "USER_ID": number_or_text(user_id),
        "PHONE_NUMBER": event.client_number,
        "TYPE": TYPES[event.direction],
        "CALL_START_DATE": event.started_at.isoformat(timespec="seconds"),
        "CRM_CREATE": int(event.create_customer),
        "SHOW": int(show),
        "ADD_TO_CHAT": 0,
        "EXTERNAL_CALL_ID": event.call_id,
    }
    if event.line:
        params["LINE_NUMBER"] = event.line
    return params


def finish_params(event: CallEnded, call_id: str, user_id: str) -> dict[str, Any]:
    """The parameters of finish. A duration above zero would make any call an answered one."""
    answered = event.disposition == Disposition.ANSWERED
    return {
        "CALL_ID": call_id,
        "USER_ID": number_or_text(user_id),
        "DURATION": max(event.billsec, 0) if answered else 0,
        "STATUS_CODE": STATUS_CODES[event.direction, event.disposition],
        "ADD_TO_CHAT": 0,  # left out it means 1 by the docs and 0 by what portals do
    }


def attach_link_params(event: RecordingReady, call_id: str) -> dict[str, Any]:
    """The parameters of attachRecord where the portal fetches the recording itself. A repeat replaces it."""
    return {"CALL_ID": call_id, "RECORD_URL": event.url, "FILENAME": event.filename}


def attach_file_params(event: RecordingReady, call_id: str) -> dict[str, Any]:
    """The parameters of attachRecord that FILE_CONTENT is added to."""
    return {"CALL_ID": call_id, "FILENAME": event.filename}


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
