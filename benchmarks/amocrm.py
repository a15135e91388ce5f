"""What calls cost of an amoCRM account's request budget, and how soon they are told: one by one, and 60 at once."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier

from benchmarks.load import now_in_kyiv
from benchmarks.servers import NAME, TOKEN, connector, place
from benchmarks.table import show
from tests.emulators.amocrm import AmoCRM
from tests.emulators.evrotel import Transmitter

CLIENTS = 200
RINGS_SECONDS = 1.5
TOLD_SECONDS = 120.0


@dataclass(frozen=True)
class Wave:
    """So many calls, so many of which go on at once and end together; `way` is i or o, `ours` who rings or dials."""

    title: str
    calls: int
    at_once: int
    way: str
    ours: str


WAVES = (
    Wave("incoming to an extension, one by one", 10, 1, "i", "101"),
    Wave("incoming to a line, one by one", 10, 1, "i", "0443334455"),
    Wave("outgoing, one by one", 10, 1, "o", "101"),
    Wave("60 ends at once", 60, 60, "o", "101"),
)


def measure() -> None:
    """Prints a row for each wave, with amoCRM's rate limit in force. All clients are on cards."""
    with AmoCRM() as amo, place() as where:
        for number in range(CLIENTS):
            amo.add_contact(f"Client {number}", f"+38067{number:07d}", responsible=8)
        token = amo.long_lived_token()
        where.run(
            *("connection", "add", NAME, "--crm", "amocrm", "--set", f"evrotel_token={TOKEN}"),
            *("--set", f"amocrm_long_lived_token={token}", "--set", f"amocrm_domain={amo.address}"),
            *("--set", "extensions=101=8"),
        )
        with connector(where, "run") as (_, url):
            sender = Transmitter(f"{url}/evrotel/{NAME}/events", TOKEN)
            rows = [_row(amo, sender, wave, place_) for place_, wave in enumerate(WAVES)]
    titles = ["calls", "requests", "per call", "by path", "busiest second", "refused", "told after s"]
    show("calls in amoCRM, each answered", titles, rows)


def _row(amo: AmoCRM, sender: Transmitter, wave: Wave, first: int) -> list[str]:
    time.sleep(3)  # until the account's budget is whole again, and the first requests of a process are over
    before, told, refused = len(amo.requests), len(amo.calls), amo.rate.refused
    together = Barrier(wave.at_once)
    with ThreadPoolExecutor(wave.at_once) as threads:
        list(threads.map(lambda each: _call(sender, wave, first * 40 + each, together), range(wave.calls)))
    ended = time.monotonic()
    if not amo.wait_until(lambda: len(amo.calls) - told == wave.calls, TOLD_SECONDS):
        raise AssertionError(f"only {len(amo.calls) - told} of {wave.calls} calls were told")
    requests = amo.requests[before:]
    paths = Counter(request.path.removeprefix("/api/") for request in requests).most_common()
    return [
        wave.title,
        str(len(requests)),
        f"{len(requests) / wave.calls:.2f}",
        ", ".join(f"{name} {number}" for name, number in paths),
        str(amo.busiest_second()),
        str(amo.rate.refused - refused),
        f"{time.monotonic() - ended:.1f}",
    ]


def _call(sender: Transmitter, wave: Wave, number: int, together: Barrier) -> None:
    """A call that rings long enough for its card."""
    client = f"067{number:07d}"
    numbers = (client, wave.ours) if wave.way == "i" else (wave.ours, client)
    started = sender.start(*numbers, wave.way, calldate=now_in_kyiv())
    time.sleep(RINGS_SECONDS)
    together.wait()
    sender.end(started.callid, wave.way, billsec="30", disposition="ANSWERED")
