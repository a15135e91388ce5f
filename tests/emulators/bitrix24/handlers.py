"""Events, placements and robots: where the application asks to be called (Bitrix24 REST docs, "Events", "Widgets")."""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import urlsplit

from tests.emulators.bitrix24 import php
from tests.emulators.bitrix24.errors import RestError, missing
from tests.emulators.bitrix24.invocation import Invocation
from tests.emulators.bitrix24.state import EventHandler

EVENTS: dict[str, str | None] = {  # event: the scope that opens it
    "ONAPPUNINSTALL": None,
    "ONAPPINSTALL": None,
    "ONAPPUPDATE": None,
    "ONAPPPAYMENT": None,
    "ONAPPTEST": None,
    "ONAPPMETHODCONFIRM": None,
    "ONOFFLINEEVENT": None,
    "ONEXTERNALCALLSTART": "telephony",
    "ONEXTERNALCALLBACKSTART": "telephony",
    "ONVOXIMPLANTCALLINIT": "telephony",
    "ONVOXIMPLANTCALLSTART": "telephony",
    "ONVOXIMPLANTCALLEND": "telephony",
    "ONCRMLEADADD": "crm",
    "ONCRMLEADUPDATE": "crm",
    "ONCRMCONTACTADD": "crm",
    "ONCRMCONTACTUPDATE": "crm",
    "ONCRMCOMPANYADD": "crm",
    "ONCRMDEALADD": "crm",
}

PLACEMENTS: dict[str, str | None] = {  # placement: the scope that opens it beside `placement`
    "CALL_CARD": "telephony",
    "TELEPHONY_ANALYTICS_MENU": "telephony",
    "CRM_LEAD_DETAIL_TAB": "crm",
    "CRM_CONTACT_DETAIL_TAB": "crm",
    "CRM_COMPANY_DETAIL_TAB": "crm",
    "CRM_DEAL_DETAIL_TAB": "crm",
    "LEFT_MENU": None,
    "PAGE_BACKGROUND_WORKER": None,
    "REST_APP_URI": None,
}
ONLY_ONE = frozenset({"PAGE_BACKGROUND_WORKER", "REST_APP_URI"})


def events(call: Invocation) -> list[str]:
    """Names of the events that the token's scopes open."""
    return [name for name, scope in EVENTS.items() if scope is None or scope in call.token.scopes]


def event_bind(call: Invocation) -> bool:
    """Binds a handler to an event."""
    wanted = _handler(call)
    scope = EVENTS.get(wanted.event, "no such event")
    if scope is not None and scope not in call.token.scopes:
        raise RestError("ERROR_EVENT_NOT_FOUND", "Event not found")
    if not call.user.admin:
        _refuse_to_others(call, wanted)
        wanted.auth_type = call.user.id
    if wanted in call.account.handlers:
        raise RestError("ERROR_CORE", "Unable to set event handler: Handler already binded")
    call.account.handlers.append(wanted)
    return True


def _refuse_to_others(call: Invocation, wanted: EventHandler) -> None:
    if wanted.offline:
        text = "Access denied! Offline events binding requires administrator access rights"
        raise RestError("ACCESS_DENIED", text, 403)
    if wanted.auth_type not in (0, call.user.id):
        text = "Access denied! Event binding with AUTH_TYPE requires administrator access rights"
        raise RestError("ACCESS_DENIED", text, 403)


def _handler(call: Invocation) -> EventHandler:
    offline = call.text("event_type") == "offline"
    if not call.text("event"):
        raise missing("EVENT")
    if not offline:
        check_address(call, "handler")
    return EventHandler(call.text("event").upper(), call.text("handler"), call.number("auth_type"), offline)


def check_address(call: Invocation, key: str) -> None:
    """A handler must be an http(s) address whose host has a dot."""
    address = call.text(key)
    if not address:
        raise missing(key.upper())
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https"):
        raise RestError("ERROR_UNSUPPORTED_PROTOCOL", "Unsupported event handler protocol")
    if "." not in (parts.hostname or ""):
        raise RestError("ERROR_WRONG_HANDLER_URL", "Wrong handler URL")


def event_get(call: Invocation) -> list[dict[str, Any]]:
    """Bound handlers; to a user who is no admin only his own."""
    mine = (each for each in call.account.handlers if call.user.admin or each.auth_type == call.user.id)
    return [_event_row(each) for each in mine]


def _event_row(bound: EventHandler) -> dict[str, Any]:
    if bound.offline:
        return {"event": bound.event, "connector_id": "", "offline": 1}
    return {"event": bound.event, "handler": bound.handler, "auth_type": str(bound.auth_type), "offline": 0}


