"""1C: one document for each call at its end, or УНФ's own telephony service."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from crm_adapters.contract import CARD, CRMAdapter, Finding, Priority, Save, Telling
from crm_adapters.door_answers import DoorAnswer, DoorRequest
from crm_adapters.errors import (
    AccountTrouble,
    AdapterError,
    Misconfigured,
    NotSent,
    NotWanted,
    SignInRefused,
    TryAgain,
)
from crm_adapters.events import CallEnded, CallStarted, Direction, RecordingReady
from crm_adapters.onec import DESCRIPTION, doors, telephony
from crm_adapters.onec.client import Base
from crm_adapters.onec.contacts import find_contact, plain_name
from crm_adapters.onec.documents import add_recording, region_of, write_document
from crm_adapters.onec.fields import LOOKUP, TELEPHONY
from crm_adapters.onec.findings import check
from crm_adapters.onec.profiles import PROFILES, Profile, recognised

TOLD_OF_START, TOLD_OF_END = "onec_started", "ended"
HISTORY = "onec_history"
"""A note on a call whose end named no recording: what УНФ was told of it."""
LEAST_SECONDS = 1.0
LOOKUP_LASTS = 60.0
"""An administrator who adds the document to what the base publishes need not wait long for calls to be written."""
PATIENCE = 30.0
"""How long 1C may take for one answer where nobody waits for it."""


class Adapter(CRMAdapter):
    """The translator for one 1C base."""

    description = DESCRIPTION

    def tell(
        self,
        tellings: Sequence[Telling],
        *,
        save: Save,
        priority: Priority,  # noqa: ARG002 - 1C has no budget to share out
        seconds: float,
    ) -> None:
        """One after the other: each request takes a session of the base's licences."""
        tellings, deadline = self.declared(tellings), time.monotonic() + seconds
        for place, telling in enumerate(tellings):
            if time.monotonic() > deadline - LEAST_SECONDS:
                telling.error = NotSent("the round's time is up")
                continue
            try:
                self._tell(telling, save, deadline - time.monotonic())
            except AdapterError as error:
                telling.error = error
            if isinstance(telling.error, AccountTrouble | SignInRefused):
                for rest in tellings[place + 1 :]:
                    rest.error = NotSent("1C does not answer")
                return

    def _tell(self, telling: Telling, save: Save, seconds: float) -> None:
        if self.account.settings.get("onec_profile") == TELEPHONY:
            self._tell_telephony(telling, save, seconds)
            return
        match telling.event:
            case CallStarted() as event:
                self._show_name(telling, event, seconds)
            case CallEnded() as event:
                with Base(self.account, seconds, PATIENCE) as base, base.listening(telling):
                    write_document(base, self._profile(base), telling, event, lambda: save([telling]))
            case RecordingReady() as event:
                with Base(self.account, seconds, PATIENCE) as base, base.listening(telling):
                    add_recording(base, self._profile(base), telling, event)

    def _show_name(self, telling: Telling, event: CallStarted, seconds: float) -> None:
        """1C shows no card by itself: the live board gets the caller's name."""
        with Base(self.account, seconds) as base, base.listening(telling):
            profile, region = self._profile(base), region_of(base)
            contact = find_contact(base, profile, event.client_number, telling.progress, region)
        if contact is not None and contact.name:
            telling.notes[CARD] = {"name": contact.name}

    def _tell_telephony(self, telling: Telling, save: Save, seconds: float) -> None:
        patience = 0.0 if isinstance(telling.event, CallStarted) else PATIENCE
        service = telephony.TelephonyAPI(self.account, seconds, patience)
        match telling.event:
            case CallStarted() as event:
                with _taken_without_number(event):
                    _tell_start(service, event, telling)
            case CallEnded() as event:
                with _taken_without_number(event):
                    _tell_end(service, event, telling, save)
            case RecordingReady() as event:
                _tell_recording(service, event, telling)

    def _profile(self, base: Base) -> Profile:
        """The profile that is set, else the one by what the base publishes. Raises AdapterError."""
        profile = PROFILES.get(self.account.settings.get("onec_profile", "")) or recognised(base.schema())
        if profile is PROFILES[LOOKUP] and not self.account.settings.get("onec_profile"):
            profile = recognised(base.schema(lasts=LOOKUP_LASTS))
        if profile is None:
            raise Misconfigured("1C publishes neither calls nor contacts by OData: add them to its composition")
        return profile

    def check(self) -> list[Finding]:
        return check(self.account)

    def asks_at(self, request: DoorRequest) -> bool:  # noqa: ARG002 - the key of the settings decides
        return False

    def open_door(self, request: DoorRequest) -> DoorAnswer:
        return doors.open_door(self.account, request)


@contextmanager
def _taken_without_number(event: CallStarted | CallEnded) -> Iterator[None]:
    """УНФ 3.0 takes a call from a withheld number; one that does not is left in peace."""
    try:
        yield
    except TryAgain as error:
        if event.client_number or error.code != "400":
            raise
        raise NotWanted(f"УНФ takes no call without a number: {error}") from None


def _tell_start(service: telephony.TelephonyAPI, event: CallStarted, telling: Telling) -> None:
    """Opens the card: of whoever's phone it is, where that is open of whoever 1C says is responsible.

    Nobody is asked for by a withheld number: УНФ takes an empty one for the beginning of all.
    """
    known: dict[str, str] = {}
    if event.client_number and not event.extension and event.direction is Direction.INCOMING:
        known = service.tell(telephony.contact(event.client_number, event.call_id), telling)
    responsible = known.get("responsible", "")
    service.tell(telephony.started(event, responsible if responsible.isdecimal() else ""), telling)
    telling.notes[TOLD_OF_START] = True
    if event.client_number and not known:
        known = service.tell(telephony.contact(event.client_number, event.call_id), telling)
    shown = {"name": plain_name(known.get("contact_name", "")), "responsible": plain_name(known.get("responsible", ""))}
    if any(shown.values()):
        telling.notes[CARD] = {key: value for key, value in shown.items() if value}


def _tell_end(service: telephony.TelephonyAPI, event: CallEnded, telling: Telling, save: Save) -> None:
    """УНФ keeps no call that it was not told the start of: that comes first where it was not told yet."""
    if not telling.notes.get(TOLD_OF_START):
        service.tell(telephony.begun(event), telling)
        telling.notes[TOLD_OF_START] = True
        save([telling])
    if not telling.progress.get(TOLD_OF_END):
        service.tell(telephony.ended(event), telling)
        telling.progress[TOLD_OF_END] = True
        save([telling])
    history = telephony.history(event)
    service.tell(history, telling)
    if not history["link"]:
        telling.notes[HISTORY] = history
    telling.crm_call_id = event.call_id


def _tell_recording(service: telephony.TelephonyAPI, event: RecordingReady, telling: Telling) -> None:
    """The history again, with a recording that was not known at the end of the call."""
    history = telling.notes.get(HISTORY)
    if history is None:
        return
    if event.url is None:
        raise NotWanted("1C is given links, and cannot reach ours")
    service.tell({**history, "link": event.url}, telling)
    del telling.notes[HISTORY]
