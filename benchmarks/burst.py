"""What calls cost of a portal's request budget, and how soon they are told: one by one, and 300 within ten seconds."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from benchmarks.load import now_in_kyiv
from benchmarks.portal import add_connection, install
from benchmarks.servers import NAME, TOKEN, connector, place
from benchmarks.table import show
from tests.emulators.bitrix24 import Bitrix24
from tests.emulators.evrotel import Recordings, Transmitter

RINGS_SECONDS = 5.0
SENDERS = 64
TOLD_SECONDS = 180.0


@dataclass(frozen=True)
class Wave:
    """`calls` starts spread evenly over `seconds`, the first one numbered `first`."""

    title: str
    calls: int
    seconds: float
    first: int


WAVES = (Wave("one each second", 10, 10.0, 1), Wave("300 within 10 s", 300, 10.0, 1001))


@dataclass(frozen=True)
class Answered:
    """How long the answers to a call's events took, in seconds, and whether the start got the portal's ID."""

    start: float
    end: float
    with_id: bool


def measure() -> None:
    """Prints a row for each wave, with Bitrix24's rate limit in force. Half of the calls come to a line."""
    with (
        Bitrix24() as portal,
        Recordings() as recordings,
        place(BITRIX24_OAUTH_URL=portal.oauth_url) as where,
    ):
        add_connection(where, portal, f"evrotel_recordings_url={recordings.url}")
        with connector(where, "run") as (_, url):
            install(portal, url)
            sender = Transmitter(f"{url}/evrotel/{NAME}/events", TOKEN)
            rows = [_row(portal, recordings, sender, wave) for wave in WAVES]
    show(
        "calls in Bitrix24, each answered and with its recording",
        ["calls", "requests", "per call", "by method", "over the limit", "with the ID", "start max ms", "told after s"],
        rows,
    )


def _row(portal: Bitrix24, recordings: Recordings, sender: Transmitter, wave: Wave) -> list[str]:
    time.sleep(30)  # until the portal's budget is whole again
    before, told_before, refused = len(portal.requests), _told(portal), portal.rate_limit.refused
    began = time.monotonic()

    def call(place_: int) -> Answered:
        time.sleep(max(began + place_ * wave.seconds / wave.calls - time.monotonic(), 0))
        return _call(recordings, sender, wave.first + place_)

    with ThreadPoolExecutor(max(SENDERS, wave.calls)) as threads:
        answers = list(threads.map(call, range(wave.calls)))
    ended = time.monotonic()
    if not portal.wait_until(lambda: _told(portal) - told_before == wave.calls, TOLD_SECONDS):
        raise AssertionError(f"only {_told(portal) - told_before} of {wave.calls} calls were told")
    requests = portal.requests[before:]
    methods = Counter(request.method.rpartition(".")[2] for request in requests).most_common()
    return [
        wave.title,
        str(len(requests)),
        f"{len(requests) / wave.calls:.2f}",
        ", ".join(f"{name} {number}" for name, number in methods),
        str(portal.rate_limit.refused - refused),
        f"{sum(answer.with_id for answer in answers) / wave.calls:.0%}",
        f"{max(answer.start for answer in answers) * 1000:.0f}",
        f"{time.monotonic() - ended:.1f}",
    ]


def _call(recordings: Recordings, sender: Transmitter, number: int) -> Answered:
    path = f"/wav/9/2026-01-01/{number}.wav"
    recordings.add(path)
    ours = "101" if number % 2 else "0443334455"
    started = sender.start(f"067{number:07d}", ours, calldate=now_in_kyiv())
    time.sleep(RINGS_SECONDS)
    ended = sender.end(started.callid, calldate=now_in_kyiv(), recfile=path)
    if (started.status, ended.status) != (200, 200):
        raise AssertionError(f"call {number}: {started}, {ended}")
    return Answered(started.seconds, ended.seconds, started.callid.startswith("externalCall"))


def _told(portal: Bitrix24) -> int:
    return sum(call.finished and call.record is not None for call in portal.calls)
