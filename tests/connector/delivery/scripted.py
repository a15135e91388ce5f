"""A deployment whose CRM does what a test says, with calls as Evrotel's events make them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from flask import Flask
from sqlalchemy import select, update

from connector.calls.arrivals import Arrival
from connector.connections.store import Connection
from connector.db import now
from connector.delivery.loop import work_lane
from connector.deployment import Deployment
from connector.evrotel.parser import EndEvent, StartEvent
from connector.models import Delivery, Lane
from crm_adapters.bitrix24 import DESCRIPTION
from crm_adapters.contract import CRMAdapter, Priority, Save, Telling
from crm_adapters.errors import AdapterError
from crm_adapters.events import CallStarted, Direction, Disposition

Plan = Callable[[Telling], AdapterError | None]


class Scripted(CRMAdapter):
    """Keeps what it was told; `plan` says what goes wrong, `named` which ID a call gets. `later` saves what the last
    try has found out since."""

    description = DESCRIPTION

    def __init__(self, plan: Plan = lambda _: None) -> None:
        self.plan = plan
        self.groups: list[list[tuple[str, str]]] = []
        self.before: Callable[[], None] = lambda: None
        self.named: Callable[[str], str] = lambda call_id: f"crm.{call_id}"
        self.later: Callable[[], None] = lambda: None

    def tell(self, tellings: Sequence[Telling], *, save: Save, priority: Priority, seconds: float) -> None:
        self.before()
        self.later = lambda: save(tellings)
        self.groups.append([(type(each.event).__name__, each.event.call_id) for each in tellings])
        for each in tellings:
            each.error = self.plan(each)
            if each.error is None and isinstance(each.event, CallStarted):
                each.crm_call_id = self.named(each.event.call_id)


class Stage:
    """One connection with a scripted CRM. `app` is the web application where a test needs one."""

    app: Flask

    def __init__(self, deployment: Deployment, plan: Plan = lambda _: None) -> None:
        self.deployment = deployment
        self.crm = Scripted(plan)
        deployment.adapter = lambda _: self.crm  # type: ignore[method-assign,assignment]  # the script instead of a CRM
        self.connection = self._add()

    def _add(self) -> Connection:
        return self.deployment.connections.add("acme", "bitrix24", {"default_user": "1"})

    def start(self, number: int = 1) -> str:
        """An incoming call rings; the lane is to tell it."""
        event = StartEvent(
            number_a=f"050{number:07d}", number_b="101", direction=Direction.INCOMING, date="2026-11-23 10:00:00"
        )
        return self.deployment.intake.start(self.connection, event, _arrival(), None).call_id

    def end(self, call_id: str, recfile: str | None = None) -> None:
        event = EndEvent(
            callid=call_id,
            number_a="",
            number_b="",
            direction=None,
            date=None,
            disposition=Disposition.ANSWERED,
            billsec=5,
            recfile=recfile,
        )
        self.deployment.intake.end(self.connection, event, _arrival())

    def work(self, owner: str = "me") -> None:
        work_lane(self.deployment, self.connection.id, owner, threading.Event())

    def deliveries(self) -> list[tuple[str, str, int]]:
        """Kind, state and tries, in the order of making."""
        query = select(Delivery.kind, Delivery.state, Delivery.attempts).order_by(Delivery.id)
        with self.deployment.database.read() as db:
            return [(row.kind, row.state, row.attempts) for row in db.execute(query)]

    def lane(self) -> Any:
        with self.deployment.database.read() as db:
            return db.execute(select(Lane.__table__)).one()

    def let_time_pass(self) -> None:
        """What waits is due."""
        with self.deployment.database.write() as db:
            db.execute(update(Delivery).values(due_at=now() - timedelta(seconds=1)))
        self.let_probe_be_due()

    def let_probe_be_due(self) -> None:
        """An account in trouble may be asked again; deliveries keep their own schedules."""
        past = now() - timedelta(seconds=1)
        with self.deployment.database.write() as db:
            db.execute(update(Lane).where(Lane.next_probe_at.is_not(None)).values(next_probe_at=past))


def _arrival() -> Arrival:
    return Arrival(body=b"", content_type="", at=now())
