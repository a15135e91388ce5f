"""How much longer than the CRM itself the answer to a start takes."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import delete

from benchmarks.load import now_in_kyiv
from benchmarks.portal import TimedPortal, add_connection, install
from benchmarks.servers import NAME, TOKEN, Place, connector, place
from benchmarks.table import percentile, show
from connector.models import RateLimit
from tests.emulators.evrotel import Transmitter

CRM_SECONDS = 0.05
STARTS = 40
"""Within the 47 that Bitrix24 takes at once; the connector's own budget is refilled before each round."""
ROUNDS = 3
PER_SECOND = 20


def measure() -> None:
    """Prints the time above the portal's own, one start at a time and at a steady rate."""
    with TimedPortal(rate_limit=False) as portal, place(BITRIX24_OAUTH_URL=portal.oauth_url) as where:
        add_connection(where, portal)
        with connector(where, "run") as (_, url):
            install(portal, url)
            portal.faults.slow(CRM_SECONDS, method="telephony.externalCall.register")
            sender = Transmitter(f"{url}/evrotel/{NAME}/events", TOKEN)
            _round(sender, where, portal, 0, 0.0)  # first imports and connections
            alone, steady = [], []
            for number in range(ROUNDS):
                alone += _round(sender, where, portal, 2 * number + 1, 0.0)
                steady += _round(sender, where, portal, 2 * number + 2, 1 / PER_SECOND)
    show(
        f"Answer to a start, Bitrix24 that registers in {1000 * CRM_SECONDS:.0f} ms, {ROUNDS * STARTS} starts each",
        ["", "CRM p50 ms", "above it p50 ms", "above it p99 ms", "answered by the CRM's ID"],
        [_row("1 at a time", alone), _row(f"{PER_SECOND} a second", steady)],
    )


Timed = tuple[float, float, bool]


def _round(sender: Transmitter, where: Place, portal: TimedPortal, number: int, interval: float) -> list[Timed]:
    """Of each start the CRM's seconds, the seconds above them, and whether its answer is the CRM's own ID."""
    with where.database() as database, database.write() as db:
        db.execute(delete(RateLimit))
    clients = [f"+38067{number:02d}{each:05d}" for each in range(STARTS)]
    with ThreadPoolExecutor(STARTS if interval else 1) as threads:
        began = time.monotonic()
        waits = [began + interval * place for place in range(STARTS)]
        answers = list(threads.map(lambda pair: _start(sender, *pair), zip(clients, waits, strict=True)))
    return [
        (portal.seconds[client], seconds - portal.seconds[client], callid.startswith("externalCall."))
        for client, (seconds, callid) in zip(clients, answers, strict=True)
    ]


def _start(sender: Transmitter, client: str, at: float) -> tuple[float, str]:
    time.sleep(max(0.0, at - time.monotonic()))
    answer = sender.start(client, "101", calldate=now_in_kyiv())
    return answer.seconds, answer.callid


def _row(name: str, timed: list[Timed]) -> list[str]:
    crm, above, own = zip(*timed, strict=True)
    return [
        name,
        f"{1000 * percentile(crm, 50):.1f}",
        f"{1000 * percentile(above, 50):.1f}",
        f"{1000 * percentile(above, 99):.1f}",
        f"{sum(own)} of {len(own)}",
    ]
