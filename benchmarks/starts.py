"""Acknowledged starts per second, next to a bare view under the same web server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median

from sqlalchemy import func, select

from benchmarks import load
from benchmarks.postgres import postgresql
from benchmarks.servers import NAME, TOKEN, Place, connector, place, serving
from benchmarks.table import show
from connector.models import Call, InboundEvent

ROUNDS = 5
ROUND_SECONDS = 2.0
PROCESSES = ("2", "1")
KINDS = ("bare view", "SQLite", "PostgreSQL")


def measure() -> None:
    """Prints a table for each number of web processes."""
    for processes in PROCESSES:
        with _servers(processes) as servers:
            _measure(processes, servers)


@contextmanager
def _servers(processes: str) -> Iterator[dict[str, tuple[Place, str]]]:
    """The three servers side by side; at any moment only one of them has something to do."""
    with ExitStack() as stack:
        enter = stack.enter_context
        bare = enter(place(WEB_CONCURRENCY=processes))
        servers = {"bare view": (bare, enter(serving(bare, ["benchmarks.bare"], ready="/healthz"))[1])}
        for kind, address in (("SQLite", None), ("PostgreSQL", enter(postgresql()))):
            where = enter(place(address, WEB_CONCURRENCY=processes))
            where.run("connection", "add", NAME, "--crm", "journal", "--set", f"evrotel_token={TOKEN}")
            servers[kind] = where, enter(connector(where, "web"))[1]
        yield servers


def _measure(processes: str, servers: dict[str, tuple[Place, str]]) -> None:
    sent = dict.fromkeys(KINDS, 0)
    results: dict[str, list[load.Result]] = {kind: [] for kind in KINDS}
    for kind in KINDS:
        _round(servers[kind][1], sent, kind, seconds=0.5)  # first imports, pools and caches
    for _ in range(ROUNDS):
        for kind in KINDS:
            results[kind].append(_round(servers[kind][1], sent, kind, seconds=ROUND_SECONDS))
    kept = {kind: _kept(servers[kind][0]) for kind in KINDS[1:]}
    for kind, counts in kept.items():
        if counts != (sent[kind], sent[kind]):
            raise AssertionError(f"{kind}: {sent[kind]} starts were acknowledged, calls and events kept: {counts}")
    show(
        f"Starts, journal, {processes} x 64 threads, {load.CONNECTIONS} connections, medians of {ROUNDS} rounds",
        ["", "starts/s", "p50 ms", "p99 ms", "of the bare view", "acknowledged", "calls kept"],
        [_row(kind, results, sent[kind], kept.get(kind)) for kind in KINDS],
    )


def _round(url: str, sent: dict[str, int], kind: str, seconds: float) -> load.Result:
    path = f"{url}/evrotel/{NAME}/events"
    result = load.run(load.Load(url=path, token=TOKEN, first=sent[kind], seconds=seconds))
    if result.acknowledged != result.sent:
        raise AssertionError(f"{kind}: of {result.sent} starts {result.acknowledged} got 200 and an ID of their own")
    sent[kind] += result.sent
    return result


def _kept(where: Place) -> tuple[int, int]:
    with where.database() as database, database.read() as db:
        calls, events = (
            db.execute(select(func.count()).select_from(model)).scalar_one() for model in (Call, InboundEvent)
        )
    return calls, events


def _row(kind: str, results: dict[str, list[load.Result]], sent: int, kept: tuple[int, int] | None) -> list[str]:
    """The ratio is each round's own, against the bare view of that round: so drift of the machine cancels."""
    mine = results[kind]
    ratios = [ours.per_second / bare.per_second for ours, bare in zip(mine, results["bare view"], strict=True)]
    return [
        kind,
        f"{median(each.per_second for each in mine):.0f}",
        f"{median(each.p50 for each in mine):.1f}",
        f"{median(each.p99 for each in mine):.1f}",
        f"{median(ratios):.2f}",
        str(sent),
        str(kept[0]) if kept else "-",
    ]
