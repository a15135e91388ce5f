"""What is right and wrong between a connection and its portal, for `connection check` and the panel."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from crm_adapters.bitrix24 import REQUIRED_SCOPES
from crm_adapters.bitrix24.client import Portal
from crm_adapters.bitrix24.commands import Command
from crm_adapters.contract import Account, CRMUser, Finding, FindingStatus, Priority
from crm_adapters.errors import AdapterError

CHECK_SECONDS = 20.0
NAMED = 5
"""How many employees a finding names."""

OPEN_IT = "An administrator should open the application in the portal once."


def findings(account: Account, users: Callable[[], list[CRMUser]]) -> list[Finding]:
    """All of it, the first trouble first. Raises nothing of the CRM's."""
    try:
        portal = Portal(account, priority=Priority.BACKGROUND, seconds=CHECK_SECONDS)
    except AdapterError as error:
        return [_error("signed-in", f"The portal can't be used: {error}", OPEN_IT)]
    asked = {"app.info": _installed, "profile": _signed_in, "scope": _scopes}
    outcomes = portal.run([Command(method=method, params={}) for method in asked])
    for outcome in outcomes:
        if outcome.error is not None:
            return [_error("signed-in", f"The portal can't be used: {outcome.error}", OPEN_IT)]
    found = [finding(outcome.result) for finding, outcome in zip(asked.values(), outcomes, strict=True)]
    try:
        return [*found, *_users(users())]
    except AdapterError as error:
        return [*found, _error("users", f"The employees can't be listed: {error}", "Tick user_basic.")]


def _installed(info: Any) -> Finding:
    if isinstance(info, dict) and info.get("INSTALLED") in (True, "Y", 1, "1"):
        return _ok("installed", "The application is installed.")
    return _error("installed", "The installation was not finished: the portal sends no events.", OPEN_IT)


def _signed_in(profile: Any) -> Finding:
    person = profile if isinstance(profile, dict) else {}
    name = f"{person.get('NAME') or ''} {person.get('LAST_NAME') or ''}".strip() or f"user {person.get('ID')}"
    if person.get("ADMIN") in (True, "Y", 1, "1"):
        return _ok("signed-in", f"Signed in as {name}, an administrator.")
    return _warning("signed-in", f"Signed in as {name}, who sees only what that employee may see.", OPEN_IT)


def _scopes(granted: Any) -> Finding:
    given = {str(scope) for scope in granted} if isinstance(granted, list) else set()
    if given & {"user", "user_brief"}:
        given.add("user_basic")
    missing = [scope for scope in REQUIRED_SCOPES if scope not in given]
    if not missing:
        return _ok("scopes", f"All permissions are given: {', '.join(REQUIRED_SCOPES)}.")
    fix = "Tick them in the application's settings, save, and open the application in the portal once."
    return _error("scopes", f"Permissions are missing: {', '.join(missing)}.", fix)


def _users(users: Sequence[CRMUser]) -> Iterator[Finding]:
    by_extension: dict[str, list[str]] = defaultdict(list)
    for user in users:
        by_extension[user.extension or ""].append(user.name)
    without = by_extension.pop("", [])
    known = f"{len(by_extension)} inner numbers of {len(users)} employees."
    if by_extension:
        yield _ok("users", known)
    else:
        yield _warning("users", known, "Set inner numbers in Telephony, Telephony users, or the setting extensions.")
    for extension, names in sorted(by_extension.items()):
        if len(names) > 1:
            text = f"The inner number {extension} belongs to {_names(names)}: calls go to one of them only."
            yield _warning("duplicate-extension", text, "Give each employee an inner number of their own.")
    if without and by_extension:
        text = f"Without an inner number: {_names(without)}. Their calls go to the default user."
        yield _warning("users-without-extension", text, "Set the number in Telephony, Telephony users.")


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _ok(name: str, text: str) -> Finding:
    return Finding(name=name, status=FindingStatus.OK, text=text)


def _warning(name: str, text: str, fix: str) -> Finding:
    return Finding(name=name, status=FindingStatus.WARNING, text=text, fix=fix)


def _error(name: str, text: str, fix: str) -> Finding:
    return Finding(name=name, status=FindingStatus.ERROR, text=text, fix=fix)
