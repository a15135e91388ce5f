"""Bitrix24's two limits (REST docs, "Limits"): requests per second, and server time per method."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

WINDOW_SECONDS = 600
WINDOW_BUDGET = 480.0


@dataclass
class RequestRate:
    """A leaky bucket for each source address: 50 at once, two more each second; a whole batch counts as one."""

    now: Callable[[], float]
    burst: float = 50
    per_second: float = 2
    enabled: bool = True
    refused: int = 0
    _levels: dict[str, tuple[float, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def admits(self, client: str) -> bool:
        """Counts one request, or refuses it."""
        with self._lock:
            now = self.now()
            level, since = self._levels.get(client, (0.0, now))
            level = max(0.0, level - (now - since) * self.per_second)
            admitted = not self.enabled or level + 1 <= self.burst
            self._levels[client] = (level + 1 if admitted else level, now)
            self.refused += not admitted
            return admitted

    def reset(self) -> None:
        """Empties the bucket."""
        with self._lock:
            self._levels.clear()
            self.refused = 0


@dataclass
class OperatingTime:
    """480 seconds of server time for each method in a window of ten minutes; commands of a batch count one by one.

    `cost` sets how many seconds a call of a method takes of that budget; a test makes it dear to meet the limit soon.
    """

    now: Callable[[], float]
    cost: dict[str, float] = field(default_factory=dict)
    refused: int = 0
    _used: dict[str, tuple[float, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def charge(self, method: str) -> bool:
        """Counts one call, or refuses it until the window ends."""
        with self._lock:
            used, reset_at = self._window(method)
            admitted = used < WINDOW_BUDGET
            if admitted:
                used += self.cost.get(method.lower(), 0.01)
            self._used[method.lower()] = (used, reset_at)
            self.refused += not admitted
            return admitted

    def spent(self, method: str) -> tuple[float, float]:
        """What the answer's `time` block tells: seconds used and when they are forgotten."""
        with self._lock:
            return self._window(method)

    def _window(self, method: str) -> tuple[float, float]:
        now = self.now()
        used, reset_at = self._used.get(method.lower(), (0.0, 0.0))
        return (used, reset_at) if reset_at > now else (0.0, now + WINDOW_SECONDS)
