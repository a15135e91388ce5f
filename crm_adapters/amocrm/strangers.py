"""Phones that are on no card: an entry in Unsorted, or a contact and a lead, by the connection's rule, each made once;
and calls that wait for what employees do with them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from crm_adapters.amocrm import mapping
from crm_adapters.amocrm.ended import blames_user, ended, names_fewer, users_of
from crm_adapters.amocrm.library import all_of
from crm_adapters.amocrm.people import client_of
from crm_adapters.amocrm.rounds import Round
from crm_adapters.contract import CARD, Telling
from crm_adapters.errors import AdapterError, Held, NotWanted, Refused, TryAgain, Unreachable
from crm_adapters.events import CallEnded, Direction

WAITED, GONE = "waited", "gone"
"""In the progress: the stranger's entry in Unsorted that the call waits for, and the one that was seen to be gone."""
CONTACT_SENT, CONTACT_ID, LEAD_SENT, UNSORTED_SENT = "contact_sent", "contact_id", "lead_sent", "unsorted_sent"
"""In the progress: when each was sent (Unix seconds), and the contact's ID."""
UNSORTED, CONTACT, MAKING = "unsorted", "contact", "making"
"""Notes: the ID of the entry in Unsorted, of the contact that was made for this call, and when it was begun."""

FOUND_WITHIN = 30.0
"""Seconds in which a contact whose making was never answered may still appear in the search."""
AFTER_ENTRY_WAITS = ((600, 20), (3600, 60), (86400, 300), (10**9, 3600))
"""How often a call looks whether the stranger's entry was accepted: by how long ago it ended."""
CARD_WAITS = ((600, 60), (3 * 3600, 600))
"""How long a call waits for the card that the employee who talked may still make: then it stays in the journal."""
WAITS_FOR_ENTRY = "the caller's entry in Unsorted has to be accepted first"
UNKNOWN_NUMBER = "the number is on no card, and by the rules none is made"
NOT_FOUND_YET = "amoCRM does not find the new contact yet"
NOBODY_TALKED = "nobody answered, and the number is on no card"
DECLINED = "the caller's entry in Unsorted was declined"


