"""How soon everything is told when a portal comes back after it was down."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from benchmarks.load import now_in_kyiv
from benchmarks.portal import add_connection, install
from benchmarks.servers import NAME, TOKEN, connector, place
from benchmarks.table import show
from tests.emulators.bitrix24 import Bitrix24
from tests.emulators.evrotel import Recordings, Transmitter

CALLS = 300
SENDERS = 8
FETCH_SECONDS, DRAIN_SECONDS = 60.0, 120.0


def measure() -> None:
    """Prints how long it took and how many requests, with Bitrix24's rate limit in force."""
    with (
        Bitrix24() as portal,
        Recordings() as recordings,
        place(BITRIX24_OAUTH_URL=portal.oauth_url) as where,
    ):
        add_connection(where, portal, f"evrotel_recordings_url={recordings.url}")
        with connector(where, "run") as (_, url):
            install(portal, url)
            portal.go_down()
            _send_calls(url, recordings)
            if not portal.wait_until(lambda: recordings.request_count() >= CALLS, FETCH_SECONDS):
                raise AssertionError(f"only {recordings.request_count()} of {CALLS} recordings were fetched")
            _show(portal, *_drain(portal))


def _send_calls(url: str, recordings: Recordings) -> None:
    sender = Transmitter(f"{url}/evrotel/{NAME}/events", TOKEN)

    def call(number: int) -> None:
        path = f"/wav/9/2026-01-01/{number}.wav"
        recordings.add(path)
        started = sender.start(f"067{number:07d}", "101", calldate=now_in_kyiv())
        ended = sender.end(started.callid, calldate=now_in_kyiv(), recfile=path)
        if (started.status, ended.status) != (200, 200):
            raise AssertionError(f"call {number}: {started}, {ended}")

    with ThreadPoolExecutor(SENDERS) as threads:
        list(threads.map(call, range(CALLS)))


def _drain(portal: Bitrix24) -> tuple[float, float, int]:
    """Seconds from the portal's return to the first request, from there until all is told, and the requests."""
    before = portal.request_count()
    up = time.monotonic()
    portal.come_up()
    if not portal.wait_until(lambda: portal.request_count() > before, DRAIN_SECONDS):
        raise AssertionError("the connector did not ask the portal again")
    asked = time.monotonic()
    if not portal.wait_until(lambda: _told(portal) == CALLS, DRAIN_SECONDS):
        raise AssertionError(f"only {_told(portal)} of {CALLS} calls were told")
    return asked - up, time.monotonic() - asked, portal.request_count() - before


def _told(portal: Bitrix24) -> int:
    return sum(call.finished and call.record is not None for call in portal.calls)


def _show(portal: Bitrix24, noticed: float, drained: float, requests: int) -> None:
    twice = len(portal.calls) - len(portal.calls_by_external_id())
    show(
        f"Bitrix24 back after an outage, {CALLS} calls queued, each with its recording",
        [
            "until the next probe s",
            "then until all told s",
            "requests",
            "QUERY_LIMIT_EXCEEDED",
            "told twice",
            "violations",
        ],
        [
            [
                f"{noticed:.1f}",
                f"{drained:.1f}",
                str(requests),
                str(portal.rate_limit.refused),
                str(twice),
                str(len(portal.violations)),
            ]
        ],
    )
