"""Prepares a portal after a sign-in: its events come to us, the application stands where it is needed, lines are known.

Each step may be repeated: what is there already counts as done, what points to a former address of ours is replaced.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from crm_adapters.bitrix24 import ROBOT_SCOPE
from crm_adapters.bitrix24.claims import SET_UP_FOR
from crm_adapters.bitrix24.client import Portal
from crm_adapters.bitrix24.commands import Command, Outcome
from crm_adapters.bitrix24.doors import CALL_CARD
from crm_adapters.bitrix24.robots import CALL, PLAY, robot_fields
from crm_adapters.contract import Account, Finding, FindingStatus, Priority
from crm_adapters.errors import AccountTrouble, AdapterError, TryAgain
from crm_adapters.oauth import Tokens
from crm_adapters.texts import marked as _

EVENTS = ("ONEXTERNALCALLSTART", "ONEXTERNALCALLBACKSTART", "ONAPPUNINSTALL", "ONAPPTEST")
"""The first two also make the application one that may be chosen for outgoing calls; the last one is our own test."""
NEEDED = frozenset(EVENTS[:3])
SET_UP_SECONDS = 30.0
PASSING = (AccountTrouble, TryAgain)
PAUSES = (1.0, 3.0)
"""Seconds before a step that met a passing trouble is tried again."""

ALREADY = "already"
TITLE = "Evrotel"
TRY_AGAIN = _("Open the application once more as an administrator.")
TICK_TELEPHONY = _("Tick telephony, and open the application once more as an administrator.")
TICK_PLACEMENT = _("Tick placement, and open the application once more as an administrator.")
UNUSABLE = _("The portal can't be used: %(why)s")
LINES_KNOWN = _("Lines of the application that the portal knows: %(lines)s.")


def address(account: Account, door: str) -> str:
    """Where the portal finds a door of ours."""
    return f"{account.public_url.rstrip('/')}/bitrix24/{account.connection}/{door}"


def set_up(account: Account, lines: Sequence[str]) -> Iterator[Finding]:
    """All steps, one finding for each as it is done. Raises nothing of the CRM's."""
    try:
        portal = Portal(account, priority=Priority.BACKGROUND, seconds=SET_UP_SECONDS)
    except AdapterError as error:
        yield _finding("events", UNUSABLE, TRY_AGAIN, FindingStatus.ERROR, why=error)
        return
    events = _events(account, portal)
    yield events
    yield _lines(portal, lines)
    yield _placement(account, portal)
    if ROBOT_SCOPE in portal.tokens.extra.get("scope", "").split(","):
        yield _robots(account, portal)
    if events.status is not FindingStatus.ERROR:
        _keep_address(account)


def _keep_address(account: Account) -> None:
    """From now on the portal points to this address of ours: opening the application need not set it up anew."""

    def addressed(kept: Tokens) -> Tokens:
        return replace(kept, extra={**kept.extra, SET_UP_FOR: account.public_url})

    tokens = account.tokens.current()
    if tokens is not None and tokens.extra.get(SET_UP_FOR) != account.public_url:
        with suppress(AdapterError):  # then the next opening sets it up once more, which does no harm
            account.tokens.renewed(tokens, addressed)


def _run(portal: Portal, commands: Sequence[Command]) -> list[Outcome]:
    """The outcomes; what met a passing trouble is tried again, since an administrator waits for it."""
    outcomes = portal.run(commands)
    for pause in PAUSES:
        again = [place for place, outcome in enumerate(outcomes) if isinstance(outcome.error, PASSING)]
        if not again:
            break
        time.sleep(pause)
        for place, outcome in zip(again, portal.run([commands[place] for place in again]), strict=True):
            outcomes[place] = outcome
    return outcomes


