"""POST /api/v2/events: the pop-up of an incoming call (facts 1.4)."""

from __future__ import annotations

from tests.emulators.amocrm.asks import Ask
from tests.emulators.amocrm.checks import Complaint, Field, many, read_object, refuse, text, unknown
from tests.emulators.amocrm.errors import HAL
from tests.emulators.amocrm.records import Popup
from tests.emulators.amocrm.state import Account
from tests.emulators.http import Response

SCHEMA = {
    "add": many(
        {
            "type": text(required=True, choices=("phone_call",)),
            "phone_number": text(required=True, filled=True),
            "users": Field((list,)),
        }
    )
}


def show(ask: Ask) -> Response:
    """Shows a pop-up to these users, or to all; nothing is told but that it was taken."""
    events = read_object(ask, SCHEMA).get("add", [])
    if not events:
        refuse(ask, {"0": [Complaint("FieldMissing", "add")]})
    for index, event in enumerate(events):
        users = event.get("users")
        path = f"add.{index}.users"
        wrong = [Complaint("InvalidType", path) for each in users or [] if type(each) is not int]
        refuse(ask, {"0": wrong or [unknown(path) for each in users or [] if not ask.account.is_user(each)]})
    for event in events:
        _show(ask.account, event["phone_number"], event.get("users"))
    return Response(b"", 202, HAL)


def _show(account: Account, phone: str, users: list[int] | None) -> None:
    known = [each for each in (*account.contacts.values(), *account.companies.values()) if each.listed]
    found = next((each.id for each in known if each.has_phone(phone, 8)), None)
    account.popups.append(Popup(account.now(), phone, None if users is None else tuple(users), found))
