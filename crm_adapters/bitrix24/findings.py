"""What is right and wrong between a connection and its portal, for `connection check` and the panel."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from crm_adapters.bitrix24 import REQUIRED_SCOPES
from crm_adapters.bitrix24.client import Portal
from crm_adapters.bitrix24.commands import Command
from crm_adapters.bitrix24.installing import EVENTS, address
from crm_adapters.contract import Account, CRMUser, Finding, FindingStatus, Priority
from crm_adapters.errors import AdapterError

CHECK_SECONDS = 30.0
NAMED = 5
"""How many employees a finding names."""

ROUND_TRIP_SECONDS = 10.0
SET_UP = "Open the application as an administrator and press Set up anew on its page Check."
CHOOSE_LINE = "In Telephony, Configure telephony, choose the application as the default number for outgoing calls."
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
    found += [_events(account, portal), _round_trip(account, portal), *_lines(portal)]
    try:
        return [*found, *_users(users())]
    except AdapterError as error:
        return [*found, _error("users", f"The employees can't be listed: {error}", "Tick user_basic.")]


def _events(account: Account, portal: Portal) -> Finding:
    """Whether the portal tells us, at our present address, of what people do there."""
    [bound] = portal.run([Command(method="event.get", params={})])
    rows = bound.result if isinstance(bound.result, list) else []
    handler = address(account, "events")
    here = {row.get("event") for row in rows if isinstance(row, dict) and row.get("handler") == handler}
    missing = [event for event in EVENTS if event not in here]
    if bound.error:
        return _warning("events", f"The portal does not say what it tells of: {bound.error}", SET_UP)
    if missing:
        return _error("events", f"The portal does not tell of {', '.join(missing)}.", SET_UP)
    return _ok("events", "The portal tells of clicks, call-backs and the application's removal.")


def _round_trip(account: Account, portal: Portal) -> Finding:
    """Has the portal send its test event, and waits for it: firewalls and certificates show here."""
    asked_at = datetime.now(UTC)
    [outcome] = portal.run([Command(method="event.test", params={"any": "check"})])
    give_up = time.monotonic() + ROUND_TRIP_SECONDS
    while outcome.error is None and time.monotonic() < give_up:
        came = account.echoed_at()
        if came is not None and came >= asked_at:
            return _ok("round-trip", f"A test event came back after {(came - asked_at).total_seconds():.1f} s.")
        time.sleep(0.1)
    why = outcome.error or f"within {ROUND_TRIP_SECONDS:.0f} s"
    fix = f"The web server must run, and the portal must reach {address(account, 'events')} from the internet."
    return _error("round-trip", f"The portal's test event did not come: {why}", fix)


def _lines(portal: Portal) -> Iterator[Finding]:
    """The lines that the portal knows, and the one that clicks go out by, as far as it tells."""
    known, outgoing = portal.run(
        [
            Command(method="telephony.externalLine.get", params={}),
            Command(method="voximplant.line.outgoing.get", params={}),
        ]
    )
    if isinstance(known.result, list):
        yield _ok("lines", f"{len(known.result)} lines of the application are known to the portal.")
    if outgoing.error is None and str(outgoing.result or "").startswith("REST_APP"):
        yield _ok("outgoing-line", "Clicks on numbers go out by an application.")
    else:
        said = f"is {outgoing.result!r}" if outgoing.error is None else "is not told by the portal"
        yield _warning("outgoing-line", f"The default number for outgoing calls {said}.", CHOOSE_LINE)


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
