"""Writes down what Evrotel tells: one transaction for an event, its call and what a CRM must hear of it.

Many requests at once share a transaction (`GroupCommit`). Nothing here speaks to a CRM.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection as SQLConnection
from sqlalchemy import update

from connector.calls.arrivals import Arrival, NewStart, StartTaken, keep_event
from connector.calls.endings import NewEnd, new_end, write_end
from connector.calls.keys import start_key
from connector.calls.kinds import call_kind, is_employee
from connector.calls.numbers import is_extension, parties
from connector.calls.starts import write_starts
from connector.connections.store import Connection
from connector.db import Database, GroupCommit, insert_or_ignore
from connector.evrotel.localtime import event_time
from connector.evrotel.parser import EndEvent, StartEvent
from connector.models import Counter
from crm_adapters.contract import Capability


class Intake:
    """Where events go in. One for a process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._starts: GroupCommit[NewStart, StartTaken] = GroupCommit(database, self._write_starts)
        self._ends: GroupCommit[NewEnd, str] = GroupCommit(database, self._write_ends)
        self._counts: GroupCommit[tuple[int, str], None] = GroupCommit(database, _write_counts)

    def start(
        self, connection: Connection, event: StartEvent, arrival: Arrival, claimed_until: datetime | None
    ) -> StartTaken:
        """Keeps a start; a repeated one finds its call. Raises what the database raises."""
        region = connection.get("phone_region")
        who = parties(event.direction, event.number_a, event.number_b, region)
        inner = self._is_inner(connection, who.client_number)
        item = NewStart(
            connection=connection,
            arrival=arrival,
            event=event,
            parties=who,
            started_at=event_time(event.date, connection.zone, arrival.at),
            key=start_key(event.direction, event.number_a, event.number_b, event.date, region),
            kind=call_kind(connection, event.direction, event.number_a, inner=inner),
            claimed_until=claimed_until,
        )
        tells = connection.can(Capability.CALL_ID) and item.tellable
        return self._starts.submit(item if tells else replace(item, claimed_until=None))

    def end(self, connection: Connection, event: EndEvent, arrival: Arrival) -> str:
        """Keeps an end; returns its call's ID. Raises Unplaceable (nothing is kept) and what the database raises."""
        return self._ends.submit(new_end(connection, event, arrival))

    def reject(self, connection: Connection, arrival: Arrival, reason: str) -> None:
        """Keeps an event that can't be understood or placed, for an admin to see and run through again."""
        with self._database.write() as db:
            keep_event(db, connection.id, arrival, call_id=None, reason=reason)

    def count(self, connection: Connection, name: str) -> None:
        """Counts what is not kept; a flood of it shares its commits."""
        self._counts.submit((connection.id, name))

    def _is_inner(self, connection: Connection, number: str | None) -> bool:
        if not number or not is_extension(number):
            return False  # as nearly always: the database need not be asked
        with self._database.read() as db:
            return is_employee(db, connection, number)

    def _write_starts(self, db: SQLConnection, items: Sequence[NewStart]) -> list[StartTaken]:
        written = write_starts(db, items)
        if any(item.connection.can(Capability.CARD) and item.claimed_until is None for item in items):
            self._database.wake_workers(db)
        return written

    def _write_ends(self, db: SQLConnection, items: Sequence[NewEnd]) -> list[str]:
        # One order for all processes, so that groups with a call in common wait for each other instead of deadlocking.
        written = {id(item): write_end(db, item) for item in sorted(items, key=_order)}
        self._database.wake_workers(db)
        return [written[id(item)] for item in items]


def _order(item: NewEnd) -> tuple[int, str]:
    return item.connection.id, item.key


def _write_counts(db: SQLConnection, counted: Sequence[tuple[int, str]]) -> list[None]:
    for (connection_id, name), number in sorted(Tally(counted).items()):
        row = {"connection_id": connection_id, "name": name, "value": 0}
        db.execute(insert_or_ignore(db, Counter, ["connection_id", "name"]), row)
        where = (Counter.connection_id == connection_id, Counter.name == name)
        db.execute(update(Counter).where(*where).values(value=Counter.value + number))
    return [None] * len(counted)
