"""A campaign of 1,000 numbers against an emulated Evrotel: how near its speed comes to what `chnum` allows, and that
nobody is called twice or forgotten, also when the worker is killed in between."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import requests

from benchmarks.servers import Place, connector, place
from benchmarks.table import show
from tests.emulators.evrotel import Exchange, WebApps, wav

NUMBERS, CHNUM, PLAY_SECONDS = 1000, 20, 0.3
KILLS = 3
LONGEST_SECONDS = 400.0
MEDIA = "20558_bench.wav"


def measure() -> None:
    """Prints a line for a campaign left alone and one for a campaign whose worker is killed again and again."""
    rows = [_campaign(kills) for kills in (0, KILLS)]
    show(
        f"A campaign of {NUMBERS} numbers, {CHNUM} at once, calls of {PLAY_SECONDS} s",
        ["worker killed", "seconds", "numbers a minute", "of what chnum allows", "most at once", "called", "unclear"],
        rows,
    )


def _campaign(kills: int) -> list[str]:
    with WebApps(play_seconds=PLAY_SECONDS) as apps:
        apps.media[MEDIA] = wav()
        apps.exchange = Exchange(keeps_records=True)
        with place(EVROTEL_API_URL=apps.url, EVROTEL_DIAL_URL=apps.dial_url, LOG_LEVEL="WARNING") as where:
            where.run(
                "connection",
                "add",
                "bench",
                "--crm",
                "journal",
                "--set",
                "evrotel_billcode=20558",
                "--set",
                f"evrotel_token={apps.token}",
            )
            with connector(where, "web") as (_, url):
                seconds, found = _run(where, url, apps, kills)
        counted = Counter(apps.plays)
        if len(counted) != NUMBERS or max(counted.values()) > 1 or apps.most_playing > CHNUM:
            raise RuntimeError(f"{len(counted)} called, {apps.most_playing} at once, {counted.most_common(3)}")
        bound = CHNUM / PLAY_SECONDS * 60
        rate = NUMBERS / seconds * 60
        figures = [f"{seconds:.1f}", f"{rate:.0f}", f"{rate / bound:.0%}", str(apps.most_playing), str(len(counted))]
        return [str(kills), *figures, str(found["counts"]["unclear"])]


def _run(where: Place, url: str, apps: WebApps, kills: int) -> tuple[float, dict[str, dict[str, int]]]:
    key = where.run_and_read("api-key", "create", "--connection", "bench").splitlines()[-1]
    headers = {"Authorization": f"Bearer {key}"}
    base = f"{url}/api/v1/connections/bench/autodial/campaigns"
    numbers = [f"067{number:07d}" for number in range(NUMBERS)]
    with _worker(where) as worker:
        began = time.monotonic()
        made = requests.post(
            base,
            json={"mediafile": MEDIA, "numbers": numbers, "chnum": CHNUM},
            headers=headers,
            timeout=60,
        )
        made.raise_for_status()
        for kill in range(1, kills + 1):
            _wait(lambda kill=kill: len(apps.plays) >= NUMBERS * kill // (kills + 1))
            worker.restart()
        link = f"{base}/{made.json()['id']}"
        _wait(lambda: requests.get(link, headers=headers, timeout=60).json()["status"] == "finished")
        return time.monotonic() - began, requests.get(link, headers=headers, timeout=60).json()


class _Worker:
    def __init__(self, where: Place) -> None:
        self._where = where
        self.process = self._started()

    def restart(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "connector", "worker"], cwd=self._where.directory, env=self._where.environment
        )


@contextmanager
def _worker(where: Place) -> Iterator[_Worker]:
    worker = _Worker(where)
    try:
        yield worker
    finally:
        worker.process.terminate()
        worker.process.wait()


def _wait(condition: object) -> None:
    give_up = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < give_up:
        if condition():  # type: ignore[operator]  # a function without arguments
            return
        time.sleep(0.1)
    raise RuntimeError("the campaign takes too long")
