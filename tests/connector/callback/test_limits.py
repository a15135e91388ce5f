"""Limits: exactly so many and no more, whichever process asks, in the database and in Redis."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fakeredis import TcpFakeServer
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

from connector.callback.counting import DatabaseStorage, open_counting
from connector.callback.limits import DEFAULTS, Asker, Brake, parse_limits
from connector.deployment import Deployment
from tests.conftest import MakeDeployment
from tests.running import free_port


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """SQLite, but for the test that asks for the other engine."""
    if "postgresql" in request.node.name:
        return str(request.getfixturevalue("postgresql_url"))
    return f"sqlite:///{tmp_path / 'connector.db'}"


@pytest.fixture(params=["sqlite", "postgresql", "redis"])
def counters(request: pytest.FixtureRequest, make_deployment: MakeDeployment) -> Iterator[list[Storage]]:
    """The storages of two processes."""
    if request.param != "redis":
        yield [make_deployment().counting, make_deployment().counting]
        return
    port = free_port()
    server = TcpFakeServer(("127.0.0.1", port))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield [make_deployment(redis_url=f"redis://127.0.0.1:{port}").counting for _ in range(2)]
    server.shutdown()
    server.server_close()


def asker(
    number: str = "+380671234567", network: str = "203.0.113.9", origin: str = "https://a", *, token: bool = True
) -> Asker:
    return Asker(number=number, network=network, origin=origin, has_token=token)


def test_at_the_same_time_exactly_so_many_pass(counters: list[Storage]) -> None:
    limits = parse_limits("number=7/5m; address=100/1h")
    together = threading.Barrier(12)

    def ask(place: int) -> bool:
        together.wait()
        return Brake(counters[place % 2], 1, limits).take(asker()) is None

    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(ask, range(12))).count(True) == 7
    exceeded = Brake(counters[0], 1, limits).take(asker())
    assert exceeded is not None
    assert exceeded.name == "number"
    assert 200 < exceeded.seconds <= 300
    assert Brake(counters[0], 2, limits).take(asker()) is None  # another connection's


def test_what_one_visitor_is_refused_takes_nothing_from_the_others(deployment: Deployment) -> None:
    brake = Brake(deployment.counting, 1, parse_limits("address=1/1h; site=2/1h"))
    assert brake.take(asker()) is None
    for place in range(5):
        exceeded = brake.take(asker(f"+38067123456{place}"))
        assert exceeded is not None
        assert exceeded.name == "address"
    assert brake.take(asker("+380670000001", network="203.0.113.10")) is None
    exceeded = brake.take(asker("+380670000002", network="203.0.113.11"))
    assert exceeded is not None
    assert exceeded.name == "site"


def test_what_comes_at_once_and_is_refused_takes_nothing_from_the_others(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    brake = Brake(deployment.counting, 1, parse_limits("address=1/1h; site=2/1h; ceiling=2/1h; tokenless=2/1h"))
    with monkeypatch.context() as patch:  # all have looked before any is counted
        patch.setattr(FixedWindowRateLimiter, "test", lambda *_: True)
        taken = [brake.take(asker(f"+38067123456{place}", token=False)) for place in range(5)]
    assert [exceeded and exceeded.name for exceeded in taken] == [None] + ["address"] * 4
    assert brake.stopped() is None
    assert brake.take(asker("+380670000001", network="203.0.113.10", token=False)) is None


def test_requests_without_a_token_have_a_limit_of_their_own(deployment: Deployment) -> None:
    brake = Brake(deployment.counting, 1, parse_limits("tokenless=1/1h"))
    assert brake.take(asker(token=False)) is None
    exceeded = brake.take(asker("+380670000001", "203.0.113.10", token=False))
    assert exceeded is not None
    assert exceeded.name == "tokenless"
    assert brake.take(asker("+380670000001", "203.0.113.10")) is None


def test_a_window_ends(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = DatabaseStorage(deployment.database)
    clock = time.time()
    monkeypatch.setattr("connector.callback.counting.time.time", lambda: clock)
    assert [storage.incr("a", 60) for _ in range(3)] == [1, 2, 3]
    clock += 61
    assert storage.get("a") == 0
    assert storage.incr("a", 60) == 1
    clock += 61
    assert (storage.reset(), storage.get("a")) == (1, 0)


NONE = ["5/1h", "number=", "number=0/5m", "number=1/0m", "number=1/5y", "speed=1/5m", "site=1/5m; site=2/5m"]


@pytest.mark.parametrize("text", NONE)
def test_limits_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="number="):
        parse_limits(text)


def test_what_is_left_out_keeps_its_default() -> None:
    limits, defaults = parse_limits("site=100/1d"), parse_limits(DEFAULTS)
    assert limits["number"] == defaults["number"]
    assert [(item.amount, item.get_expiry()) for item in limits["site"]] == [(100, 86400)]
    assert [(item.amount, item.get_expiry()) for item in limits["number"]] == [(1, 300), (3, 86400)]


def test_without_redis_the_database_counts(deployment: Deployment) -> None:
    assert isinstance(open_counting(deployment.settings, deployment.database), DatabaseStorage)
