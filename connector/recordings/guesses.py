"""A brake on guessing links: who asks for too many that nobody signed has to wait. Good links are always answered,
since the clients of a CRM in the cloud share its addresses.
"""

from __future__ import annotations

import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from connector.networks import network_of

MOST_A_MINUTE = 60


class Guesses:
    """Counts the wrong links of each address in this process. Safe in threads."""

    def __init__(self) -> None:
        self._limit = RateLimitItemPerMinute(MOST_A_MINUTE)
        self._window = MovingWindowRateLimiter(MemoryStorage())

    def wait_after_one(self, address: str | None) -> int:
        """Counts a wrong link; seconds until the next one may be asked for, 0 where the address has some left."""
        key = network_of(address)
        if self._window.hit(self._limit, key):
            return 0
        reset_at, _ = self._window.get_window_stats(self._limit, key)
        return max(1, math.ceil(reset_at - time.time()))
