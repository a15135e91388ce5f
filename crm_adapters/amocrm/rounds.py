"""Tells many events step by step; what concerns the account as a whole ends the round for all that have to wait."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Iterable, Sequence

from crm_adapters.amocrm.client import AmoAccount
from crm_adapters.contract import Save, Telling
from crm_adapters.errors import AccountTrouble, AdapterError, Held, NotSent, SignInRefused, TryAgain

log = logging.getLogger(__name__)

WORK_SECONDS = 2.0
"""How long one round may be at one kind of work that takes requests for each call, before it writes what it has and
lets the lane see who rings."""


class Round:
    """One go at an account. A telling is settled by an error of its own, or by having no step left."""

    def __init__(self, amo: AmoAccount, save: Save) -> None:
        self.amo = amo
        self._save = save
        self._not_ours: Exception | None = None
        self._trouble: AdapterError | None = None
        self._began: dict[str, float] = {}

    def allows(self, work: str) -> None:
        """Raises Held where this round has done enough of this work for others: phones that ring now go first."""
        began = self._began.setdefault(work, time.monotonic())
        if time.monotonic() - began > WORK_SECONDS:
            raise Held("others have their turn first", retry_after=0.0)

    def save(self, tellings: Sequence[Telling]) -> None:
        """Commits their progress and notes. What it raises ends everything."""
        try:
            self._save(tellings)
        except Exception as error:
            self._not_ours = error
            raise

    def each(self, tellings: Iterable[Telling], step: Callable[[Telling], bool]) -> list[Telling]:
        """Takes a step with each; returns those for which it says that there is more to do."""
        return [telling for telling in tellings if self._stepped(telling, step)]

    def together(self, tellings: list[Telling], step: Callable[[list[Telling]], None]) -> None:
        """Takes one step with all of them, which sets the errors of each itself."""
        if self._trouble is not None:
            self.give_up(tellings)
        elif tellings:
            step(tellings)

    def fail(self, tellings: Iterable[Telling], error: AdapterError) -> None:
        """A request for all of these failed; where that concerns the account nothing more is asked in this round."""
        for telling in tellings:
            telling.error = copy.copy(error)
        if isinstance(error, AccountTrouble | SignInRefused | NotSent):
            self._trouble = error

    def give_up(self, tellings: Iterable[Telling]) -> None:
        """These had no turn: as the round ended, and certainly nothing of them was sent."""
        for telling in tellings:
            telling.error = copy.copy(self._trouble)
            if telling.error is not None:
                telling.error.maybe_done = False

    def _stepped(self, telling: Telling, step: Callable[[Telling], bool]) -> bool:
        if self._trouble is not None:
            self.give_up([telling])
            return False
        try:
            with self.amo.listening(telling):
                return step(telling)
        except AdapterError as error:
            self.fail([telling], error)
        except Exception as error:
            if error is self._not_ours:
                raise
            log.exception("an answer that nobody expected", extra={"call_id": telling.event.call_id})
            telling.error = TryAgain(f"unexpected {type(error).__name__}")
        return False
