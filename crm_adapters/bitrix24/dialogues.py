"""What is said to a portal about one event of a call, step by step: each step yields a command and gets its result or
its error.

A dialogue knows nothing of batches and time; `converse` leads many of them at once. Before a step that must not be
repeated blindly it leaves a mark in the telling's progress, which is saved before the step is sent.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

from crm_adapters.bitrix24 import mapping
from crm_adapters.bitrix24.commands import Command, Size
from crm_adapters.contract import Telling
from crm_adapters.errors import AdapterError, Held, Refused, TryAgain, Unreachable
from crm_adapters.events import CallEnded, CallFacts, CallKind, CallStarted, Direction, RecordingReady

log = logging.getLogger(__name__)

Steps = Generator[Command, Any, None]
Asking = Generator[Command, Any, Any]

CALL_ID = "crm_call_id"
FINISH_SENT = "finish_sent"
REGISTERED_ANEW = "registered_anew"
LOOKS = "looks"
LINK_FAILED = "link_failed"

SHOWN = "shown"
"""A note: IDs of the users who see the card besides the one whose call it is."""
REFUSED = "refused"
"""A note: IDs of the users whom the portal did not take as active ones."""
REGISTERED_AS = "registered_as"
"""A note: the user and the line that a register was sent with of which nobody knows what became. The portal gives a
repeat the same call only where both are the same, and the end of a call may name others."""
CUSTOMER = "customer"
"""A note: type and ID of the customer whom the call belongs to."""

CREATED_LEAD = "created_lead"
"""A note: the ID of the lead that the portal made of the call."""
ORIGIN_TOLD = "origin_told"

MOST_LOOKS = 3
"""How often a call that the portal forgot after an unclear finish is looked for, some seconds apart, before it is
registered anew: a portal that lists it late would have it twice."""
NOBODY_KNOWN = "no CRM user is known for this call: set default_user or the extension's user"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What dialogues know of the connection: the user whom its tokens belong to, and each line's source of leads."""

    owner: str | None
    sources: dict[str, str]

    def source(self, line: str | None) -> str:
        return self.sources.get(line or "", "")


def start(telling: Telling, event: CallStarted, setting: Setting) -> Steps:
    """Registers the call; its card opens for whom it belongs to, and for all of a line's group."""
    if not telling.crm_call_id:
        yield from _register(telling, event, setting, show=event.show_card)
    group = _group(event)
    others = [user for user in group if user != telling.crm_user_id]
    if event.show_card and others and telling.crm_user_id in group:
        telling.notes[SHOWN] = others
        try:
            yield Command(method=mapping.SHOW, params=mapping.card_params(str(telling.crm_call_id), others))
        except (Refused, Held) as refusal:  # the call is registered: a card that does not open is no reason to fail
            log.warning("a card was not shown to all: %s", refusal, extra={"call_id": event.call_id})


def end(telling: Telling, event: CallEnded, setting: Setting) -> Steps:
    """Finishes the call once, whatever was told of it before, and notes where the client asked for it or what for."""
    yield from _end(telling, event, setting)
    customer = telling.notes.get(CUSTOMER)
    if not event.origin or not customer or telling.progress.get(ORIGIN_TOLD):
        return
    telling.progress[ORIGIN_TOLD] = True
    commands = [Command(method=mapping.COMMENT, params=mapping.comment_params(event, (customer[0], customer[1])))]
    if event.tags and (lead := telling.notes.get(CREATED_LEAD)):
        commands.append(Command(method=mapping.LEAD_UPDATE, params=mapping.tags_params(event, lead)))
    for command in commands:
        try:
            yield command
        except AdapterError as error:  # the call is logged: what is only beside it is not asked for twice
            log.warning("%s: %s", command.method, error, extra={"call_id": event.call_id})


def _end(telling: Telling, event: CallEnded, setting: Setting) -> Steps:
    progress = telling.progress
    call_id = progress.get(CALL_ID) or event.crm_call_id or telling.crm_call_id
    if not call_id:
        call_id = yield from _register(telling, event, setting, show=False)
        progress[CALL_ID] = call_id
    telling.crm_call_id = call_id
    sent_before = bool(progress.get(FINISH_SENT))
    if sent_before and (yield from _is_logged(call_id)):
        return
    if not sent_before:
        yield from _hide(telling, call_id)
    try:
        yield from _finish(telling, event, call_id, setting)
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
        call_id = yield from _register(telling, event, setting, show=False)
        progress[CALL_ID] = call_id
        progress[REGISTERED_ANEW] = True
        progress.pop(FINISH_SENT, None)
        yield from _finish(telling, event, call_id, setting)


