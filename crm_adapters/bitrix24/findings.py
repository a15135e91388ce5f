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
from crm_adapters.bitrix24.installing import EVENTS, LINES_KNOWN, UNUSABLE, address
from crm_adapters.contract import Account, CRMUser, Finding, Priority
from crm_adapters.errors import AdapterError
from crm_adapters.findings import doubtful, right, some_of, wrong
from crm_adapters.texts import marked as _

CHECK_SECONDS = 30.0
ROUND_TRIP_SECONDS = 10.0
SET_UP = _("Open the application as an administrator and press Set up anew on its page Check.")
CHOOSE_LINE = _("In Telephony, Configure telephony, choose the application as the default number for outgoing calls.")
OPEN_IT = _("An administrator should open the application in the portal once.")


def findings(account: Account, users: Callable[[], list[CRMUser]]) -> list[Finding]:
    """All of it, the first trouble first. Raises nothing of the CRM's."""
    if account.tokens.current() is None:
        return [wrong("installed", _("The application is not installed yet."), OPEN_IT)]
    try:
        portal = Portal(account, priority=Priority.BACKGROUND, seconds=CHECK_SECONDS)
    except AdapterError as error:
        return [wrong("signed-in", UNUSABLE, OPEN_IT, why=error)]
    asked = {"app.info": _installed, "profile": _signed_in, "scope": _scopes}
    outcomes = portal.run([Command(method=method, params={}) for method in asked])
    for outcome in outcomes:
        if outcome.error is not None:
            return [wrong("signed-in", UNUSABLE, OPEN_IT, why=outcome.error)]
    found = [finding(outcome.result) for finding, outcome in zip(asked.values(), outcomes, strict=True)]
    found += [_events(account, portal), _round_trip(account, portal), *_lines(portal)]
    try:
        return [*found, *_users(users())]
    except AdapterError as error:
        return [*found, wrong("users", _("The employees can't be listed: %(why)s"), _("Tick user_basic."), why=error)]


def _events(account: Account, portal: Portal) -> Finding:
    """Whether the portal tells us, at our present address, of what people do there."""
    [bound] = portal.run([Command(method="event.get", params={})])
    rows = bound.result if isinstance(bound.result, list) else []
    handler = address(account, "events")
    here = {row.get("event") for row in rows if isinstance(row, dict) and row.get("handler") == handler}
    missing = [event for event in EVENTS if event not in here]
    if bound.error:
        return doubtful("events", _("The portal does not say what it tells of: %(why)s"), SET_UP, why=bound.error)
    if missing:
        return wrong("events", _("The portal does not tell of %(events)s."), SET_UP, events=", ".join(missing))
    return right("events", _("The portal tells of clicks, call-backs and the application's removal."))


def _round_trip(account: Account, portal: Portal) -> Finding:
    """Has the portal send its test event, and waits for it: firewalls and certificates show here."""
    asked_at = datetime.now(UTC)
    [outcome] = portal.run([Command(method="event.test", params={"any": "check"})])
    give_up = time.monotonic() + ROUND_TRIP_SECONDS
    while outcome.error is None and time.monotonic() < give_up:
        came = account.echoed_at()
        if came is not None and came >= asked_at:
            return right(
                "round-trip",
                _("A test event came back after %(seconds)s s."),
                seconds=f"{(came - asked_at).total_seconds():.1f}",
            )
        time.sleep(0.1)
    return wrong(
        "round-trip",
        _("The portal's test event did not come: %(why)s"),
        _("The web server must run, and the portal must reach %(address)s from the internet."),
        why=outcome.error or f"{ROUND_TRIP_SECONDS:.0f} s",
        address=address(account, "events"),
    )


def _lines(portal: Portal) -> Iterator[Finding]:
    """The lines that the portal knows, and the one that clicks go out by, as far as it tells."""
    known, outgoing = portal.run(
        [
            Command(method="telephony.externalLine.get", params={}),
            Command(method="voximplant.line.outgoing.get", params={}),
        ]
    )
    if isinstance(known.result, list):
        yield right("lines", LINES_KNOWN, lines=len(known.result))
    if outgoing.error is None and str(outgoing.result or "").startswith("REST_APP"):
        yield right("outgoing-line", _("Clicks on numbers go out by an application."))
    elif outgoing.error is None and outgoing.result:
        text = _("The default number for outgoing calls is %(line)s.")
        yield doubtful("outgoing-line", text, CHOOSE_LINE, line=outgoing.result)
    elif outgoing.error is None:
        yield doubtful("outgoing-line", _("No default number for outgoing calls is chosen."), CHOOSE_LINE)
    else:
        text = _("The portal does not tell the default number for outgoing calls.")
        yield doubtful("outgoing-line", text, CHOOSE_LINE)


def _installed(info: Any) -> Finding:
    if isinstance(info, dict) and info.get("INSTALLED") in (True, "Y", 1, "1"):
        return right("installed", _("The application is installed."))
    return wrong("installed", _("The installation was not finished: the portal sends no events."), OPEN_IT)


def _signed_in(profile: Any) -> Finding:
    person = profile if isinstance(profile, dict) else {}
    full_name = f"{person.get('NAME') or ''} {person.get('LAST_NAME') or ''}".strip() or f"user {person.get('ID')}"
    if person.get("ADMIN") in (True, "Y", 1, "1"):
        return right("signed-in", _("Signed in as %(person)s, an administrator."), person=full_name)
    text = _("Signed in as %(person)s, who sees only what that employee may see.")
    return doubtful("signed-in", text, OPEN_IT, person=full_name)


def _scopes(granted: Any) -> Finding:
    given = {str(scope) for scope in granted} if isinstance(granted, list) else set()
    if given & {"user", "user_brief"}:
        given.add("user_basic")
    missing = [scope for scope in REQUIRED_SCOPES if scope not in given]
    if not missing:
        return right("scopes", _("All permissions are given: %(scopes)s."), scopes=", ".join(REQUIRED_SCOPES))
    fix = _("Tick them in the application's settings, save, and open the application in the portal once.")
    return wrong("scopes", _("Permissions are missing: %(scopes)s."), fix, scopes=", ".join(missing))


def _users(users: Sequence[CRMUser]) -> Iterator[Finding]:
    by_extension: dict[str, list[str]] = defaultdict(list)
    for user in users:
        by_extension[user.extension or ""].append(user.name)
    without = by_extension.pop("", [])
    text = _("%(numbers)s inner numbers of %(employees)s employees.")
    if by_extension:
        yield right("users", text, numbers=len(by_extension), employees=len(users))
    else:
        fix = _("Set inner numbers in Telephony, Telephony users, or the setting extensions.")
        yield doubtful("users", text, fix, numbers=0, employees=len(users))
    for extension, names in sorted(by_extension.items()):
        if len(names) > 1:
            text = _("The inner number %(extension)s belongs to %(names)s: calls go to one of them only.")
            fix = _("Give each employee an inner number of their own.")
            yield doubtful("duplicate-extension", text, fix, extension=extension, names=some_of(names))
    if without and by_extension:
        text = _("Without an inner number: %(names)s. Their calls go to the default user.")
        fix = _("Set the number in Telephony, Telephony users.")
        yield doubtful("users-without-extension", text, fix, names=some_of(without))
