"""The request budget: 7 in a second for each integration in an account and for our address (Kommo docs, Limitations).

Two buckets, shared by all processes: whoever insists is refused everything until the support unblocks the address.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from crm_adapters.contract import Account, Priority
from crm_adapters.errors import Limited, NotSent

# Of any second at most burst + rate requests go: 7, and 6 where no phone waits.
BURST: Mapping[Priority, float] = {Priority.START: 2.0, Priority.BACKGROUND: 1.5}
PER_SECOND = 4.9
ADDRESS = "amocrm-address"
LONGEST_TURN = 2.0
"""Seconds that a turn takes at most while nobody has asked for patience."""
LONGEST_PATIENCE = 900.0
"""What is asked for beyond this is asked again."""


def wait_turn(account: Account, url: str, priority: Priority, deadline: float) -> None:
    """Waits for a request's turn until `deadline` (monotonic seconds).

    Raises NotSent where it does not come by then, and Limited where amoCRM has asked for longer patience.
    """
    for key in (bucket_of(url), ADDRESS):
        while (wait := account.limiter.take(key, burst=BURST[priority], per_second=PER_SECOND)) > 0:
            if wait > LONGEST_TURN:
                raise Limited("amoCRM has asked for patience", code="429", retry_after=wait)
            if time.monotonic() + wait >= deadline:
                raise NotSent("the time was up before a request's turn came")
            time.sleep(wait)


def spent(account: Account, url: str, retry_after: float | None) -> None:
    """amoCRM said that the budget is spent: nobody asks it for `retry_after` seconds."""
    closed = min(retry_after or 0.0, LONGEST_PATIENCE) * PER_SECOND
    account.limiter.fill(bucket_of(url), burst=BURST[Priority.START] + closed)


def bucket_of(url: str) -> str:
    return f"amocrm:{url}"
