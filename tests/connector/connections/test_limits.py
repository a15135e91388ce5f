"""Request budgets: exact whoever asks, from whichever process."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from connector.connections import limits
from connector.connections.limits import DatabaseLimiter
from connector.deployment import Deployment
from tests.conftest import MakeDeployment

SLOW = 0.001  # requests a second: the bucket does not drain during a test


class Clock:
    """The Unix time that the limiter sees."""

    def __init__(self) -> None:
        self.moment = 1_800_000_000.0

    def time(self) -> float:
        return self.moment


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(limits, "time", clock)
    return clock


def test_a_burst_is_exact_across_threads_and_processes(make_deployment: MakeDeployment) -> None:
    limiters = [DatabaseLimiter(make_deployment().database) for _ in range(4)]
    gate = threading.Barrier(40)

    def take(number: int) -> float:
        gate.wait(timeout=30)
        return limiters[number % 4].take("bitrix24:acme", burst=10, per_second=SLOW)

    with ThreadPoolExecutor(40) as pool:
        waits = list(pool.map(take, range(40)))
    assert waits.count(0) == 10
    assert all(wait > 0 for wait in waits if wait)


def test_the_wait_is_how_long_it_really_takes(deployment: Deployment, clock: Clock) -> None:
    limiter = DatabaseLimiter(deployment.database)
    assert [limiter.take("a", burst=3, per_second=2) for _ in range(3)] == [0, 0, 0]
    wait = limiter.take("a", burst=3, per_second=2)
    assert wait == 0.5
    clock.moment += wait - 0.01
    assert limiter.take("a", burst=3, per_second=2) == pytest.approx(0.01)
    clock.moment += 0.01
    assert limiter.take("a", burst=3, per_second=2) == 0
    assert limiter.take("a", burst=3, per_second=2) == pytest.approx(0.5)


def test_a_refusal_takes_nothing(deployment: Deployment, clock: Clock) -> None:
    limiter = DatabaseLimiter(deployment.database)
    limiter.take("a", burst=1, per_second=1)
    assert [limiter.take("a", burst=1, per_second=1) for _ in range(5)] == [1] * 5


def test_accounts_do_not_share_a_budget(deployment: Deployment) -> None:
    limiter = DatabaseLimiter(deployment.database)
    assert [limiter.take(key, burst=1, per_second=SLOW) for key in ("a", "b")] == [0, 0]
    assert limiter.take("a", burst=1, per_second=SLOW) > 0


def test_an_answer_that_says_stop_fills_the_bucket_for_all(make_deployment: MakeDeployment, clock: Clock) -> None:
    first, second = (DatabaseLimiter(make_deployment().database) for _ in range(2))
    first.fill("a", burst=50)
    assert second.take("a", burst=50, per_second=2) == 0.5
    clock.moment += 25
    assert second.take("a", burst=50, per_second=2) == 0


def test_a_clock_that_is_set_back_gives_nothing_away(deployment: Deployment, clock: Clock) -> None:
    limiter = DatabaseLimiter(deployment.database)
    limiter.take("a", burst=1, per_second=1)
    clock.moment -= 3600
    assert limiter.take("a", burst=1, per_second=1) == 1
