"""Requests from a portal and from the browsers that show it: an installation, an event, an opening of the application.

An event or a robot's request has to bring the secret that a verified installation left (REST docs, "Safe event
handlers"); the tokens in it are not used, and may be missing.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable, Mapping

from crm_adapters.bitrix24 import mapping
from crm_adapters.bitrix24.claims import SET_UP_FOR, Claim, NotGenuine, event_claim, form_claim, tokens_of, verified
from crm_adapters.bitrix24.dialogues import CUSTOMER
from crm_adapters.bitrix24.robots import PLAY
from crm_adapters.contract import Account
from crm_adapters.door_answers import (
    CallbackWanted,
    ClickToCall,
    DoorAnswer,
    DoorRequest,
    Echo,
    Ignored,
    Installed,
    Opened,
    RobotCall,
    Uninstalled,
)
from crm_adapters.errors import NotSupported

SCRIPT = "https://api.bitrix24.com/api/v1/"
CALL_CARD = "CALL_CARD"
INSTALLED = "ONAPPINSTALL"
LONGEST_CALL_ID, LONGEST_USER_ID = 200, 20
LONGEST_TICKET = 500
"""Event tokens are about 150 characters long; whatever is answered must be the whole."""
ONLY_ADMINS = "Only an administrator of the portal can install the application"


def asks_at(request: DoorRequest) -> bool:
    """Whether a request's tokens have to be shown to the OAuth server."""
    if request.door in {"events", "robot"}:
        return request.form.get("event", "").upper() == INSTALLED
    return True


def open_door(account: Account, request: DoorRequest) -> DoorAnswer:
    """What the request means. Raises Unreachable where the OAuth server or the portal can't be asked."""
    if request.door not in _DOORS:
        raise NotSupported(f"Bitrix24 has no door {request.door}")
    try:
        return _DOORS[request.door](account, request)
    except NotGenuine as reason:
        return reason.refusal


def _install(account: Account, request: DoorRequest) -> DoorAnswer:
    if request.form.get("event"):
        return _events(account, request)
    answer = _opened(account, request, finishes=True)
    if not isinstance(answer, Installed):
        raise NotGenuine(403, ONLY_ADMINS)
    return answer


def _app(account: Account, request: DoorRequest) -> DoorAnswer:
    """Any employee opens the application; an administrator's tokens also replace those of a dismissed one."""
    return _opened(account, request, finishes=False)


def _opened(account: Account, request: DoorRequest, *, finishes: bool) -> Installed | Opened:
    known = verified(account, form_claim(account, request))
    opened = Opened(
        account_key=known.claim.member_id,
        frame_ancestor=known.claim.origin,
        script=SCRIPT,
        user_id=known.user_id,
        is_admin=known.is_admin,
        number=_card_number(request.form),
    )
    if not known.is_admin or opened.number is not None:
        return opened
    # installFinish must be called once: after it the portal reloads the frame with the handler's page.
    former = account.tokens.current()
    return Installed(
        account_key=known.claim.member_id,
        tokens=tokens_of(account, known),
        opened=opened,
        finishes=finishes,
        moved=former is not None and former.extra.get(SET_UP_FOR) != account.public_url,
    )


def _card_number(form: Mapping[str, str]) -> str | None:
    """The client's number where the frame is a tab of a call's card (REST docs, "CALL_CARD"); empty for one that is
    hidden or unreadable."""
    if form.get("PLACEMENT") != CALL_CARD:
        return None
    try:
        options = json.loads(form.get("PLACEMENT_OPTIONS", ""))
    except (ValueError, RecursionError):
        return ""
    number = options.get("PHONE_NUMBER") if isinstance(options, dict) else None
    return number if isinstance(number, str) and number.isprintable() else ""


def _events(account: Account, request: DoorRequest) -> DoorAnswer:
    event = request.form.get("event", "").upper()
    if event == INSTALLED:
        return _installed_by_server(account, event_claim(account, request.form))
    if not event:
        raise NotGenuine(400, "event is missing")
    _check_application_token(account, request.form)
    meaning = _EVENTS.get(event)
    return Ignored() if meaning is None else meaning(request.form)