def _events(account: Account, portal: Portal) -> Finding:
    handler = address(account, "events")
    [bound] = _run(portal, [Command(method="event.get", params={})])
    former = [
        Command(method="event.unbind", params={"event": row["event"], "handler": row["handler"]})
        for row in _rows(bound)
        if row.get("event") in EVENTS and row.get("handler") and row.get("handler") != handler
    ]
    here = {row.get("event") for row in _rows(bound) if row.get("handler") == handler}
    missing = [event for event in EVENTS if event not in here]
    bind = [Command(method="event.bind", params={"event": event, "handler": handler}) for event in missing]
    outcomes = _run(portal, bind) if bind else []
    failed = {event: text for event, outcome in zip(missing, outcomes, strict=True) if (text := _trouble(outcome))}
    if not failed:
        if former:
            _run(portal, former)
        return _finding("events", _("The portal tells of %(events)s."), events=", ".join(EVENTS[:3]))
    named = "; ".join(f"{event}: {why}" for event, why in failed.items())
    status = FindingStatus.ERROR if NEEDED & set(failed) else FindingStatus.WARNING
    return _finding("events", _("The portal will not tell of %(events)s"), TICK_TELEPHONY, status, events=named)


def _lines(portal: Portal, lines: Sequence[str]) -> Finding:
    """Lines have names and sources in the portal; an unknown one would appear there by itself with its first call."""
    [known] = _run(portal, [Command(method="telephony.externalLine.get", params={})])
    numbers = {str(row.get("NUMBER")) for row in _rows(known)}
    new = [line for line in lines if line not in numbers]
    commands = [
        Command(method="telephony.externalLine.add", params={"NUMBER": line, "NAME": f"{TITLE} {line}"}) for line in new
    ]
    failed = [text for outcome in _run(portal, commands) if (text := _trouble(outcome))] if commands else []
    if known.error or failed:
        why = str(known.error) if known.error else failed[0]
        return _finding("lines", _("Lines were not added: %(why)s"), TRY_AGAIN, FindingStatus.WARNING, why=why)
    return _finding("lines", LINES_KNOWN, lines=len(numbers) + len(new))


def _placement(account: Account, portal: Portal) -> Finding:
    handler = address(account, "app")
    [bound] = _run(portal, [Command(method="placement.get", params={})])
    former = [
        Command(method="placement.unbind", params={"PLACEMENT": CALL_CARD, "HANDLER": row["handler"]})
        for row in _rows(bound)
        if row.get("placement") == CALL_CARD and row.get("handler") and row.get("handler") != handler
    ]
    params = {
        "PLACEMENT": CALL_CARD,
        "HANDLER": handler,
        "TITLE": TITLE,
        "LANG_ALL": {code: {"TITLE": TITLE} for code in ("ua", "ru", "en")},
    }
    [outcome, *_others] = _run(portal, [Command(method="placement.bind", params=params), *former])
    if why := _trouble(outcome):
        text = _("The call card shows no earlier calls: %(why)s")
        return _finding("placement", text, TICK_PLACEMENT, FindingStatus.WARNING, why=why)
    return _finding("placement", _("The call card has a tab with the client's earlier calls."))


def _robots(account: Account, portal: Portal) -> Finding:
    handler, owner = address(account, "robot"), portal.tokens.extra.get("user_id", "")
    fields = {code: robot_fields(code, handler, owner) for code in (CALL, PLAY)}
    [listed] = _run(portal, [Command(method="bizproc.robot.list", params={})])
    known = listed.result if isinstance(listed.result, list) else []
    commands = [
        Command(method="bizproc.robot.update", params={"CODE": code, "FIELDS": values})
        if code in known
        else Command(method="bizproc.robot.add", params={"CODE": code, **values})
        for code, values in fields.items()
    ]
    failed = [text for outcome in _run(portal, commands) if (text := _trouble(outcome))]
    if failed:
        text = _("The robots are not there: %(why)s")
        return _finding("robots", text, TRY_AGAIN, FindingStatus.WARNING, why=failed[0])
    return _finding("robots", _("The automation has the robots that call a client and play a message."))


def _rows(outcome: Outcome) -> list[Mapping[str, Any]]:
    rows = outcome.result if isinstance(outcome.result, list) else []
    return [row for row in rows if isinstance(row, dict)]


def _trouble(outcome: Outcome) -> str:
    """Why a step failed; empty where it did not, or was done before."""
    text = str(outcome.error or "")
    return "" if ALREADY in text.lower() else text


def _finding(
    name: str, text: str, fix: str = "", status: FindingStatus = FindingStatus.OK, **values: object
) -> Finding:
    return Finding(name=name, status=status, text=text, fix=fix, values=values)
