"""What `connector run` keeps of the machine's memory when it has nothing to do."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import load
from benchmarks.servers import NAME, TOKEN, connector, place
from benchmarks.table import show

STARTS = 1000
SETTLE_SECONDS = 5.0


def measure() -> None:
    """Prints the proportional set size (shared pages counted once) after the start and after some work."""
    with place() as where:
        where.run("connection", "add", NAME, "--crm", "journal", "--set", f"evrotel_token={TOKEN}")
        with connector(where, "run") as (pid, url):
            time.sleep(SETTLE_SECONDS)
            before = _pss(pid)
            path = f"{url}/evrotel/{NAME}/events"
            load.run(load.Load(url=path, token=TOKEN, first=0, most=STARTS))
            time.sleep(SETTLE_SECONDS)
            after = _pss(pid)
    names = list(dict.fromkeys([*before, *after]))
    rows = [[name, f"{before.get(name, 0):.1f}", f"{after.get(name, 0):.1f}"] for name in names]
    rows.append(["all", f"{sum(before.values()):.1f}", f"{sum(after.values()):.1f}"])
    show(
        "Memory of `connector run` on SQLite (2 web processes, worker, supervisor), MB of PSS",
        ["", "after the start", f"after {STARTS} starts"],
        rows,
    )


def resident(pid: int) -> float:
    """MB of a process and all that it started."""
    return sum(_pss(pid).values())


def _pss(pid: int) -> dict[str, float]:
    """MB of each process of a tree, by its command and ID."""
    return {f"{_name(each)} {each}": _kilobytes(each) / 1024 for each in _tree(pid)}


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from _tree(int(child))


def _name(pid: int) -> str:
    """`web`, `worker`, or the module's own name."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    return next((word for word in words if word in {"web", "worker"}), words[2].rpartition(".")[2])


def _kilobytes(pid: int) -> int:
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0