def _installed_by_server(account: Account, claim: Claim) -> DoorAnswer:
    known = verified(account, claim)
    if not known.is_admin:
        raise NotGenuine(403, ONLY_ADMINS)
    return Installed(account_key=claim.member_id, tokens=tokens_of(account, known))


def _check_application_token(account: Account, form: Mapping[str, str]) -> None:
    tokens = account.tokens.current()
    kept = tokens.extra if tokens else {}
    token, given = kept.get("application_token", ""), form.get("auth[application_token]", "")
    if not token or not hmac.compare_digest(token.encode(), given.encode()):
        raise NotGenuine(403, "application_token is wrong")
    member_id, bound = form.get("auth[member_id]"), kept.get("member_id")
    if member_id and bound and member_id != bound:
        raise NotGenuine(403, "member_id is another portal's")


def _click(form: Mapping[str, str]) -> DoorAnswer:
    """The portal has registered the call: it is only to be dialled, and finished with this CALL_ID."""
    call_id, user_id = form.get("data[CALL_ID]", ""), form.get("data[USER_ID]", "")
    number = form.get("data[PHONE_NUMBER_INTERNATIONAL]") or form.get("data[PHONE_NUMBER]", "")
    if not 0 < len(call_id) <= LONGEST_CALL_ID or not user_id.isdecimal() or len(user_id) > LONGEST_USER_ID:
        raise NotGenuine(400, "CALL_ID or USER_ID is missing or none")
    return ClickToCall(key=call_id, crm_call_id=call_id, number=number, user_id=user_id)


def _callback(form: Mapping[str, str]) -> DoorAnswer:
    customer = mapping.customer_in({key: form.get(f"data[{key}]") for key in ("CRM_ENTITY_TYPE", "CRM_ENTITY_ID")})
    notes = {CUSTOMER: list(customer)} if customer else {}
    number = form.get("data[PHONE_NUMBER]", "")
    if not number:
        raise NotGenuine(400, "PHONE_NUMBER is missing")
    return CallbackWanted(number=number, line=form.get("data[LINE_NUMBER]", ""), notes=notes)


def _robot(account: Account, request: DoorRequest) -> DoorAnswer:
    """A robot's request (REST docs, "bizproc.robot.add"): the workflow waits for an answer to its event_token."""
    form = request.form
    _check_application_token(account, form)
    if not 0 < len(form.get("event_token", "")) <= LONGEST_TICKET:
        raise NotGenuine(400, "event_token is missing or too long")
    plays = form.get("code", "") == PLAY
    return RobotCall(
        ticket=form["event_token"],
        number=_first_number(_property(form, "phone")),
        user_id="" if plays else _user(_property(form, "user")),
        mediafile=_property(form, "mediafile")[:200] if plays else "",
    )


def _property(form: Mapping[str, str], name: str) -> str:
    """A robot's setting, the first of several."""
    return (form.get(f"properties[{name}]") or form.get(f"properties[{name}][0]", "")).strip()


def _user(text: str) -> str:
    """The ID in a field of the type user (`user_7`); empty for groups and anything else."""
    found = re.fullmatch(r"(?:user_)?(\d{1,20})", text)
    return found[1] if found else ""


def _first_number(text: str) -> str:
    """Of a field with several numbers the first."""
    return re.split(r"[,;\n]", text.strip(), maxsplit=1)[0].strip()


_EVENTS: Mapping[str, Callable[[Mapping[str, str]], DoorAnswer]] = {
    "ONEXTERNALCALLSTART": _click,
    "ONEXTERNALCALLBACKSTART": _callback,
    "ONAPPTEST": lambda _: Echo(),
    "ONAPPUNINSTALL": lambda _: Uninstalled(reason="The application was deleted in the portal: install it there again"),
}

_DOORS: Mapping[str, Callable[[Account, DoorRequest], DoorAnswer]] = {
    "install": _install,
    "app": _app,
    "events": _events,
    "robot": _robot,
}
