"""Tells open pages that calls changed: one thread of this process asks the database each second while someone listens.

A listener learns only that something in their scope changed; the page then asks for the rows like any other page.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from connector.db import Database, now
from connector.panel.access import Scope
from connector.panel.queries import ChangedCall, calls_changed_since

MOST_LISTENERS = 8
PERIOD_SECONDS = 1.0
HEARTBEAT_SECONDS = 3.0
"""A gone browser is noticed by writing to it; this also keeps routers from ending a silent stream (Heroku: 55 s)."""
STREAM_SECONDS = 300.0
"""The browser then connects anew by itself, and its session is looked at again."""
OVERLAP = timedelta(seconds=5)
"""A row's `updated_at` is from before its commit; so each look goes back a little and skips what was seen."""

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Listener:
    """One stream: `news` is set when something in its scope changed, or when it must end."""

    scope: Scope
    news: threading.Event = field(default_factory=threading.Event)
    ended: bool = False


class LiveBoard:
    """The listeners of one process and the thread that serves them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listeners: set[Listener] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._polling = False

    def listen(self, scope: Scope) -> Listener | None:
        """A new listener; None where there are too many."""
        with self._lock:
            if self._stop.is_set() or len(self._listeners) >= MOST_LISTENERS:
                return None
            listener = Listener(scope)
            self._listeners.add(listener)
            if not self._polling:
                self._polling = True
                threading.Thread(target=self._poll, name="live-calls", daemon=True).start()
        return listener

    def leave(self, listener: Listener) -> None:
        """Ends a stream; may be called more than once."""
        with self._lock:
            self._listeners.discard(listener)
        listener.ended = True
        listener.news.set()

    def stop(self) -> None:
        """Ends all streams at once and takes no more: the process is about to stop."""
        with self._lock:
            self._stop.set()
            listeners = list(self._listeners)
        for listener in listeners:
            self.leave(listener)

    def stream(self, listener: Listener) -> Iterator[str]:
        """The body of a `text/event-stream` (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
        yield "retry: 2000\n\n"
        until = now() + timedelta(seconds=STREAM_SECONDS)
        while now() < until:
            changed = listener.news.wait(HEARTBEAT_SECONDS)
            if listener.ended:
                return
            listener.news.clear()
            yield "event: calls\ndata: changed\n\n" if changed else ": still here\n\n"

    def _poll(self) -> None:
        """Runs until nobody listens."""
        since, seen = now(), set[ChangedCall]()
        while not self._stop.wait(PERIOD_SECONDS):
            with self._lock:
                if not self._listeners:
                    self._polling = False
                    return
            since, seen = self._look(since, seen)

    def _look(self, since: datetime, seen: set[ChangedCall]) -> tuple[datetime, set[ChangedCall]]:
        moment = now()
        try:
            changed = set(calls_changed_since(self._database, since - OVERLAP))
        except SQLAlchemyError:
            log.warning("the live list can't read the calls, trying again")
            return since, seen
        fresh = changed - seen
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            if any(listener.scope.sees(call.connection_id, call.extension) for call in fresh):
                listener.news.set()
        return moment, changed