class Strangers:
    """The strangers of one round."""

    def __init__(self, round_: Round) -> None:
        self._round = round_
        self._amo = round_.amo
        self._seen: set[str] = set()
        self._in_unsorted: dict[str, str] | None = None

    def waits_no_more(self, telling: Telling) -> bool:
        """Holds a call whose stranger's entry is known to wait still: nothing else need be asked for it."""
        if (entry := telling.progress.get(WAITED)) and self._still_waits(entry):
            telling.progress.pop(GONE, None)
            raise Held(WAITS_FOR_ENTRY, retry_after=_entry_wait(ended(telling)))
        return True

    def has_whole_card(self, telling: Telling) -> bool:
        """Completes a contact whose making was begun before the call is written on it."""
        if telling.progress.get(CONTACT_SENT) and not telling.notes.get(CONTACT):
            self._make_contact(telling)
        return True

    def has_new_card(self, telling: Telling) -> bool:
        """What is done for a phone on no card, by the rules; whether there is a card now that the call belongs to."""
        event, notes = ended(telling), telling.notes
        if notes.get(CONTACT):
            raise TryAgain(NOT_FOUND_YET)
        if event.client_number in self._seen:
            raise Held("an earlier call of the same stranger goes first", retry_after=1.0)
        self._round.allows("new cards")
        self._seen.add(event.client_number)
        if notes.get(UNSORTED):
            return False  # made by an earlier try of this very call, which it tells
        earlier_notes = event.earlier_notes()
        if any(kept.get(MAKING, 0) > time.time() - FOUND_WITHIN for kept in earlier_notes):
            raise Held(NOT_FOUND_YET, retry_after=2.0)
        earlier = (kept[UNSORTED] for kept in earlier_notes if kept.get(UNSORTED))
        if entry := telling.progress.get(WAITED) or next(earlier, None):
            self._wait_for(telling, str(entry))
        if not event.create_customer:
            self._leave(event)
        if event.direction is Direction.INCOMING and self._amo.info().has_unsorted:
            self._put_into_unsorted(telling)
            return False
        if not (mapping.came_from_client(event) or mapping.was_answered(event)):
            raise NotWanted(NOBODY_TALKED)
        self._make_contact(telling)
        return True

    def _wait_for(self, telling: Telling, entry: str) -> None:
        """Holds the call while the stranger's entry waits in Unsorted; one that was declined holds nothing."""
        event, progress = ended(telling), telling.progress
        if self._still_waits(entry):
            progress[WAITED] = entry
            progress.pop(GONE, None)
            raise Held(WAITS_FOR_ENTRY, retry_after=_entry_wait(event))
        if progress.get(GONE) != entry:
            progress[GONE] = entry  # accepted just now, perhaps, and not found by its phone yet
            raise Held("the caller's entry is not in Unsorted any more", retry_after=AFTER_ENTRY_WAITS[0][1])
        if progress.get(WAITED):
            raise NotWanted(DECLINED)

    def _still_waits(self, entry: str) -> bool:
        """Whether the entry is in Unsorted; where amoCRM does not say, it is taken to be."""
        try:
            return entry in self._entries()
        except Refused:
            return True

    def _entries(self) -> dict[str, str]:
        """What waits in Unsorted, as this round has read it: the call's ID of each entry's ID. Raises AdapterError."""
        if self._in_unsorted is None:
            rows = all_of(self._amo.rows("leads/unsorted", "unsorted"), filters=(_SipEntries(),))
            self._in_unsorted = {str(row.get("uid")): str(_metadata(row).get("uniq")) for row in rows}
        return self._in_unsorted

    def _leave(self, event: CallEnded) -> None:
        """No card is to be made: an employee who has talked may still make one, then the call is there."""
        ago = (datetime.now(UTC) - event.ended_at).total_seconds()
        wait = next((seconds for until, seconds in CARD_WAITS if ago < until), None)
        if mapping.was_answered(event) and wait is not None:
            raise Held(UNKNOWN_NUMBER, retry_after=wait)
        raise NotWanted(UNKNOWN_NUMBER)

    def _put_into_unsorted(self, telling: Telling) -> None:
        """The entry brings its call along; one that may be there already is looked for, as its `uniq` is compared."""
        event, progress = ended(telling), telling.progress
        if progress.get(UNSORTED_SENT) and (entry := self._entry_of(event)):
            telling.notes[UNSORTED] = entry
            return
        again = bool(progress.get(UNSORTED_SENT))
        progress[UNSORTED_SENT] = True
        self._round.save([telling])
        author, _ = users_of(telling)
        item = mapping.unsorted_item(
            event, connection=self._amo.account.connection, author=author, language=self._amo.account.language
        )
        try:
            made = self._amo.made("leads/unsorted/sip", item)
        except Refused as refusal:
            if again and "uniq" in str(refusal).lower():  # no second entry of the same one: the first was made
                telling.notes[UNSORTED] = event.call_id
                return
            if not again:
                del progress[UNSORTED_SENT]
            if blames_user(refusal):
                names_fewer(telling)
            self._amo.info(fresh=True)  # perhaps Unsorted was switched off just now
            raise TryAgain(str(refusal), code=refusal.code) from refusal
        except AdapterError as error:
            if not error.maybe_done:
                del progress[UNSORTED_SENT]
            raise
        telling.notes[UNSORTED] = str(made.get("uid") or event.call_id)

    def _entry_of(self, event: CallEnded) -> str | None:
        """The entry that an earlier try made for this very call."""
        try:
            return next((uid for uid, uniq in self._entries().items() if uniq == event.call_id), None)
        except Refused:
            return None

    def _make_contact(self, telling: Telling) -> None:
        """Makes the contact, then the lead, each once: what was made is kept before the next step."""
        event, progress = ended(telling), telling.progress
        contact_id, leads = progress.get(CONTACT_ID), False
        if contact_id is None and progress.get(CONTACT_SENT):
            found = client_of(self._amo, event.client_number, fresh=True)
            left = progress[CONTACT_SENT] + FOUND_WITHIN - time.time()
            if found is None and left > 0:
                raise Held(NOT_FOUND_YET, retry_after=min(left, 5.0))
            contact_id, leads = (found.id, bool(found.leads)) if found else (None, False)
        author, responsible = users_of(telling)
        if contact_id is None:
            progress[CONTACT_SENT] = telling.notes[MAKING] = time.time()
            item = mapping.contact_item(event, author=author, responsible=responsible)
            contact_id = self._made(telling, "contacts", item, CONTACT_SENT)
        progress[CONTACT_ID] = contact_id
        if self._wants_lead(event) and not leads and not self._lead_is_there(telling):
            progress[LEAD_SENT] = time.time()
            language = self._amo.account.language
            item = mapping.lead_item(event, contact_id, responsible=author or responsible, language=language)
            self._made(telling, "leads", item, LEAD_SENT)
        telling.notes[CONTACT] = contact_id
        user_id = str(author or responsible or "") or None
        telling.notes[CARD] = {"type": "contacts", "id": contact_id, "name": event.client_number, "user_id": user_id}

    def _lead_is_there(self, telling: Telling) -> bool:
        """Whether an earlier try made the lead; it is waited for as the contact is."""
        sent_at = telling.progress.get(LEAD_SENT)
        if sent_at is None:
            return False
        found = client_of(self._amo, ended(telling).client_number, fresh=True)
        if found is None and sent_at + FOUND_WITHIN > time.time():
            raise Held(NOT_FOUND_YET, retry_after=5.0)
        return bool(found and found.leads)

    def _wants_lead(self, event: CallEnded) -> bool:
        wanted = self._amo.account.settings.get("amocrm_new_lead", "") != "no"
        return wanted and mapping.came_from_client(event)

    def _made(self, telling: Telling, path: str, item: Mapping[str, Any], mark: str) -> int:
        """Makes one object; its mark is kept before, and taken away where certainly nothing was made."""
        self._round.save([telling])
        try:
            made = self._amo.made(path, item)
        except AdapterError as error:
            if not error.maybe_done:
                del telling.progress[mark]
            if blames_user(error) and names_fewer(telling):
                raise TryAgain(str(error), code=error.code) from error
            raise
        if not isinstance(made.get("id"), int):
            raise Unreachable("amoCRM does not say what it made", maybe_done=True)
        return int(made["id"])


class _SipEntries:
    """The library's filter for entries of telephony in Unsorted."""

    def _as_params(self) -> dict[str, str]:
        return {"filter[category][]": "sip"}


def _entry_wait(event: CallEnded) -> float:
    ago = (datetime.now(UTC) - event.ended_at).total_seconds()
    return next(seconds for until, seconds in AFTER_ENTRY_WAITS if ago < until)


def _metadata(row: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = row.get("metadata")
    return metadata if isinstance(metadata, dict) else {}
