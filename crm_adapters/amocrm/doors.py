"""What knocks: browsers that come back from the consent, amoCRM's servers, and our widget in its pages."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from typing import Any

from crm_adapters.amocrm import EXTENSIONS
from crm_adapters.amocrm.client import amo_account, known_url
from crm_adapters.amocrm.disposable import Forged, Visitor, use_once, visitor_of
from crm_adapters.amocrm.hosts import account_url
from crm_adapters.amocrm.signing_in import is_admin, redeemed
from crm_adapters.contract import Account, Priority
from crm_adapters.door_answers import (
    AccessDoubted,
    CallsAsked,
    ClickToCall,
    DoorAnswer,
    DoorRefused,
    DoorRequest,
    Ignored,
    InstallOffered,
    NumbersGiven,
    StateAsked,
)
from crm_adapters.errors import AdapterError

ADMIN_SECONDS = 5.0
FEWEST_DIGITS, LONGEST_PHONE, MOST_USERS = 3, 64, 2000


def asks_at(request: DoorRequest) -> bool:
    """Whether the account has to be asked about this request."""
    return request.door == "callback" and "from_widget" not in request.query


def open_door(account: Account, request: DoorRequest) -> DoorAnswer:
    """See the contract."""
    match request.door:
        case "callback":
            return _callback(account, request)
        case "uninstalled":
            return _uninstalled(account, request)
        case _:
            return _script(account, request)


def trusts(account: Account, origin: str) -> bool:
    """The pages of the account; of any account before one is bound, because the first one may bind it."""
    if (url := known_url(account)) is not None:
        return origin == url
    host = origin.partition("://")[2]
    return origin == account_url(host, allow_local=account.allow_local)


def _callback(account: Account, request: DoorRequest) -> DoorAnswer:
    """Somebody comes back from the consent; or amoCRM's server tells of an installation that nobody here asked for."""
    query = request.query
    by_itself = "from_widget" in query
    client_id = account.settings.get("amocrm_client_id", "")
    if query.get("client_id", "") not in ({client_id} - {""} if by_itself else {"", client_id}):
        return DoorRefused(status=403, text="Another integration's answer")
    if not by_itself and not account.take_state(query.get("state", "")):
        return DoorRefused(status=403, text="Nobody here asked for this, or it took too long: connect again")
    if query.get("error"):
        return DoorRefused(status=403, text="The access was denied in amoCRM: nothing has changed")
    return _with_code(account, query.get("referer", ""), query.get("code", ""), by_itself)


def _with_code(account: Account, host: str, code: str, by_itself: bool) -> DoorAnswer:
    if not code or account_url(host, allow_local=account.allow_local) is None:
        return DoorRefused(status=400, text="Not the address of an amoCRM account")
    return InstallOffered(host=host, code=code) if by_itself else redeemed(account, host, code, Priority.START)


def _uninstalled(account: Account, request: DoorRequest) -> DoorAnswer:
    """Signed, and without a time in it: whoever repeats it later disconnects nobody, because the account is asked."""
    query = request.query
    client_id, secret = (account.settings.get(f"amocrm_client_{key}", "") for key in ("id", "secret"))
    said = query.get("account_id", "")
    expected = hmac.new(secret.encode(), f"{client_id}|{said}".encode(), hashlib.sha256).hexdigest()
    genuine = hmac.compare_digest(query.get("signature", "").lower().encode(), expected.encode())
    if not (secret and genuine and query.get("client_uuid") == client_id):
        return DoorRefused(status=403, text="Not signed by amoCRM")
    if account.bound_to() != said:
        return Ignored()
    return AccessDoubted()


def _script(account: Account, request: DoorRequest) -> DoorAnswer:
    try:
        visitor = visitor_of(account, _header(request, "X-Auth-Token"))
        if request.door == "calls":
            return CallsAsked(account_key=visitor.account_key, user_id=visitor.user_id)
        if request.method == "GET":
            return StateAsked(account_key=visitor.account_key)
        use_once(account, visitor)
    except Forged as error:
        return DoorRefused(status=401, text=str(error))
    said = _json(request.body)
    if said is None:
        return DoorRefused(status=400, text="A JSON object is expected")
    return _click(visitor, said) if request.door == "click-to-call" else _numbers(account, visitor, said)


def _click(visitor: Visitor, said: dict[str, Any]) -> DoorAnswer:
    phone = said.get("phone")
    if isinstance(phone, int) and not isinstance(phone, bool):
        phone = str(phone)
    digits = sum(each.isdecimal() for each in phone) if isinstance(phone, str) else 0
    if not isinstance(phone, str) or digits < FEWEST_DIGITS or len(phone) > LONGEST_PHONE:
        return DoorRefused(status=400, text="phone should be a number as text")
    return ClickToCall(
        key=f"amocrm-{visitor.token_id}"[:200],
        number=phone.strip(),
        user_id=visitor.user_id,
        waits=True,
        account_key=visitor.account_key,
    )


def _numbers(account: Account, visitor: Visitor, said: dict[str, Any]) -> DoorAnswer:
    users = said.get("users")
    if isinstance(users, str):
        users = _json(users.encode())
    if not isinstance(users, dict) or len(users) > MOST_USERS:
        return DoorRefused(status=400, text="users should be an object: inner numbers by user ID")
    if not _may_give(account, visitor):
        return DoorRefused(status=403, text="Only an administrator of the account may give inner numbers")
    given: dict[str, str] = {}
    for user_id, extension in users.items():
        number = str(extension or "").strip()
        if not number:
            continue
        if not (re.fullmatch(r"[0-9]{1,15}", user_id) and re.fullmatch(r"[0-9]{1,5}", number)):
            return DoorRefused(status=400, text=f"{number[:20]} is no inner number: it should be 1 to 5 digits")
        if number in given.values():
            return DoorRefused(status=400, text=f"The inner number {number} is given to two users")
        given[user_id] = number
    return NumbersGiven(account_key=visitor.account_key, extensions=given, setting=EXTENSIONS)


def _may_give(account: Account, visitor: Visitor) -> bool:
    """Whether the user is an administrator, by the token or, where it does not say, by the account.

    Before an account is bound there is nobody to ask, and amoCRM shows a widget's settings to administrators alone.
    """
    if visitor.is_admin is not None:
        return visitor.is_admin
    if account.bound_to() is None:
        return True
    try:
        with amo_account(account, priority=Priority.START, seconds=ADMIN_SECONDS) as amo:
            return is_admin(amo, visitor.user_id)
    except AdapterError:
        return False


def _header(request: DoorRequest, name: str) -> str:
    return next((value for key, value in request.headers.items() if key.lower() == name.lower()), "")


def _json(body: bytes) -> dict[str, Any] | None:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None
