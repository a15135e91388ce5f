"""What is said to a portal about one event, step by step: each step yields a command and gets its result or its error.

A dialogue knows nothing of batches and time; `converse` leads many of them at once. Before a step that must not be
repeated blindly it leaves a mark in the telling's progress, which is saved before the step is sent.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from typing import Any

from crm_adapters.bitrix24 import mapping
from crm_adapters.bitrix24.commands import Command, Size
from crm_adapters.contract import Telling
from crm_adapters.errors import AdapterError, Refused, TryAgain, Unreachable
from crm_adapters.events import CallEnded, CallFacts, CallStarted, RecordingReady

log = logging.getLogger(__name__)

Steps = Generator[Command, Any, None]
Asking = Generator[Command, Any, Any]

CALL_ID = "crm_call_id"
FINISH_SENT = "finish_sent"
REGISTERED_ANEW = "registered_anew"
LOOKS = "looks"
LINK_FAILED = "link_failed"

MOST_LOOKS = 3
"""How often a call that the portal forgot after an unclear finish is looked for, some seconds apart, before it is
registered anew: a portal that lists it late would have it twice."""


def dialogue(telling: Telling, owner: str | None) -> Steps:
    """The steps for the telling's event; `owner` is the portal's user whom the application's tokens belong to."""
    event = telling.event
    if isinstance(event, CallStarted):
        return _start(telling, event, owner)
    if isinstance(event, CallEnded):
        return _end(telling, event, owner)
    return _recording(telling, event)


def _start(telling: Telling, event: CallStarted, owner: str | None) -> Steps:
    telling.crm_call_id = yield from _register(event, owner, show=event.show_card)


def _end(telling: Telling, event: CallEnded, owner: str | None) -> Steps:
    progress = telling.progress
    call_id = progress.get(CALL_ID) or event.crm_call_id or telling.crm_call_id
    if not call_id:
        call_id = yield from _register(event, owner, show=False)
        progress[CALL_ID] = telling.crm_call_id = call_id
    telling.crm_call_id = call_id
    sent_before = bool(progress.get(FINISH_SENT))
    if sent_before and (yield from _is_logged(call_id)):
        return
    try:
        yield from _finish(telling, event, call_id, owner)
    except Refused as refusal:
        if not mapping.says(refusal, mapping.CALL_UNKNOWN):
            raise
        logged = yield from _is_logged(call_id)
        if logged or (logged is None and sent_before):
            return
        if progress.get(REGISTERED_ANEW):
            raise
        if sent_before and progress.get(LOOKS, 0) < MOST_LOOKS:
            progress[LOOKS] = progress.get(LOOKS, 0) + 1
            progress[FINISH_SENT] = True  # it still may have been that finish which ended the call
            raise TryAgain("the portal neither knows the call nor has logged it yet") from refusal
        call_id = yield from _register(event, owner, show=False)
        progress[CALL_ID] = telling.crm_call_id = call_id
        progress[REGISTERED_ANEW] = True
        yield from _finish(telling, event, call_id, owner)


def _register(event: CallFacts, owner: str | None, *, show: bool) -> Asking:
    """The portal's ID of the call; the next candidate is named where the portal does not know a user."""
    if not event.client_number:
        raise Refused("the caller's number is hidden: Bitrix24 logs no calls without a number")
    candidates = _candidates(event, owner)
    for place, user_id in enumerate(candidates):
        try:
            result = yield Command(method=mapping.REGISTER, params=mapping.register_params(event, user_id, show=show))
        except Refused as refusal:
            if place + 1 == len(candidates) or not mapping.says(refusal, mapping.USER_REFUSALS):
                raise
        else:
            return _registered(event, result)
    raise Refused("no CRM user is known for this call: set default_user or the extension's user")


def _registered(event: CallFacts, result: Any) -> str:
    call_id = result.get("CALL_ID") if isinstance(result, dict) else None
    if not isinstance(call_id, str) or not call_id:
        raise TryAgain("the portal registered the call without telling its ID", maybe_done=True)
    if result.get("LEAD_CREATION_ERROR"):
        reason = str(result["LEAD_CREATION_ERROR"])
        log.warning("Bitrix24 made no lead: %s", reason, extra={"call_id": event.call_id})
    return call_id


def _finish(telling: Telling, event: CallEnded, call_id: str, owner: str | None) -> Asking:
    candidates = _candidates(event, owner)
    for place, user_id in enumerate(candidates):
        telling.progress[FINISH_SENT] = True
        try:
            yield Command(method=mapping.FINISH, params=mapping.finish_params(event, call_id, user_id))
        except AdapterError as error:
            if not error.maybe_done:
                del telling.progress[FINISH_SENT]
            if place + 1 == len(candidates) or not mapping.says(error, mapping.USER_REFUSALS):
                raise
        else:
            return
    raise Refused("no CRM user is known for this call: set default_user or the extension's user")


def _is_logged(call_id: str) -> Asking:
    """Whether the portal has logged the call as finished; None where it does not let us look."""
    try:
        result = yield Command(method=mapping.STATISTIC, params=mapping.look_up_params(call_id))
    except Refused:
        return None
    return mapping.lists_call(result, call_id)


def _recording(telling: Telling, event: RecordingReady) -> Steps:
    call_id = event.crm_call_id or telling.crm_call_id
    if not call_id:
        raise TryAgain("the portal has given no ID for this call yet")
    if event.url is not None and not telling.progress.get(LINK_FAILED):
        try:
            params = mapping.attach_link_params(event, call_id)
            yield Command(method=mapping.ATTACH, params=params, size=Size.LINKS)
        except Unreachable as error:
            # Perhaps it is not the portal that hangs but its way to our address: the file itself goes next time.
            telling.progress[LINK_FAILED] = error.maybe_done
            raise
        except Refused as refusal:
            _raise_unfinished(refusal)
            telling.progress[LINK_FAILED] = True
        else:
            return
    params = mapping.attach_file_params(event, call_id)
    try:
        yield Command(method=mapping.ATTACH, params=params, size=Size.FILE, content=event.read_content)
    except Refused as refusal:
        _raise_unfinished(refusal)
        raise


def _raise_unfinished(refusal: Refused) -> None:
    if mapping.says(refusal, mapping.NOT_FINISHED):
        raise TryAgain(f"the portal has not finished logging the call: {refusal}") from refusal


def _candidates(event: CallFacts, owner: str | None) -> Sequence[str]:
    """Whom to name, in turn: the call's own user, the fallback, the owner of the tokens."""
    named = (event.user_id, event.fallback_user_id, owner)
    return tuple(dict.fromkeys(user_id for user_id in named if user_id))