def event_unbind(call: Invocation) -> dict[str, int]:
    """Removes bindings and tells how many."""
    wanted = _handler(call)
    before = len(call.account.handlers)
    call.account.handlers[:] = [each for each in call.account.handlers if not _covers(call, wanted, each)]
    return {"count": before - len(call.account.handlers)}


def _covers(call: Invocation, wanted: EventHandler, bound: EventHandler) -> bool:
    same = (wanted.event, wanted.handler, wanted.offline) == (bound.event, bound.handler, bound.offline)
    return same and ("auth_type" not in call.params or wanted.auth_type == bound.auth_type)


def event_test(call: Invocation) -> bool:
    """Has ONAPPTEST delivered to the application's handler, with the given parameters as its data."""
    threading.Thread(target=call.account.fire, args=("ONAPPTEST", {"QUERY": dict(call.params)}), daemon=True).start()
    return True


def placement_bind(call: Invocation) -> bool:
    """Puts the application into a place of the portal's pages. Some refusals come with status 200."""
    if not call.text("PLACEMENT"):
        raise missing("PLACEMENT")
    check_address(call, "HANDLER")
    place = call.text("PLACEMENT").upper()
    scope = PLACEMENTS.get(place, "no such placement")
    if scope is not None and scope not in call.token.scopes:
        raise RestError("ERROR_PLACEMENT_NOT_FOUND", "Placement not found")
    _refuse_options(call, place)
    bound = {"placement": place, "handler": call.text("HANDLER"), "title": call.text("TITLE")}
    if any((each["placement"], each["handler"]) == (place, bound["handler"]) for each in call.account.placements):
        raise RestError("ERROR_CORE", "Unable to set placement handler: Handler already binded")
    call.account.placements.append(bound)
    return True


def _refuse_options(call: Invocation, place: str) -> None:
    if "USER_ID" in call.params and place != "PAGE_BACKGROUND_WORKER":
        raise RestError("ERROR_PLACEMENT_USER_MODE", "User mode is not available", 200)
    options = call.params.get("OPTIONS")
    if place == "PAGE_BACKGROUND_WORKER" and not (isinstance(options, dict) and options.get("errorHandlerUrl")):
        raise RestError("EMPTY_ERROR_HANDLER_URL", "errorHandlerUrl is empty", 200)
    if place in ONLY_ONE and any(each["placement"] == place for each in call.account.placements):
        raise RestError("ERROR_PLACEMENT_MAX_COUNT", "Placement max count", 200)


def placement_get(call: Invocation) -> list[dict[str, Any]]:
    """The application's placements."""
    return list(call.account.placements)


def placement_unbind(call: Invocation) -> dict[str, int]:
    """Removes one handler of a placement, or all of them."""
    if not call.text("PLACEMENT"):
        raise missing("PLACEMENT")
    before = len(call.account.placements)
    place, handler = call.text("PLACEMENT").upper(), call.text("HANDLER")
    call.account.placements[:] = [
        each
        for each in call.account.placements
        if each["placement"] != place or (handler and each["handler"] != handler)
    ]
    return {"count": before - len(call.account.placements)}


def robot_add(call: Invocation) -> bool:
    """Registers an automation robot."""
    for key in ("CODE", "HANDLER", "NAME"):
        if not call.params.get(key):
            raise RestError("ERROR_ACTIVITY_VALIDATION_FAILURE", f"Empty activity {key}!")
    code = call.text("CODE")
    if code in call.account.robots:
        raise RestError("ERROR_ACTIVITY_ALREADY_INSTALLED", "Activity or Robot already installed!")
    call.account.robots[code] = dict(call.params)
    return True


def robot_update(call: Invocation) -> bool:
    """Changes a robot that is there."""
    known = call.account.robots.get(call.text("CODE"))
    if known is None:
        raise RestError("ERROR_ACTIVITY_NOT_FOUND", "Activity or Robot not found!")
    known |= php.as_map(call.params.get("FIELDS"))
    return True


def robot_delete(call: Invocation) -> bool:
    """Removes a robot."""
    if call.account.robots.pop(call.text("CODE"), None) is None:
        raise RestError("ERROR_ACTIVITY_NOT_FOUND", "Activity or Robot not found!")
    return True


def robot_list(call: Invocation) -> list[str]:
    """Codes of the application's robots."""
    return list(call.account.robots)


def workflow_answer(call: Invocation) -> bool:
    """A robot's answer to the business process that waits for it."""
    if not call.text("EVENT_TOKEN"):
        raise RestError("ERROR_EMPTY_EVENT_TOKEN", "Empty EVENT_TOKEN")
    call.account.workflow_answers.append(dict(call.params))
    return True
