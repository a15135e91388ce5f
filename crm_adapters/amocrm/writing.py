"""One request for many calls (POST /api/v4/calls), each judged by its own `request_id`: no bad one sinks the rest."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from crm_adapters.amocrm import mapping
from crm_adapters.amocrm.answers import FORBIDDEN, INVALID, SILENCE, items_of, objects_in, problems_of, worded
from crm_adapters.amocrm.ended import USER_PATHS, ended, names_fewer, users_of
from crm_adapters.amocrm.rounds import Round
from crm_adapters.contract import Exchange, Telling
from crm_adapters.errors import AdapterError, Refused, SignInRefused, TryAgain

SENT, WRITTEN = "sent", "written"
"""In the progress: when the call was last sent (Unix seconds) and what became of that; that the call is there."""
NOT_FOUND_STATUS = 263
"""`Entity not found`, for each call whose phone is on no card (issue 52 of amocrm-api-php)."""
STILL_WORKING = frozenset({SILENCE, "504"})
"""Errors of which amoCRM may still be at work; after others it has done or dropped the request."""


class Writing:
    """Writes the calls of one round."""

    def __init__(self, round_: Round) -> None:
        self._round = round_
        self._amo = round_.amo
        self._unknown: list[Telling] = []

    def write(self, tellings: list[Telling]) -> list[Telling]:
        """Sends all in one request; those that it refuses for another's fault go again without that one.

        Returns those whose phone is on no card.
        """
        self._unknown = []
        queue = [tellings]
        while queue:
            batch = queue.pop()
            self._round.together(batch, lambda each: queue.extend(self._sent(each)))
        return self._unknown

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
        author, responsible = users_of(telling)
        return mapping.call_item(ended(telling), author=author, responsible=responsible)

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
            self._unknown.append(telling)
        else:
            telling.error = Refused(f"amoCRM refused the call: {row.get('detail') or row.get('title') or '?'}")

    def _invalid(self, telling: Telling, problems: list[Mapping[str, Any]]) -> list[Telling]:
        """A user whom the account does not have must not cost the call; all else is a mistake of ours."""
        about_users = all(str(each.get("path")).rpartition(".")[2] in USER_PATHS for each in problems)
        if problems and about_users and names_fewer(telling):
            return [telling]
        telling.error = Refused(f"amoCRM refused the call: {worded(problems)}")
        return []

    def _halved(self, batch: list[Telling], body: Any) -> list[list[Telling]]:
        """The whole request was refused and nobody said why: the guilty one is found by halves."""
        if len(batch) == 1:
            if _names_user(self._item(batch[0])) and names_fewer(batch[0]):
                return [batch]
            detail = body.get("detail") if isinstance(body, dict) else ""
            batch[0].error = Refused(f"amoCRM refused the call: {self._amo.masked(detail or '?')[:300]}", code=INVALID)
            return []
        middle = len(batch) // 2
        return [batch[:middle], batch[middle:]]


def _request_id(row: Mapping[str, Any], batch: Sequence[Telling]) -> str:
    """The call that a row of the answer is about; amoCRM counts the items from 0 where it knows no ID of ours."""
    said = str(row.get("request_id"))
    known = {each.event.call_id for each in batch}
    if said not in known and said.isdecimal() and len(said) < 4 and int(said) < len(batch):
        return batch[int(said)].event.call_id
    return said


def _names_user(item: Mapping[str, Any]) -> bool:
    return any(path in item for path in USER_PATHS)


def _part(body: Any, call_id: str) -> Any:
    """What of the answer is about one call; all of it where that can't be told."""
    rows = [*items_of(body, "calls"), *_refusals(body)]
    mine = [row for row in rows if str(row.get("request_id")) == call_id]
    return mine or body


def _refusals(body: Any) -> list[dict[str, Any]]:
    return objects_in(body.get("errors")) if isinstance(body, dict) else []
