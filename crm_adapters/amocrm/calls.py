"""Ended calls on the timeline: written once each, in as few requests as there can be, and looked for before anything
that may have been written is written again.

amoCRM itself finds the card by the phone. What it does not know is made by the connection's rule, or waits until an
employee has accepted the stranger's entry in Unsorted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from crm_adapters.amocrm import mapping
from crm_adapters.amocrm.answers import FORBIDDEN, INVALID, SILENCE, items_of, objects_in, problems_of, worded
from crm_adapters.amocrm.library import all_of
from crm_adapters.amocrm.people import client_of, clients_of, likely_leads
from crm_adapters.amocrm.rounds import Round
from crm_adapters.contract import CARD, Exchange, Telling
from crm_adapters.errors import AdapterError, Held, NotWanted, Refused, SignInRefused, TryAgain, Unreachable
from crm_adapters.events import CallEnded, Direction

SENT, WRITTEN = "sent", "written"
"""In the progress: when the call was last sent (Unix seconds) and what became of that; that the call is there."""
WITHOUT_USERS, ON_NO_CARD = "without_users", "on_no_card"
DEFAULT_ONLY, NOBODY = 1, 2
"""After the account did not know a user: the connection's default one is named, and then nobody."""
WAITED, GONE = "waited", "gone"
"""The stranger's entry in Unsorted that the call waits for, and the one that was seen to be there no more."""
CONTACT_SENT, CONTACT_ID, LEAD_SENT, UNSORTED_SENT = "contact_sent", "contact_id", "lead_sent", "unsorted_sent"
UNSORTED, CONTACT, MAKING = "unsorted", "contact", "making"
"""Notes: the ID of the entry in Unsorted, of the contact that was made for this call, and when it was begun."""

STILL_WORKED_ON = 18.0
"""Seconds in which a request that was never answered may still take effect (the official client waits 20 at most)."""
FOUND_WITHIN = 30.0
"""Seconds in which a contact whose making was never answered may still appear in the search."""
MOST_LEADS = 10
NOT_FOUND_STATUS = 263
"""`Entity not found`, for each call whose phone is on no card (issue 52 of amocrm-api-php)."""
USER_PATHS = ("responsible_user_id", "created_by", "updated_by", "call_responsible")
AFTER_ENTRY_WAITS = ((600, 20), (3600, 60), (86400, 300), (10**9, 3600))
"""How often a call looks whether the stranger's entry was accepted: by how long ago it ended."""
CARD_WAITS = ((600, 60), (3 * 3600, 600))
"""How long a call waits for the card that the employee who talked may still make: then it stays in the journal."""
STILL_WORKING = frozenset({SILENCE, "504"})
"""Errors of which amoCRM may still be at work; after others it has done or dropped the request."""
WAITS_FOR_ENTRY = "the caller's entry in Unsorted has to be accepted first"
UNKNOWN_NUMBER = "the number is on no card, and by the rules none is made"
NOT_FOUND_YET = "amoCRM does not find the new contact yet"
NOBODY_TALKED = "nobody answered, and the number is on no card"
DECLINED = "the caller's entry in Unsorted was declined"


def tell_ends(round_: Round, tellings: Sequence[Telling]) -> None:
    """Writes each ended call once. Sets the outcome of each telling."""
    told = _Ends(round_)
    fit = round_.each(tellings, told.is_fit)
    unwritten = round_.each(fit, told.is_unwritten)
    wanted = round_.each(unwritten, told.waits_no_more)
    complete = round_.each(wanted, told.has_whole_card)
    ready = round_.each(complete, told.knows_whose)
    told.write(ready)
    again = round_.each(told.unknown, told.has_new_card)
    told.unknown = []
    told.write(again)
    round_.each(told.unknown, told.waits_for_its_card)


