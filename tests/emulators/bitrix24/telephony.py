"""telephony.externalCall.register, finish, show and hide (Bitrix24 REST docs, "Telephony").

What the docs leave open (how a repeated registration is recognised, what a finish does to missed calls) is what real
portals are known to do.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any

from tests.emulators.bitrix24 import php
from tests.emulators.bitrix24.errors import RestError, telephony
from tests.emulators.bitrix24.invocation import Invocation
from tests.emulators.bitrix24.state import Account, Activity, Call, Entity, Line, digits

OUTGOING, INCOMING, REDIRECTED = 1, 2, 3
TYPES = frozenset(range(1, 6))
LONGEST_INNER_NUMBER = 5
DEDUPE_WINDOW = timedelta(minutes=30)
STATUS_CODES = "200 304 603 603-S 403 404 486 484 503 480 402 423 OTHER"
NO_BINDING = "Could not find associated crm entity for the current call"


def register(call: Invocation) -> dict[str, Any]:
    """Registers a call and shows its card; gives back an unfinished one where it is the same call again."""
    _report_carelessness(call)
    user_id = call.employee()
    if call.number("TYPE") not in TYPES:
        raise telephony("bad_type")
    start = _start_date(call)
    phone = "".join(letter for letter in call.text("PHONE_NUMBER") if letter.isdigit() or letter in "+#*")
    if not digits(phone):
        raise telephony("bad_phone")
    call.check_active(user_id)
    line = _line(call)
    show = call.flag("SHOW", True)
    call.flag("ADD_TO_CHAT", True)
    create = call.flag("CRM_CREATE", False)
    found = _same_call(call, user_id, phone, line)
    if found is None:
        found = new_call(call.account, user_id, phone, call.number("TYPE"), line=line, start=start, create=create)
        found.external_call_id = call.text("EXTERNAL_CALL_ID") or None
        found.start_date_text = call.text("CALL_START_DATE") or None
        found.show = show
        bind_customer(call.account, found, call.text("CRM_ENTITY_TYPE"), call.number("CRM_ENTITY_ID"))
        create_lead(call.account, found, call.text("CRM_SOURCE") or None)
    else:
        found.registrations += 1
    if show:
        found.shown_to.append(user_id)
    return registered(found)


def new_call(
    account: Account,
    user_id: int,
    phone: str,
    kind: int,
    *,
    line: Line | None = None,
    start: datetime | None = None,
    create: bool = False,
) -> Call:
    """A call as it stands in the table of going calls."""
    unique = hashlib.md5(secrets.token_bytes(16)).hexdigest()
    made = Call(
        call_id=f"externalCall.{unique}.{int(account.now())}",
        external_call_id=None,
        user_id=user_id,
        phone_number=phone,
        type=kind,
        line_number=line.number if line else None,
        start_date=start or account.moment(),
        show=False,
        crm_create=create,
        app_id=account.client_id,
        portal_call=account.user_by_inner_phone(phone) is not None,
    )
    account.keep_call(made)
    return made


def bind_customer(account: Account, call: Call, kind: str, number: int) -> None:
    """Ties a call to the named customer, or to the one with its number; internal calls have none."""
    if call.portal_call:
        return
    if kind and number:
        call.crm_entity = account.find_entity(kind, number)
        return
    found = account.find_by_phone(call.phone_number)
    call.crm_entity = found[0] if found else None


def create_lead(account: Account, call: Call, source: str | None = None) -> None:
    """Makes a lead for an unknown number, unless the line forbids it for outgoing calls (CRM_AUTO_CREATE)."""
    line = account.lines.get(call.line_number or "")
    forbidden = call.type == OUTGOING and line is not None and line.crm_auto_create == "N"
    if call.crm_entity or call.portal_call or forbidden or not call.crm_create:
        return
    name = f"{call.phone_number} - call"
    lead = Entity("LEAD", account.next_id(), name, (call.phone_number,), call.user_id, call.call_id, source)
    account.keep_entity(lead)
    call.created.append(lead)
    call.crm_entity = lead


def registered(call: Call) -> dict[str, Any]:
    """What register answers."""
    created = [{"ENTITY_TYPE": each.type, "ENTITY_ID": each.id} for each in call.created]
    return {
        "CALL_ID": call.call_id,
        "CRM_CREATED_LEAD": call.created[0].id if call.created else None,
        "CRM_CREATED_ENTITIES": created,
        "CRM_ENTITY_TYPE": call.crm_entity.type if call.crm_entity else None,
        "CRM_ENTITY_ID": call.crm_entity.id if call.crm_entity else None,
    }


def _report_carelessness(call: Invocation) -> None:
    if not call.text("EXTERNAL_CALL_ID"):
        call.report("EXTERNAL_CALL_ID is missing: parallel calls would share a CALL_ID")
    number = call.text("PHONE_NUMBER")
    if not number.startswith("+") and len(digits(number)) > LONGEST_INNER_NUMBER:
        call.report(f"PHONE_NUMBER without a plus: {call.params.get('PHONE_NUMBER')!r}")


def _start_date(call: Invocation) -> datetime:
    text = call.text("CALL_START_DATE")
    if not text:
        return call.account.moment()
    try:
        start = datetime.fromisoformat(text)
    except ValueError:
        raise telephony("bad_date") from None
    if start.tzinfo is None:
        call.report(f"CALL_START_DATE without a zone: {text}")
        start = start.replace(tzinfo=call.account.moment().tzinfo)
    return start


def _line(call: Invocation) -> Line | None:
    """The external line; an unknown one is made in silence."""
    number = call.text("LINE_NUMBER")[:50]
    if not number:
        return None
    lines = call.account.lines
    if number not in lines:
        lines[number] = Line(call.account.next_id(), number)
    return lines[number]


def _same_call(call: Invocation, user_id: int, phone: str, line: Line | None) -> Call | None:
    """An unfinished call that began, by its own CALL_START_DATE, less than 30 minutes ago."""
    since = call.account.moment() - DEDUPE_WINDOW
    external = call.text("EXTERNAL_CALL_ID")
    for each in call.account.going(user_id, phone, call.number("TYPE")):
        same = each.app_id == call.account.client_id and each.start_date > since
        same = same and (line is None or each.line_number == line.number)
        if same and (not external or each.external_call_id == external):
            return each
    return None


def finish(call: Invocation) -> dict[str, Any]:
    """Ends a call once: hides the card, writes the statistics and one entry of the customer's timeline."""
    user_id = call.employee()
    call.check_active(user_id)
    if not isinstance(call.params.get("CALL_ID"), str):
        raise RestError("INVALID_ARGUMENT", "CALL_ID must be a string")
    known = call.account.calls.get(call.params["CALL_ID"])
    if known is None or known.finished or known.app_id != call.account.client_id:
        if known is not None:
            known.finishes_refused += 1
        raise telephony("no_call")
    _finish_fields(call, known, user_id)
    activity_error = _add_activity(call.account, known, user_id)
    _missed(call.account, known)
    known.finished = True
    known.finishes_accepted += 1
    known.hidden_from.append(user_id)
    known.statistic["ID"] = call.account.next_id()
    answer = {**known.statistic, "CALL_START_DATE": {}}  # a date object without public fields becomes {} in PHP's JSON
    return {**answer, "ERRORS": {"ACTIVITY_CREATION": activity_error}} if activity_error else answer


