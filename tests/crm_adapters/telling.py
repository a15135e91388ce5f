"""Tells adapters of events as the service does, and remembers what the service would."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from crm_adapters.contract import CRMAdapter, Priority, Save, Telling
from crm_adapters.errors import AdapterError
from crm_adapters.events import Event
from tests.crm_adapters.samples import event_of
from tests.crm_adapters.stages.stage import Stage

SECONDS = 10.0


class Died(Exception):
    """The process ends here."""


class Kept:
    """What the database has of a telling: how it began, then what `save` was given last. With the save number `dies_at`
    (from 1) the process ends."""

    def __init__(self, telling: Telling, *, dies_at: int = 0) -> None:
        self._keep(telling)
        self._left = dies_at

    def save(self, tellings: Sequence[Telling]) -> None:
        """The adapter's `save`."""
        [telling] = tellings
        self._keep(telling)
        self._left -= 1
        if self._left == 0:
            raise Died

    def _keep(self, telling: Telling) -> None:
        self._progress, self._notes = copy.deepcopy((telling.progress, telling.notes))
        self._crm_call_id, self._crm_user_id = telling.crm_call_id, telling.crm_user_id

    def again(self, event: Event) -> Telling:
        """The next try, by a process that knows nothing else."""
        return Telling(
            event=replace(event, crm_call_id=self._crm_call_id),
            progress=copy.deepcopy(self._progress),
            notes=copy.deepcopy(self._notes),
            crm_call_id=self._crm_call_id,
            crm_user_id=self._crm_user_id,
        )


def telling_of(stage: Stage, kind: type[Event], after: Telling | None = None, **changes: Any) -> Telling:
    """The telling of such an event, of the same call as an earlier telling where one is given."""
    if after is None:
        return Telling(event=event_of(kind, stage.user_id, **changes))
    same = {"call_id": after.event.call_id, "crm_call_id": after.crm_call_id}
    event = event_of(kind, stage.user_id, **same, **changes)
    return Telling(event=event, notes=copy.deepcopy(after.notes), crm_call_id=after.crm_call_id)


def afresh(adapter: CRMAdapter) -> CRMAdapter:
    """The connection's adapter in another process, which remembers nothing."""
    return type(adapter)(adapter.account)


def told(
    adapter: CRMAdapter,
    *tellings: Telling,
    save: Save = lambda _: None,
    priority: Priority = Priority.BACKGROUND,
    seconds: float = SECONDS,
) -> list[AdapterError | None]:
    """What became of each."""
    adapter.tell(tellings, save=save, priority=priority, seconds=seconds)
    return [telling.error for telling in tellings]