class _Ends:
    """The ended calls of one round. `unknown` are those whose phone is on no card."""

    def __init__(self, round_: Round) -> None:
        self._round = round_
        self._amo = round_.amo
        self._strangers: set[str] = set()
        self._in_unsorted: dict[str, str] | None = None
        self.unknown: list[Telling] = []

    def is_fit(self, telling: Telling) -> bool:
        if reason := mapping.unfit_reason(_event(telling)):
            raise NotWanted(reason)
        return not telling.progress.get(WRITTEN)

    def is_unwritten(self, telling: Telling) -> bool:
        """Looks for a call that was sent and of which nobody knows what became."""
        sent, entry_sent = telling.progress.get(SENT), telling.progress.get(UNSORTED_SENT)
        if sent is None and not entry_sent:
            return True
        self._round.allows("timelines")
        if self._is_on_timeline(_event(telling)):
            telling.progress[WRITTEN] = True
            return False
        if sent is None:
            return True
        left = sent["at"] + STILL_WORKED_ON - time.time()
        if sent.get("answered") is None and left > 0:
            text = "amoCRM may still be writing the call: it is looked for again"
            raise Held(text, retry_after=min(left, STILL_WORKED_ON))
        del telling.progress[SENT]
        return True

    def _is_on_timeline(self, event: CallEnded) -> bool:
        rows = clients_of(self._amo, event.client_number, with_customers=True)
        cards = [(str(row["type"]), int(row["id"])) for row in rows]
        cards += [("leads", lead) for lead in likely_leads(self._amo, rows, MOST_LEADS)]
        cards += [("customers", each["id"]) for row in rows for each in items_of(row, "customers") if "id" in each]
        return any(self._has_note(type_, card, event.call_id) for type_, card in cards)

    def _has_note(self, type_: str, card: int, uniq: str) -> bool:
        """Whether a card has the call; one that may not be read, or is gone, has none that we could see."""
        notes = self._amo.rows(f"{type_}/{card}/notes", "notes")
        try:
            return any(
                isinstance(note.get("params"), dict) and note["params"].get("uniq") == uniq
                for note in all_of(notes, filters=(_CallNotes(),), order={"id": "desc"})
            )
        except Refused:
            return False

    def waits_no_more(self, telling: Telling) -> bool:
        """Holds a call whose stranger's entry is known to wait still: nothing else need be asked for it."""
        if (entry := telling.progress.get(WAITED)) and self._still_waits(entry):
            telling.progress.pop(GONE, None)
            raise Held(WAITS_FOR_ENTRY, retry_after=_entry_wait(_event(telling)))
        return True

    def has_whole_card(self, telling: Telling) -> bool:
        """Completes a contact whose making was begun before the call is written on it."""
        if telling.progress.get(CONTACT_SENT) and not telling.notes.get(CONTACT):
            self._make_contact(telling)
        return True

    def knows_whose(self, telling: Telling) -> bool:
        """Finds who is responsible where the extension does not tell."""
        event = _event(telling)
        author = mapping.first_active([event.user_id], event.employees)
        if author is None and CARD not in telling.notes and not telling.progress.get(ON_NO_CARD):
            self._round.allows("owners")
            try:
                found = client_of(self._amo, event.client_number)
            except Refused as refusal:
                if refusal.code == FORBIDDEN:
                    raise SignInRefused(str(refusal), code=FORBIDDEN) from None
                found = None
            if found is not None:
                telling.notes[CARD] = found.note
            else:
                telling.progress[ON_NO_CARD] = True
        telling.crm_user_id = author or self._responsible(telling)
        return True

    def _responsible(self, telling: Telling) -> str | None:
        event = _event(telling)
        owner = (telling.notes.get(CARD) or {}).get("user_id")
        return mapping.first_active([owner, *event.line_user_ids, event.fallback_user_id], event.employees)

    def write(self, tellings: list[Telling]) -> None:
        """Sends all in one request; those that it refuses for another's fault go again without that one."""
        queue = [tellings]
        while queue:
            batch = queue.pop()
            self._round.together(batch, lambda each: queue.extend(self._sent(each)))

    def _sent(self, batch: list[Telling]) -> list[list[Telling]]:
        """The parts of the batch that have to be sent again."""
        items = {each.event.call_id: self._item(each) for each in batch}
        for each in batch:
            each.progress[SENT] = {"at": time.time()}
        self._round.save(batch)
        began = time.monotonic()
        try:
            body, status = self._amo.post("calls", list(items.values()))
        except AdapterError as error:
            self._not_answered(batch, items, error, began)
            return []
        for each in batch:
            text = f"{status} {json.dumps(_part(body, each.event.call_id), ensure_ascii=False)}"
            self._note(each, items[each.event.call_id], text, began)
        return self._judged(batch, body, status)

    def _not_answered(self, batch: list[Telling], items: Mapping[str, Any], error: AdapterError, began: float) -> None:
        for each in batch:
            self._note(each, items[each.event.call_id], f"{type(error).__name__}: {error}", began)
            if not error.maybe_done:
                del each.progress[SENT]
            elif error.code not in STILL_WORKING:
                each.progress[SENT]["answered"] = error.code or "broken off"
        if isinstance(error, Refused) and error.code == FORBIDDEN:
            error = SignInRefused(str(error), code=FORBIDDEN)
        self._round.fail(batch, error)

    def _note(self, telling: Telling, item: Any, answer: str, began: float) -> None:
        asked, said = self._amo.masked({"POST calls": item}), self._amo.masked(answer)
        milliseconds = round((time.monotonic() - began) * 1000)
        telling.exchanges.append(Exchange(request=asked, answer=said, milliseconds=milliseconds))

    def _item(self, telling: Telling) -> dict[str, Any]:
        author, responsible = self._users(telling)
        return mapping.call_item(_event(telling), author=author, responsible=responsible)

    def _users(self, telling: Telling) -> tuple[int | None, int | None]:
        event, without = _event(telling), telling.progress.get(WITHOUT_USERS, 0)
        if without:
            return None, mapping.user_number(event.fallback_user_id) if without == DEFAULT_ONLY else None
        author = mapping.user_number(mapping.first_active([event.user_id], event.employees))
        return author, mapping.user_number(telling.crm_user_id)

    def _judged(self, batch: list[Telling], body: Any, status: int) -> list[list[Telling]]:
        """Settles each call by its own `request_id`; returns what is to be sent again."""
        accepted = {_request_id(row, batch): row for row in items_of(body, "calls")}
        refused = {_request_id(row, batch): row for row in _refusals(body)}
        invalid = {_request_id({"request_id": key}, batch): value for key, value in problems_of(body).items()}
        again: list[Telling] = []
        for each in batch:
            key = each.event.call_id
            if key in accepted:
                each.progress[WRITTEN] = True
            elif key in refused:
                del each.progress[SENT]
                self._refused(each, refused[key])
            elif key in invalid:
                del each.progress[SENT]
                again += self._invalid(each, invalid[key])
            elif status == 400:
                del each.progress[SENT]
                again.append(each)
            else:
                each.progress[SENT]["answered"] = "left out"
                each.error = TryAgain("amoCRM's answer leaves this call out", maybe_done=True)
        if status == 400 and again == batch and not any(each.event.call_id in invalid for each in batch):
            return self._halved(batch, body)
        return [again] if again else []

    def _refused(self, telling: Telling, row: Mapping[str, Any]) -> None:
        if row.get("status") == NOT_FOUND_STATUS:
            self.unknown.append(telling)
        else:
            telling.error = Refused(f"amoCRM refused the call: {row.get('detail') or row.get('title') or '?'}")

    def _invalid(self, telling: Telling, problems: list[Mapping[str, Any]]) -> list[Telling]:
        """A user whom the account does not have must not cost the call; all else is a mistake of ours."""
        about_users = all(str(each.get("path")).rpartition(".")[2] in USER_PATHS for each in problems)
        if problems and about_users and _names_fewer(telling):
            return [telling]
        telling.error = Refused(f"amoCRM refused the call: {worded(problems)}")
        return []

    def _halved(self, batch: list[Telling], body: Any) -> list[list[Telling]]:
        """The whole request was refused and nobody said why: the guilty one is found by halves."""
        if len(batch) == 1:
            if _names_user(self._item(batch[0])) and _names_fewer(batch[0]):
                return [batch]
            detail = body.get("detail") if isinstance(body, dict) else ""
            batch[0].error = Refused(f"amoCRM refused the call: {self._amo.masked(detail or '?')[:300]}", code=INVALID)
            return []
        middle = len(batch) // 2
        return [batch[:middle], batch[middle:]]

    def has_new_card(self, telling: Telling) -> bool:
        """What is done for a phone on no card, by the rules; whether there is a card now that the call belongs to."""
        event, notes = _event(telling), telling.notes
        if notes.get(CONTACT):
            raise TryAgain(NOT_FOUND_YET)
        if event.client_number in self._strangers:
            raise Held("an earlier call of the same stranger goes first", retry_after=1.0)
        self._round.allows("new cards")
        self._strangers.add(event.client_number)
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
        if event.direction is Direction.OUTGOING and not mapping.was_answered(event):
            raise NotWanted(NOBODY_TALKED)
        self._make_contact(telling)
        return True

    def waits_for_its_card(self, telling: Telling) -> bool:
        """The new contact is there, and amoCRM does not find it by its phone yet."""
        del telling
        raise TryAgain(NOT_FOUND_YET)

    def _wait_for(self, telling: Telling, entry: str) -> None:
        """Holds the call while the stranger's entry waits in Unsorted; one that was declined holds nothing."""
        event, progress = _event(telling), telling.progress
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
        event, progress = _event(telling), telling.progress
        if progress.get(UNSORTED_SENT) and (entry := self._entry_of(event)):
            telling.notes[UNSORTED] = entry
            return
        again = bool(progress.get(UNSORTED_SENT))
        progress[UNSORTED_SENT] = True
        self._round.save([telling])
        author, _ = self._users(telling)
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
            if _blames_user(refusal):
                _names_fewer(telling)
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
        event, progress = _event(telling), telling.progress
        contact_id, leads = progress.get(CONTACT_ID), False
        if contact_id is None and progress.get(CONTACT_SENT):
            found = client_of(self._amo, event.client_number, fresh=True)
            left = progress[CONTACT_SENT] + FOUND_WITHIN - time.time()
            if found is None and left > 0:
                raise Held(NOT_FOUND_YET, retry_after=min(left, 5.0))
            contact_id, leads = (found.id, bool(found.leads)) if found else (None, False)
        author, responsible = self._users(telling)
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
        found = client_of(self._amo, _event(telling).client_number, fresh=True)
        if found is None and sent_at + FOUND_WITHIN > time.time():
            raise Held(NOT_FOUND_YET, retry_after=5.0)
        return bool(found and found.leads)

    def _wants_lead(self, event: CallEnded) -> bool:
        wanted = self._amo.account.settings.get("amocrm_new_lead", "") != "no"
        return wanted and event.direction is Direction.INCOMING

    def _made(self, telling: Telling, path: str, item: Mapping[str, Any], mark: str) -> int:
        """Makes one object; its mark is kept before, and taken away where certainly nothing was made."""
        self._round.save([telling])
        try:
            made = self._amo.made(path, item)
        except AdapterError as error:
            if not error.maybe_done:
                del telling.progress[mark]
            if _blames_user(error) and _names_fewer(telling):
                raise TryAgain(str(error), code=error.code) from error
            raise
        if not isinstance(made.get("id"), int):
            raise Unreachable("amoCRM does not say what it made", maybe_done=True)
        return int(made["id"])


