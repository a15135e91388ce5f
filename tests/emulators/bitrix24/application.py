"""The application itself, the users and their notices (Bitrix24 REST docs, "Common methods", "Users", "Chats")."""

from __future__ import annotations

from typing import Any

from tests.emulators.bitrix24 import php
from tests.emulators.bitrix24.errors import RestError
from tests.emulators.bitrix24.invocation import Invocation, Page
from tests.emulators.bitrix24.state import Notice, User


def app_info(call: Invocation) -> dict[str, Any]:
    """The portal's view of the application; INSTALLED stays false until BX24.installFinish()."""
    return {
        "ID": 3,
        "CODE": call.account.client_id,
        "VERSION": 1,
        "STATUS": "L",
        "INSTALLED": call.account.installed,
        "PAYMENT_EXPIRED": "N",
        "DAYS": None,
        "LANGUAGE_ID": "ua",
        "LICENSE": "ua_basic",
        "LICENSE_TYPE": "basic",
        "LICENSE_FAMILY": "basic",
    }


def scope(call: Invocation) -> list[str]:
    """What the token's application may use."""
    return sorted(call.token.scopes)


def profile(call: Invocation) -> dict[str, Any]:
    """The token's user in a few words; needs no scope."""
    user = call.user
    return {
        "ID": str(user.id),
        "ADMIN": user.admin,
        "NAME": user.name,
        "LAST_NAME": user.last_name,
        "PERSONAL_GENDER": "",
        "TIME_ZONE": "",
    }


def user_admin(call: Invocation) -> bool:
    """Whether the token's user is an admin."""
    return call.user.admin


def user_current(call: Invocation) -> dict[str, Any]:
    """The token's user."""
    return user_row(call.user)


USER_FIELDS = {"ID": "id", "NAME": "name", "LAST_NAME": "last_name", "UF_PHONE_INNER": "inner_phone"}


def user_get(call: Invocation) -> Page:
    """Employees by filter, 50 a page, by ID."""
    users = sorted(call.account.users.values(), key=lambda each: each.id)
    for key, wanted in php.as_map(call.params.get("FILTER")).items():
        users = [each for each in users if _matches(call, each, key, wanted)]
    if call.text("order").upper() == "DESC":
        users.reverse()
    return Page.of([user_row(each) for each in users], call.number("start"))


def _matches(call: Invocation, user: User, key: str, wanted: Any) -> bool:
    name = key.lstrip("=@!")
    values = [str(each) for each in wanted] if isinstance(wanted, list) else [str(wanted)]
    if name == "ACTIVE":
        found = user.active == (values[0].lower() in ("true", "1", "y"))
    elif name == "USER_TYPE":
        found = user.user_type in values
    elif name in USER_FIELDS:
        own = getattr(user, USER_FIELDS[name])
        found = ("" if own is None else str(own)) in values
    else:
        call.report(f"FILTER by {key} is not emulated")
        return True
    return found != key.startswith("!")


def user_row(user: User) -> dict[str, Any]:
    """IDs are strings; an inner number that was never set is null."""
    return {
        "ID": str(user.id),
        "ACTIVE": user.active,
        "NAME": user.name,
        "LAST_NAME": user.last_name,
        "SECOND_NAME": "",
        "IS_ONLINE": "N",
        "WORK_PHONE": "",
        "PERSONAL_MOBILE": user.mobile or "",
        "UF_DEPARTMENT": [1],
        "UF_PHONE_INNER": user.inner_phone,
        "USER_TYPE": user.user_type,
    }


def notify(call: Invocation) -> int | bool:
    """A notice behind the bell; a tag that is in use replaces the earlier notice."""
    user_id = call.number("USER_ID")
    if user_id <= 0:
        raise RestError("USER_ID_EMPTY", "User ID can't be empty")
    if not call.text("MESSAGE"):
        raise RestError("MESSAGE_EMPTY", "Message can't be empty")
    if user_id not in call.account.users:
        return False
    account, tag = call.account, call.text("TAG") or None
    account.notices = [each for each in account.notices if tag is None or each.tag != tag]
    notice = Notice(account.next_id(), user_id, call.text("MESSAGE"), call.text("TYPE") or "USER", tag)
    account.notices.append(notice)
    account.notices_sent += 1
    return notice.id
