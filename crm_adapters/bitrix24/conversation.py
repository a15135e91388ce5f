"""Leads many dialogues with one portal at once: what all of them say next goes out together."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from crm_adapters.bitrix24.commands import Command, Outcome, Size
from crm_adapters.bitrix24.dialogues import Steps
from crm_adapters.contract import Save, Telling
from crm_adapters.errors import AdapterError

Run = Callable[[Sequence[Command]], Sequence[Outcome]]


@dataclass(kw_only=True, eq=False)
class _Speaker:
    """One telling, its dialogue and what it says next; None when it has ended."""

    telling: Telling
    steps: Steps
    saved: tuple[Any, ...]
    command: Command | None = None

    def go_on(self, outcome: Outcome | None) -> None:
        """Hands the dialogue its outcome; an error that it does not deal with becomes the telling's."""
        self.command = None
        try:
            if outcome is None:
                self.command = next(self.steps)
            elif outcome.error is not None:
                self.command = self.steps.throw(outcome.error)
            else:
                self.command = self.steps.send(outcome.result)
        except StopIteration:
            self.telling.error = None
        except AdapterError as error:
            self.telling.error = error


def converse(dialogues: Sequence[tuple[Telling, Steps]], *, run: Run, save: Save) -> None:
    """Leads the dialogues to their ends; `run` gives the outcomes of some commands of one size, in their order.

    What changed in the progress of those who go on is saved before anything more is sent. Raises what `save` raises.
    """
    speakers = [_Speaker(telling=telling, steps=steps, saved=_state(telling)) for telling, steps in dialogues]
    for speaker in speakers:
        speaker.go_on(None)
    while going := [speaker for speaker in speakers if speaker.command is not None]:
        _save_changes(going, save)
        for size in Size:
            group = [(each, each.command) for each in going if each.command and each.command.size == size]
            outcomes = run([command for _, command in group]) if group else ()
            for (speaker, _), outcome in zip(group, outcomes, strict=True):
                speaker.telling.exchanges.append(outcome.exchange)
                speaker.go_on(outcome)


def _state(telling: Telling) -> tuple[Any, ...]:
    kept = copy.deepcopy((telling.progress, telling.notes))
    return (*kept, telling.crm_call_id, telling.crm_user_id)


def _save_changes(speakers: Sequence[_Speaker], save: Save) -> None:
    changed = [speaker for speaker in speakers if _state(speaker.telling) != speaker.saved]
    if changed:
        save([speaker.telling for speaker in changed])
        for speaker in changed:
            speaker.saved = _state(speaker.telling)
