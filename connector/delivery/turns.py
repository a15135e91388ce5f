"""Which lanes get a worker's threads: a CRM that is long over each answer must not keep the others' lanes waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

QUICK_LANES, SLOW_LANES = 24, 32
"""So many threads are for lanes whose CRM answers soon, and so many more for those whose last go was a long one."""
SLOW_SECONDS = 3.0
"""A go that lasts longer makes its lane a slow one until a later go is quick again."""


class Turns:
    """A worker's lanes. Slow ones have threads of their own and take turns. One thread takes at a time; any may end."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._working: dict[int, float] = {}
        self._slow: set[int] = set()
        self._ended: dict[int, float] = {}

    @property
    def working(self) -> list[int]:
        """The lanes that are being worked."""
        return list(self._working)

    def take(self, due: Iterable[int]) -> list[int]:
        """Those of the lanes that are due which are to be worked now; the one that has waited longest first."""
        taken = []
        for lane in sorted(due, key=lambda each: self._ended.get(each, 0.0)):
            if lane not in self._working and self._has_thread(lane):
                self._working[lane] = self._clock()
                taken.append(lane)
        return taken

    def _has_thread(self, lane: int) -> bool:
        if len(self._working) >= QUICK_LANES + SLOW_LANES:
            return False
        long_since = self._clock() - SLOW_SECONDS
        slow = sum(each in self._slow or began < long_since for each, began in list(self._working.items()))
        return slow < SLOW_LANES if lane in self._slow else len(self._working) - slow < QUICK_LANES

    def end(self, lane: int, last_seconds: float | None) -> None:
        """The lane has given its thread back; how long its last go took, None where there was none."""
        if last_seconds is not None:
            (self._slow.add if last_seconds > SLOW_SECONDS else self._slow.discard)(lane)
        self._ended[lane] = self._clock()
        self._working.pop(lane, None)