class _CallNotes:
    """The library's filter for notes of calls."""

    def _as_params(self) -> dict[str, str]:
        return {"filter[note_type]": "call_in,call_out"}


class _SipEntries:
    """The library's filter for entries of telephony in Unsorted."""

    def _as_params(self) -> dict[str, str]:
        return {"filter[category][]": "sip"}


def _event(telling: Telling) -> CallEnded:
    assert isinstance(telling.event, CallEnded)  # noqa: S101 - tell_ends gets no others; for the type checker
    return telling.event


def _entry_wait(event: CallEnded) -> float:
    ago = (datetime.now(UTC) - event.ended_at).total_seconds()
    return next(seconds for until, seconds in AFTER_ENTRY_WAITS if ago < until)


def _metadata(row: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = row.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _request_id(row: Mapping[str, Any], batch: Sequence[Telling]) -> str:
    """The call that a row of the answer is about; amoCRM counts the items from 0 where it knows no ID of ours."""
    said = str(row.get("request_id"))
    known = {each.event.call_id for each in batch}
    if said not in known and said.isdecimal() and len(said) < 4 and int(said) < len(batch):
        return batch[int(said)].event.call_id
    return said


def _names_fewer(telling: Telling) -> bool:
    """Has the next try name fewer users; False where it names none already."""
    without = telling.progress.get(WITHOUT_USERS, 0)
    telling.progress[WITHOUT_USERS] = without + 1
    return bool(without < NOBODY)


def _blames_user(error: AdapterError) -> bool:
    """Whether a refusal is about a user that the account does not have."""
    return isinstance(error, Refused) and any(path in str(error) for path in USER_PATHS)


def _names_user(item: Mapping[str, Any]) -> bool:
    return any(path in item for path in USER_PATHS)


def _part(body: Any, call_id: str) -> Any:
    """What of the answer is about one call; all of it where that can't be told."""
    rows = [*items_of(body, "calls"), *_refusals(body)]
    mine = [row for row in rows if str(row.get("request_id")) == call_id]
    return mine or body


def _refusals(body: Any) -> list[dict[str, Any]]:
    return objects_in(body.get("errors")) if isinstance(body, dict) else []
