"""Plays calls against a receiver at the pace asked for, several at a time as they come."""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from connector.simulator.recordings import recording_path
from connector.simulator.traffic import SimulatedCall
from connector.simulator.transmitter import (
    NotAsAgreed,
    Transmitter,
    Unanswered,
    callid_of,
    end_fields,
    expect_ok,
    start_fields,
)

log = logging.getLogger(__name__)
AT_ONCE = 16


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How the company's clock runs: `begins` is its first moment, aware; `speed` is how many of its seconds pass in one
    of ours, 0: as fast as can be."""

    begins: datetime
    speed: float

    def at(self, after: float) -> datetime:
        """The company's wall clock. It never shows a time to come, however fast it runs."""
        return min(self.begins + timedelta(seconds=after), datetime.now(self.begins.tzinfo))


def pace_of(played: Iterable[SimulatedCall], speed: float, zone: ZoneInfo) -> Pace:
    """A clock that began so long ago that it comes to the present with the last call: no call has a date to come."""
    span = max((call.ends_after for call in played), default=0.0)
    behind = span if speed == 0 else max(0.0, span * (1 - 1 / speed))
    return Pace(begins=datetime.now(zone) - timedelta(seconds=behind), speed=speed)


@dataclass(kw_only=True)
class Tally:
    """What became of the events."""

    started: int = 0
    ended: int = 0
    failed: int = 0


class Playing:
    """One run over some calls."""

    def __init__(self, transmitter: Transmitter, pace: Pace, *, recordings: bool, stop: threading.Event) -> None:
        """`recordings`: whether ends name one. When `stop` is set, what is being sent is still sent and no more."""
        self.tally = Tally()
        self._stop = stop
        self._transmitter = transmitter
        self._pace = pace
        self._recordings = recordings
        self._counting = threading.Lock()
        self._began = time.monotonic()
        self._places = threading.BoundedSemaphore(2 * AT_ONCE)  # a slow receiver slows us instead of filling the memory

    def play(self, calls: Iterable[SimulatedCall]) -> Tally:
        """Returns when the last end is answered or failed, or the stop was asked for."""
        callids: dict[int, Future[str | None]] = {}
        with ThreadPoolExecutor(max_workers=AT_ONCE) as threads:
            for moment, serial, call, is_end in _in_order(calls):
                if self._stopped_before(moment):
                    break
                self._places.acquire()
                # Starts are queued before their ends, so an end that waits for its start never holds it up.
                if is_end:
                    sent: Future[str | None] = threads.submit(self._end, serial, call, callids.pop(serial))
                else:
                    sent = callids[serial] = threads.submit(self._start, call)
                sent.add_done_callback(lambda _: self._places.release())
        return self.tally

    def _stopped_before(self, after: float) -> bool:
        """Waits until the company's clock shows this moment."""
        wait = self._began + after / self._pace.speed - time.monotonic() if self._pace.speed else 0.0
        return self._stop.wait(max(0.0, wait))

    def _start(self, call: SimulatedCall) -> str | None:
        fields = start_fields(
            calldate=self._pace.at(call.after),
            number_a=call.number_a,
            number_b=call.number_b,
            direction=call.direction,
        )
        if self._stop.is_set():
            return None
        try:
            callid = callid_of(self._transmitter.send(fields))
        except (NotAsAgreed, Unanswered) as error:
            self._failed(error)
            return None
        with self._counting:
            self.tally.started += 1
        return callid

    def _end(self, serial: int, call: SimulatedCall, callid: Future[str | None]) -> None:
        ended_at = self._pace.at(call.ends_after)
        fields = end_fields(
            calldate=ended_at,
            number_a=call.number_a,
            number_b=call.answered_by or call.number_b,
            direction=call.direction,
            callid=callid.result(),
            billsec=call.talk_seconds,
            disposition=call.disposition,
            recfile=self._recfile(serial, call, ended_at),
        )
        if self._stop.is_set():
            return
        try:
            expect_ok(self._transmitter.send(fields))
        except (NotAsAgreed, Unanswered) as error:
            self._failed(error)
            return
        with self._counting:
            self.tally.ended += 1

    def _recfile(self, serial: int, call: SimulatedCall, ended_at: datetime) -> str | None:
        if not self._recordings or not call.talk_seconds:
            return None
        started = self._pace.at(call.after)
        return recording_path(f"{ended_at:%Y-%m-%d}", int(started.timestamp()), serial, call.talk_seconds)

    def _failed(self, error: Exception) -> None:
        if self._stop.is_set():
            return  # the receiver may be stopping too
        with self._counting:
            self.tally.failed += 1
        log.warning("%s", error)


def _in_order(calls: Iterable[SimulatedCall]) -> Iterator[tuple[float, int, SimulatedCall, bool]]:
    """Starts and ends by their time: when, the call's serial number, the call, whether it is the end."""
    open_calls: list[tuple[float, int, SimulatedCall]] = []
    for serial, call in enumerate(calls, 1):
        while open_calls and open_calls[0][0] <= call.after:
            yield (*heapq.heappop(open_calls), True)
        yield call.after, serial, call, False
        heapq.heappush(open_calls, (call.ends_after, serial, call))
    while open_calls:
        yield (*heapq.heappop(open_calls), True)
