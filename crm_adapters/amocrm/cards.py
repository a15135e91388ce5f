"""A ringing phone: amoCRM shows the client's card in its notices (POST /api/v2/events)."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from crm_adapters.amocrm import EXTENSIONS, mapping
from crm_adapters.amocrm.people import client_of
from crm_adapters.amocrm.rounds import Round
from crm_adapters.contract import CARD, SHOWN_TO, Telling
from crm_adapters.errors import AccountTrouble, AdapterError, NotSent, Refused, SignInRefused
from crm_adapters.events import CallStarted, Direction
from crm_adapters.settings import parse_user_by_extension

log = logging.getLogger(__name__)

CARD_SENT = "card_sent"
EVENTS = "/api/v2/events"
REFUSED = 400


def open_card(round_: Round, telling: Telling) -> bool:
    """Has the card shown once: to whose extension rings, else to the client's responsible, else to all who were chosen.

    A notice that amoCRM does not take is not worth a second try: it would come too late.
    """
    event = telling.event
    wanted = isinstance(event, CallStarted) and event.direction is Direction.INCOMING and event.show_card
    if not isinstance(event, CallStarted) or not wanted or mapping.unfit_reason(event):
        return False
    if not telling.progress.get(CARD_SENT):
        _show(round_, telling, event)
    if event.user_id:
        _note_client(round_, telling, event)  # for the widget; the notice itself must not wait for it
    return False


def _show(round_: Round, telling: Telling, event: CallStarted) -> None:
    """Tells amoCRM; whoever it does not have as a user any more makes way for those who were chosen."""
    telling.progress[CARD_SENT] = True
    for users in _whom(round_, telling, event):
        telling.notes[SHOWN_TO] = users
        round_.save([telling])
        item: dict[str, object] = {"type": "phone_call", "phone_number": event.client_number}
        if numbers := [number for user in users if (number := mapping.user_number(user)) is not None]:
            item["users"] = numbers
        try:
            _, status = round_.amo.post(EVENTS, {"add": [item]})
        except (AccountTrouble, SignInRefused, NotSent) as error:
            if not error.maybe_done:
                del telling.progress[CARD_SENT]
            raise
        except Refused as refusal:
            log.warning("amoCRM does not show the card: %s", refusal, extra={"call_id": event.call_id})
            return
        if status != REFUSED:
            return
    log.warning("amoCRM shows the card to nobody", extra={"call_id": event.call_id})


def _whom(round_: Round, telling: Telling, event: CallStarted) -> Iterator[list[str]]:
    """Who is to see the card, in turn: whose extension rings, the client's responsible, those who were chosen."""
    if event.user_id:
        yield [event.user_id]
    else:
        _note_client(round_, telling, event)
    owner = (telling.notes.get(CARD) or {}).get("user_id")
    if owner != event.user_id and (responsible := mapping.first_active([owner], event.employees)):
        yield [responsible]
    chosen = _chosen(round_, event)
    yield chosen
    if chosen:
        yield []


def _chosen(round_: Round, event: CallStarted) -> list[str]:
    """Who sees the card of a client who belongs to nobody; empty for everybody."""
    if event.line_user_ids:
        return list(event.line_user_ids)
    settings = round_.amo.account.settings
    if named := settings.get("amocrm_card_users"):
        return [each.strip() for each in named.split(",")]
    with_phone = (parse_user_by_extension(settings.get(key, "")).values() for key in ("extensions", EXTENSIONS))
    users = dict.fromkeys(user for each in with_phone for user in each)
    if event.fallback_user_id:
        users.setdefault(event.fallback_user_id)
    return [user for user in users if not event.employees or user in event.employees]


def _note_client(round_: Round, telling: Telling, event: CallStarted) -> None:
    """Notes the client's card, where it can be found; the card's notice goes without it too."""
    if CARD in telling.notes:
        return
    try:
        found = client_of(round_.amo, event.client_number)
    except AdapterError as error:
        log.info("the client is not known: %s", error, extra={"call_id": event.call_id})
        if isinstance(error, AccountTrouble | SignInRefused) and not telling.progress.get(CARD_SENT):
            raise
    else:
        if found is not None:
            telling.notes[CARD] = found.note
