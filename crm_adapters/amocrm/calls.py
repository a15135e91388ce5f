"""Ended calls on the timeline: written once each, in as few requests as there can be, and looked for before anything
that may have been written is written again.

amoCRM itself finds the card by the phone. What it does not know is made by the connection's rule, or waits until an
employee has accepted the stranger's entry in Unsorted (strangers.py).
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from crm_adapters.amocrm import mapping
from crm_adapters.amocrm.answers import FORBIDDEN, items_of
from crm_adapters.amocrm.ended import ended
from crm_adapters.amocrm.library import all_of
from crm_adapters.amocrm.people import client_of, clients_of, likely_leads
from crm_adapters.amocrm.rounds import Round
from crm_adapters.amocrm.strangers import NOT_FOUND_YET, UNSORTED_SENT, Strangers
from crm_adapters.amocrm.writing import SENT, WRITTEN, Writing
from crm_adapters.contract import CARD, Telling
from crm_adapters.errors import Held, NotWanted, Refused, SignInRefused, TryAgain
from crm_adapters.events import CallEnded

ON_NO_CARD = "on_no_card"
"""In the progress: the phone was looked for and is on no card."""
STILL_WORKED_ON = 18.0
"""Seconds in which a request that was never answered may still take effect (the official client waits 20 at most)."""
MOST_LEADS = 10


def tell_ends(round_: Round, tellings: Sequence[Telling]) -> None:
    """Writes each ended call once. Sets the outcome of each telling."""
    known, strangers, writing = _Known(round_), Strangers(round_), Writing(round_)
    unwritten = round_.each(round_.each(tellings, _is_fit), known.is_unwritten)
    complete = round_.each(round_.each(unwritten, strangers.waits_no_more), strangers.has_whole_card)
    unknown = writing.write(round_.each(complete, known.knows_whose))
    with_new_card = round_.each(unknown, strangers.has_new_card)
    for telling in writing.write(with_new_card):
        telling.error = TryAgain(NOT_FOUND_YET)


def _is_fit(telling: Telling) -> bool:
    if reason := mapping.unfit_reason(ended(telling)):
        raise NotWanted(reason)
    return not telling.progress.get(WRITTEN)


class _Known:
    """What amoCRM knows of a call already: whether it is there, and whose client it is."""

    def __init__(self, round_: Round) -> None:
        self._round = round_
        self._amo = round_.amo

    def is_unwritten(self, telling: Telling) -> bool:
        """Looks for a call that was sent and of which nobody knows what became."""
        sent, entry_sent = telling.progress.get(SENT), telling.progress.get(UNSORTED_SENT)
        if sent is None and not entry_sent:
            return True
        self._round.allows("timelines")
        if self._is_on_timeline(ended(telling)):
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

    def knows_whose(self, telling: Telling) -> bool:
        """Finds who is responsible where the extension does not tell."""
        event = ended(telling)
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
        event = ended(telling)
        owner = (telling.notes.get(CARD) or {}).get("user_id")
        return mapping.first_active([owner, *event.line_user_ids, event.fallback_user_id], event.employees)


class _CallNotes:
    """The library's filter for notes of calls."""

    def _as_params(self) -> dict[str, str]:
        return {"filter[note_type]": "call_in,call_out"}
