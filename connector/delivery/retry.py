"""When to try again: pure functions of what went wrong and how often."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from crm_adapters.errors import (
    AccountTrouble,
    AdapterError,
    Held,
    NotSent,
    NotSupported,
    NotWanted,
    Refused,
    SignInRefused,
)

DELIVERY_WAITS = (2, 5, 15, 60, 300, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400, 86400, 86400, 86400)
"""Seconds before the next try of one delivery that fails by itself: 5 days in all, then it is dead."""

FIRST_PROBES = (1, 2, 5, 10)
"""Seconds before the first probes of an account in trouble; then by how long the trouble has lasted."""
LATER_PROBES = ((600, 15), (600 + 3600, 60))
LAST_PROBES = 300
LONGEST_RETRY_AFTER = 3600.0
"""A CRM that asks for more patience than this is asked again all the same."""
JITTER = 0.2


class Verdict(StrEnum):
    """What is to be done about a failed telling."""

    ACCOUNT = "account"
    """The lane waits; the delivery keeps its tries."""
    PAUSE = "pause"
    """The connection is paused until a person acts; the delivery keeps its tries."""
    AGAIN = "again"
    """It goes again at once, with all its tries."""
    HELD = "held"
    """It goes again when the CRM runs it again, with all its tries; the others go on."""
    LATER = "later"
    DEAD = "dead"
    NOT_WANTED = "not_wanted"
    """By the rules the CRM does not get it: settled with the reason, and nobody has to help."""


_PLAIN: tuple[tuple[type[AdapterError], Verdict], ...] = (
    (SignInRefused, Verdict.PAUSE),
    (NotWanted, Verdict.NOT_WANTED),
    (NotSent, Verdict.AGAIN),
)


@dataclass(frozen=True, kw_only=True)
class Decision:
    verdict: Verdict
    wait: timedelta = timedelta()


def decide(error: AdapterError, attempts: int, jitter: float, *, own_fault: bool = False) -> Decision:
    """What follows from `error` at the try number `attempts` (from 1). `jitter` is from -1 to 1.

    `own_fault` marks trouble that only this delivery makes while the account answers others.
    """
    if isinstance(error, AccountTrouble) and not own_fault:
        return Decision(verdict=Verdict.ACCOUNT)
    if verdict := next((each for kind, each in _PLAIN if isinstance(error, kind)), None):
        return Decision(verdict=verdict)
    if isinstance(error, Held):
        return Decision(verdict=Verdict.HELD, wait=timedelta(seconds=max(error.retry_after, 0.0)))
    if isinstance(error, Refused | NotSupported) or attempts > len(DELIVERY_WAITS):
        return Decision(verdict=Verdict.DEAD)
    return Decision(verdict=Verdict.LATER, wait=_spread(DELIVERY_WAITS[attempts - 1], jitter))


def probe_wait(probes: int, lasted: timedelta, retry_after: float | None, jitter: float) -> timedelta:
    """How long an account in trouble is left alone after `probes` probes (from 0) over the time `lasted`.

    A Retry-After makes it longer, up to LONGEST_RETRY_AFTER seconds, never shorter.
    """
    if probes < len(FIRST_PROBES):
        seconds: float = FIRST_PROBES[probes]
    else:
        seconds = next((each for until, each in LATER_PROBES if lasted.total_seconds() < until), LAST_PROBES)
    wait = _spread(seconds, jitter)
    return max(wait, timedelta(seconds=min(retry_after or 0.0, LONGEST_RETRY_AFTER)))


def _spread(seconds: float, jitter: float) -> timedelta:
    return timedelta(seconds=seconds * (1 + JITTER * jitter))