def _finish_fields(call: Invocation, known: Call, user_id: int) -> None:
    duration = call.number("DURATION")
    code = call.text("STATUS_CODE") or ("200" if duration > 0 else "304")
    if code not in STATUS_CODES.split():
        call.report(f"STATUS_CODE is not in the documented list: {code}")
    if duration > 0 and code == "304":
        call.report("DURATION above zero with STATUS_CODE 304: a missed call would count as answered")
    if call.text("RECORD_URL"):
        call.report("RECORD_URL of finish is deprecated")
    call.flag("ADD_TO_CHAT", True)
    known.finished_by, known.duration, known.status_code = user_id, duration, code
    known.failed_reason = call.text("FAILED_REASON") or None
    known.statistic = {
        "CALL_ID": known.call_id,
        "EXTERNAL_CALL_ID": known.external_call_id,
        "PORTAL_USER_ID": user_id,
        "PHONE_NUMBER": known.phone_number,
        "PORTAL_NUMBER": known.line_number or f"REST_APP:{call.account.client_id}",
        "INCOMING": str(known.type),
        "CALL_DURATION": duration,
        "CALL_START_DATE": known.start_date.isoformat(timespec="seconds"),
        "CALL_STATUS": 1 if duration > 0 else 0,
        "CALL_VOTE": call.params.get("VOTE"),
        "COST": call.params.get("COST", 0),
        "COST_CURRENCY": call.text("COST_CURRENCY"),
        "CALL_FAILED_CODE": code,
        "CALL_FAILED_REASON": call.text("FAILED_REASON"),
        "REST_APP_ID": "3",
        "REST_APP_NAME": "Evrotel",
        "COMMENT": None,
    }


def _add_activity(account: Account, call: Call, user_id: int) -> str | None:
    """One entry for the customer; what the call itself created now belongs to who answered it."""
    for entity in call.created:
        entity.assigned_by_id = user_id
    if call.crm_entity is None and not call.portal_call:
        found = account.find_by_phone(call.phone_number)
        call.crm_entity = found[0] if found else None
    if call.crm_entity is None:
        call.statistic["CRM_ACTIVITY_ID"] = False
        return NO_BINDING
    activity = Activity(account.next_id(), "CALL", call.crm_entity, user_id, call.call_id)
    account.activities.append(activity)
    call.activities.append(activity)
    call.statistic["CRM_ACTIVITY_ID"] = activity.id
    call.statistic["CRM_ENTITY_TYPE"], call.statistic["CRM_ENTITY_ID"] = call.crm_entity.type, call.crm_entity.id
    return None


def _missed(account: Account, call: Call) -> None:
    """Incoming calls with 304 are missed until somebody reaches that number."""
    call.missed = call.status_code == "304" and call.type in (INCOMING, REDIRECTED)
    if call.missed:
        account.missed.setdefault(call.phone_number, []).append(call)
    if call.status_code == "200" and call.type == OUTGOING:
        for each in account.missed.pop(call.phone_number, []):
            each.called_back = True


def show(call: Invocation) -> bool:
    """Shows the card to one user or to several."""
    known = _going(call)
    if known is not None:
        known.shown_to += _user_ids(call, known)
    return known is not None


def hide(call: Invocation) -> bool:
    """Takes the card away from one user or from several."""
    known = _going(call)
    if known is not None:
        known.hidden_from += _user_ids(call, known)
    return known is not None


def _going(call: Invocation) -> Call | None:
    known = call.account.calls.get(call.text("CALL_ID"))
    return None if known is None or known.finished else known


def _user_ids(call: Invocation, known: Call) -> list[int]:
    given = call.params.get("USER_ID", known.user_id)
    return [php.integer(each) for each in given] if isinstance(given, list) else [php.integer(given)]
