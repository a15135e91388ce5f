"""Customers by number, external lines, the statistics of finished calls (Bitrix24 REST docs, "Telephony")."""

from __future__ import annotations

from typing import Any

from tests.emulators.bitrix24 import php
from tests.emulators.bitrix24.errors import CORE, RestError, system, telephony
from tests.emulators.bitrix24.invocation import Invocation, Page
from tests.emulators.bitrix24.state import Account, Call, Line


def search_crm_entities(call: Invocation) -> list[dict[str, Any]]:
    """Customers with a number, and who is responsible for them."""
    if not call.text("PHONE_NUMBER"):
        raise telephony("no_phone")
    found = call.account.find_by_phone(call.text("PHONE_NUMBER"))
    return [
        {
            "CRM_ENTITY_TYPE": each.type,
            "CRM_ENTITY_ID": each.id,
            "ASSIGNED_BY_ID": each.assigned_by_id,
            "NAME": each.name,
            "ASSIGNED_BY": _responsible(call.account, each.assigned_by_id),
        }
        for each in found
    ]


def _responsible(account: Account, user_id: int) -> dict[str, Any]:
    user = account.users.get(user_id)
    return {
        "ID": str(user_id),
        "TIMEMAN_STATUS": "OPENED",
        "USER_PHONE_INNER": user.inner_phone if user else None,
        "WORK_PHONE": None,
        "PERSONAL_PHONE": None,
        "PERSONAL_MOBILE": user.mobile if user else None,
    }


def line_add(call: Invocation) -> dict[str, int]:
    """Adds an external line."""
    number = _line_number(call)
    if number in call.account.lines:
        raise telephony("line_exists")
    auto = call.text("CRM_AUTO_CREATE") or "Y"
    line = Line(call.account.next_id(), number, call.text("NAME"), auto)
    call.account.lines[number] = line
    return {"ID": line.id}


def line_get(call: Invocation) -> list[dict[str, str]]:
    """All external lines of the application."""
    return [
        {"NUMBER": each.number, "NAME": each.name, "CRM_AUTO_CREATE": each.crm_auto_create}
        for each in call.account.lines.values()
    ]


def line_update(call: Invocation) -> dict[str, str]:
    """Changes a line's name or CRM_AUTO_CREATE."""
    line = _known_line(call)
    if not {"NAME", "CRM_AUTO_CREATE"} & call.params.keys():
        raise telephony("no_line_fields")
    line.name = call.text("NAME") if "NAME" in call.params else line.name
    line.crm_auto_create = call.text("CRM_AUTO_CREATE") or line.crm_auto_create
    return {"ID": str(line.id)}


def line_delete(call: Invocation) -> list[Any]:
    """Deletes a line."""
    del call.account.lines[_known_line(call).number]
    return []


def _line_number(call: Invocation) -> str:
    number = call.text("NUMBER")
    if not number:
        raise telephony("no_line_number")
    return number


def _known_line(call: Invocation) -> Line:
    number = _line_number(call)
    line = call.account.lines.get(number)
    if line is None:
        raise RestError(CORE, f"Could not find line with number {number}")
    return line


def line_outgoing(call: Invocation) -> str:
    """The default line of outgoing calls; an application's own is REST_APP:<id>."""
    return call.account.default_line


FILTERABLE = (
    "ID CALL_ID EXTERNAL_CALL_ID CALL_CATEGORY PORTAL_USER_ID PORTAL_NUMBER PHONE_NUMBER CALL_TYPE CALL_DURATION "
    "CALL_START_DATE CALL_FAILED_CODE CRM_ENTITY_TYPE CRM_ENTITY_ID CRM_ACTIVITY_ID"
)


def statistic(call: Invocation) -> Page:
    """Finished calls; needs the right to see telephony's statistics, which admins have."""
    if not call.user.admin:
        raise system("ACCESS_DENIED")
    rows = [_statistic_row(each) for each in call.account.calls.values() if each.finished and each.listed]
    for key, wanted in php.as_map(call.params.get("FILTER")).items():
        name = key.lstrip("=")
        if name not in FILTERABLE.split():
            call.report(f"FILTER by {key} is not emulated")
            continue
        values = [str(each) for each in (wanted if isinstance(wanted, list) else [wanted])]
        rows = [row for row in rows if row[name] in values]
    if call.text("ORDER").upper() == "DESC":
        rows.reverse()
    return Page.of(rows, call.number("start"))


def _statistic_row(call: Call) -> dict[str, Any]:
    """All values are strings or null, as in the docs' sample."""
    row: dict[str, Any] = {
        name: None if value in (None, False) else str(value) for name, value in call.statistic.items()
    }
    row["CALL_TYPE"] = row.pop("INCOMING")
    row.pop("CALL_STATUS")
    row["CALL_CATEGORY"] = "external"
    row["CALL_RECORD_URL"] = None
    row["RECORD_FILE_ID"] = call.record_file_id
    row.setdefault("CRM_ENTITY_TYPE", None)
    row.setdefault("CRM_ENTITY_ID", None)
    return row
