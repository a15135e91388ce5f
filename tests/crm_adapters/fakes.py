"""What the service gives an adapter, in memory: tokens, a request budget, and `save`."""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from typing import Any

from crm_adapters.contract import Account, Telling
from crm_adapters.oauth import Renew, Tokens

Saved = list[tuple[dict[str, Any], str | None]]


class MemoryTokens:
    """A token store of one process: one refresh at a time, nobody refreshes what another has just refreshed."""

    def __init__(self, tokens: Tokens | None = None) -> None:
        self.tokens = tokens
        self._lock = threading.Lock()

    def current(self) -> Tokens | None:
        return self.tokens

    def renewed(self, stale: Tokens, renew: Renew) -> Tokens:
        with self._lock:
            assert self.tokens is not None
            if self.tokens.access == stale.access:
                self.tokens = renew(self.tokens)
            return self.tokens


class MemoryLimiter:
    """A leaky bucket whose clock stands still: what was taken stays taken."""

    def __init__(self) -> None:
        self.levels: dict[str, float] = {}
        self.asked: list[float] = []

    def take(self, key: str, *, burst: float, per_second: float) -> float:
        self.asked.append(burst)
        level = self.levels.get(key, 0.0)
        if level + 1 > burst:
            return (level + 1 - burst) / per_second
        self.levels[key] = level + 1
        return 0.0

    def fill(self, key: str, *, burst: float) -> None:
        self.levels[key] = burst


class Unlimited(MemoryLimiter):
    """A budget that nobody spends."""

    def take(self, key: str, *, burst: float, per_second: float) -> float:
        return 0.0


class Saving:
    """A `save` that remembers each telling's progress and call ID as they were."""

    def __init__(self) -> None:
        self.rounds: list[Saved] = []

    def __call__(self, tellings: Sequence[Telling]) -> None:
        self.rounds.append([(copy.deepcopy(telling.progress), telling.crm_call_id) for telling in tellings])


def make_account(
    settings: dict[str, str],
    tokens: Tokens | None = None,
    *,
    oauth_url: str = "",
    allow_local: bool = True,
    limiter: MemoryLimiter | None = None,
) -> Account:
    """An account as the service would hand it over, on loopback."""
    return Account(
        connection="default",
        settings=settings,
        tokens=MemoryTokens(tokens),
        limiter=limiter or MemoryLimiter(),
        public_url="http://127.0.0.1:8000",
        allow_local=allow_local,
        oauth_url=oauth_url,
    )