def _register(telling: Telling, event: CallFacts, setting: Setting, *, show: bool) -> Asking:
    """The portal's ID of the call; the next candidate is named where the portal does not know a user."""
    if not event.client_number:
        raise Refused("the caller's number is hidden: Bitrix24 logs no calls without a number")
    before = telling.notes.get(REGISTERED_AS)
    user_ids = yield from _candidates(event, setting)
    candidates = [(user_id, event.line) for user_id in user_ids]
    if before:
        candidates = [(str(before[0]), before[1]), *(each for each in candidates if each != tuple(before))]
    for place, (user_id, line) in enumerate(candidates):
        telling.notes[REGISTERED_AS] = [user_id, line]
        try:
            result = yield Command(method=mapping.REGISTER, params=_register_params(telling, event, setting, show))
        except AdapterError as error:
            if not (error.maybe_done or before):
                del telling.notes[REGISTERED_AS]
            if not mapping.says(error, mapping.USER_REFUSALS):
                raise
            telling.notes[REFUSED] = [*telling.notes.get(REFUSED, ()), user_id]
            if place + 1 == len(candidates):
                raise
        else:
            del telling.notes[REGISTERED_AS]
            telling.crm_call_id, telling.crm_user_id = _registered(event, result), user_id
            _note_customer(telling, result)
            if lead := mapping.created_lead_in(result):
                telling.notes[CREATED_LEAD] = lead
            return telling.crm_call_id
    raise Refused(NOBODY_KNOWN)


def _register_params(telling: Telling, event: CallFacts, setting: Setting, show: bool) -> dict[str, Any]:
    user_id, line = telling.notes[REGISTERED_AS]
    customer = telling.notes.get(CUSTOMER)
    return mapping.register_params(
        event,
        user_id,
        line=line,
        show=show,
        source=setting.source(line),
        customer=(str(customer[0]), int(customer[1])) if customer else None,
    )


def _registered(event: CallFacts, result: Any) -> str:
    call_id = result.get("CALL_ID") if isinstance(result, dict) else None
    if not isinstance(call_id, str) or not call_id:
        raise TryAgain("the portal registered the call without telling its ID", maybe_done=True)
    if result.get("LEAD_CREATION_ERROR"):
        reason = str(result["LEAD_CREATION_ERROR"])
        log.warning("Bitrix24 made no lead: %s", reason, extra={"call_id": event.call_id})
    return call_id


def _candidates(event: CallFacts, setting: Setting) -> Asking:
    """Whom to name for a call that is to be registered, in turn."""
    named: list[str | None] = [event.user_id, event.noted_user_id]
    if _is_for_anybody(event) and not event.noted_user_id:
        named.append((yield from _responsible(event)))
    named += _group(event)
    return _in_turn(named, event, setting)


def _in_turn(named: Sequence[str | None], event: CallFacts, setting: Setting) -> tuple[str, ...]:
    """The users in turn, each once, then the default user and the owner of the tokens."""
    everybody = (*named, event.fallback_user_id, setting.owner)
    return tuple(dict.fromkeys(user_id for user_id in everybody if user_id))


def _is_for_anybody(event: CallFacts) -> bool:
    """A call to a line, of which no extension is known that it rings at."""
    return event.direction is Direction.INCOMING and not event.extension


def _group(event: CallFacts) -> tuple[str, ...]:
    """All who see the card of a call to a line that is nobody's in particular, or of a call-back to several' phones."""
    is_callback = event.kind is CallKind.CALLBACK and not event.extension
    return event.line_user_ids if is_callback or _is_for_anybody(event) else ()


def _responsible(event: CallFacts) -> Asking:
    """The active user responsible for the client, None where there is none or the portal does not say."""
    try:
        result = yield Command(method=mapping.SEARCH, params=mapping.search_params(event.client_number))
    except (Refused, Held) as refusal:
        log.warning("the responsible is not known: %s", refusal, extra={"call_id": event.call_id})
        return None
    for _, user_id in mapping.customers_of(result):
        if user_id and (not event.employees or user_id in event.employees):
            return user_id
    return None


def _note_customer(telling: Telling, result: Any) -> None:
    if customer := mapping.customer_in(result):
        telling.notes[CUSTOMER] = list(customer)


def _hide(telling: Telling, call_id: str) -> Steps:
    """Closes the card of those who only saw it; finish closes it for the one whom it belongs to."""
    if shown := telling.notes.get(SHOWN):
        try:
            yield Command(method=mapping.HIDE, params=mapping.card_params(call_id, shown))
        except (Refused, Held) as refusal:
            log.warning("a card was not hidden: %s", refusal, extra={"call_id": telling.event.call_id})


def _finish(telling: Telling, event: CallEnded, call_id: str, setting: Setting) -> Asking:
    by_extension, noted = event.user_id, telling.crm_user_id or event.noted_user_id
    candidates = _in_turn((by_extension, noted, *_group(event)), event, setting)
    sent_before = telling.progress.get(FINISH_SENT, False)
    for place, user_id in enumerate(candidates):
        telling.progress[FINISH_SENT] = True
        try:
            result = yield Command(method=mapping.FINISH, params=mapping.finish_params(event, call_id, user_id))
        except AdapterError as error:
            if not (error.maybe_done or sent_before):
                del telling.progress[FINISH_SENT]
            if place + 1 == len(candidates) or not mapping.says(error, mapping.USER_REFUSALS):
                raise
        else:
            telling.crm_user_id = user_id
            _note_customer(telling, result)
            return
    raise Refused(NOBODY_KNOWN)


def _is_logged(call_id: str) -> Asking:
    """Whether the portal has logged the call as finished; None where it does not let us look."""
    try:
        result = yield Command(method=mapping.STATISTIC, params=mapping.look_up_params(call_id))
    except Refused:
        return None
    return mapping.lists_call(result, call_id)


def recording(telling: Telling, event: RecordingReady) -> Steps:
    """Attaches the recording: the portal fetches it from our address, or gets the file itself."""
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
