"""Limits of the button: counted in windows that begin with the first request, in the shared database or in Redis.

All of a request's limits are looked at before any is counted, so that what one visitor is refused takes nothing from
the others of the site; the narrow limits are counted before the wide ones, so that this is true of what comes at once,
too. A window holds so many whatever comes at once: each count is one atomic step.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

from connector.secrets import digest

NUMBER, ADDRESS, SITE, CEILING, TOKENLESS = "number", "address", "site", "ceiling", "tokenless"
DEFAULTS = "number=1/5m 3/24h; address=5/1h; site=30/1h; ceiling=60/1h; tokenless=10/1h"
"""By number called, by the visitor's address, by site, of the whole connection, of requests without a form token."""
_UNITS: Mapping[str, type[RateLimitItem]] = {
    "m": RateLimitItemPerMinute,
    "h": RateLimitItemPerHour,
    "d": RateLimitItemPerDay,
}
Limits = Mapping[str, tuple[RateLimitItem, ...]]


def parse_limits(text: str) -> Limits:
    """`NAME=COUNT/TIME COUNT/TIME; ...`; a name that is left out keeps its default. Raises ValueError."""
    return _parsed(DEFAULTS) | _parsed(text)


def _parsed(text: str) -> dict[str, tuple[RateLimitItem, ...]]:
    found: dict[str, tuple[RateLimitItem, ...]] = {}
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        name, separator, limits = (piece.strip() for piece in part.partition("="))
        if not separator or not limits or name not in {NUMBER, ADDRESS, SITE, CEILING, TOKENLESS} or name in found:
            raise _wrong()
        found[name] = tuple(_item(each) for each in limits.split())
    return found


def _item(text: str) -> RateLimitItem:
    parts = re.fullmatch(r"(\d{1,6})/(\d{0,4})([mhd])", text)
    if parts is None or not int(parts[1]) or not int(parts[2] or 1):
        raise _wrong()
    return _UNITS[parts[3]](int(parts[1]), int(parts[2] or 1))


def _wrong() -> ValueError:
    return ValueError("limits such as number=1/5m 3/24h; address=5/1h; site=30/1h; ceiling=60/1h; tokenless=10/1h")


@dataclass(frozen=True, kw_only=True)
class Asker:
    """Who asks for a call: the number to be called, the visitor's network, the site, and whether a form token came."""

    number: str
    network: str
    origin: str
    has_token: bool


@dataclass(frozen=True, kw_only=True)
class Exceeded:
    """The limit that is used up, and the seconds until it is not."""

    name: str
    seconds: int


class Brake:
    """Counts the requests of one connection. Raises what its storage raises."""

    def __init__(self, storage: Storage, connection_id: int, limits: Limits) -> None:
        self._window = FixedWindowRateLimiter(storage)
        self._id = connection_id
        self._limits = limits

    def take(self, asker: Asker) -> Exceeded | None:
        """Counts the request, unless a limit is used up: then that one."""
        counted = [(name, item, key) for name, key in self._keys(asker).items() for item in self._limits[name]]
        told = sorted(counted, key=lambda each: each[0] != CEILING)  # where nothing is taken, that is the reason
        for step, each_of in ((self._window.test, told), (self._window.hit, counted)):
            for name, item, key in each_of:
                if not step(item, str(self._id), name, key):
                    return Exceeded(name=name, seconds=self._left(item, name, key))
        return None

    def stopped(self) -> Exceeded | None:
        """The ceiling, where it is reached: the button takes nothing until its window is over."""
        for item in self._limits[CEILING]:
            if not self._window.test(item, str(self._id), CEILING, ""):
                return Exceeded(name=CEILING, seconds=self._left(item, CEILING, ""))
        return None

    def _keys(self, asker: Asker) -> dict[str, str]:
        """What each limit counts by, the narrowest first; numbers and addresses are not kept in plain."""
        return {
            NUMBER: digest(asker.number)[:32],
            ADDRESS: digest(asker.network)[:32],
            **({} if asker.has_token else {TOKENLESS: ""}),
            SITE: digest(asker.origin)[:32],
            CEILING: "",
        }

    def _left(self, item: RateLimitItem, name: str, key: str) -> int:
        reset_at, _ = self._window.get_window_stats(item, str(self._id), name, key)
        return max(1, math.ceil(reset_at - time.time()))
