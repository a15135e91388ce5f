"""amoCRM's limit (facts 1.7): seven requests in any second; who insists is blocked until support lets him in again."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class RequestRate:
    """Admits so many requests in any second; emulated accounts may share one, as they share an address.

    `retry_after` goes into the 429; `block_after` is how many 429 it takes to be blocked (None: never).
    """

    per_second: int = 7
    enabled: bool = True
    retry_after: int | None = None
    block_after: int | None = None
    refused: int = 0
    _admitted: deque[float] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def admits(self) -> bool:
        """Counts one request, or refuses it."""
        with self._lock:
            now = time.monotonic()
            while self._admitted and self._admitted[0] <= now - 1:
                self._admitted.popleft()
            admitted = not self.enabled or len(self._admitted) < self.per_second
            if admitted:
                self._admitted.append(now)
            self.refused += not admitted
            return admitted

    @property
    def blocks(self) -> bool:
        """Whether there were so many 429 that nothing is answered any more."""
        return self.block_after is not None and self.refused >= self.block_after

    def reset(self) -> None:
        """Forgets all requests, refused ones too."""
        with self._lock:
            self._admitted.clear()
            self.refused = 0


def busiest_second(moments: Iterable[float]) -> int:
    """The most requests in any one second."""
    window: deque[float] = deque()
    most = 0
    for moment in sorted(moments):
        window.append(moment)
        while window[0] <= moment - 1:
            window.popleft()
        most = max(most, len(window))
    return most
