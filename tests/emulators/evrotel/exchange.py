"""The calls that the web apps begin: each tells the receiver of its start and end, and leaves a row in the records."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from tests.emulators.evrotel.transmitter import Transmitter

ZONE = ZoneInfo("Europe/Kyiv")
_numbers = itertools.count(1)


@dataclass
class Exchange:
    """Evrotel's PBX. `outcomes` says by called number how a call ends and how many seconds were talked.

    A number in `nobody` has no operator who picks up: its call never begins. Without a `transmitter` no event is sent;
    with `keeps_records` each call leaves a row.
    """

    transmitter: Transmitter | None = None
    outcomes: dict[str, tuple[str, int]] = field(default_factory=dict)
    nobody: set[str] = field(default_factory=set)
    ring_seconds: float = 0.05
    keeps_records: bool = False
    add_record: Callable[..., Any] | None = None
    threads: list[threading.Thread] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)

    def begin(self, number_a: str, number_b: str) -> None:
        """A call of its own thread."""
        if number_b in self.nobody:
            return
        disposition, billsec = self.outcomes.get(number_b, ("ANSWERED", 5))
        thread = threading.Thread(target=self.make, args=(number_a, number_b, disposition, billsec), daemon=True)
        self.threads.append(thread)
        thread.start()

    def make(self, number_a: str, number_b: str, disposition: str, billsec: int, *, auto: bool = False) -> None:
        """Rings, talks (in no time) and ends."""
        begun = time.time()
        wall = datetime.fromtimestamp(begun, ZONE)
        number = next(_numbers)
        recfile = f"/wav/9/{wall:%Y-%m-%d}/{begun:.0f}.{number}-1.wav" if billsec else None
        if self.transmitter is not None:
            calldate = f"{wall:%Y-%m-%d %H:%M:%S}"
            started = self.transmitter.start(number_a, number_b, "o", calldate=calldate)
            time.sleep(self.ring_seconds)
            ended = self.transmitter.end(
                started.callid,
                "o",
                calldate=calldate,
                disposition=disposition,
                billsec=str(billsec),
                recfile=recfile,
            )
            self.answers += [started, ended]
        if self.keeps_records and self.add_record is not None:
            self.add_record(
                wall.date(),
                auto=auto,
                uniqueid=f"{begun:.0f}.{number}",
                linkedid=f"{begun:.0f}.{number}",
                calldate=f"{wall:%Y-%m-%dT%H:%M:%S}+00:00",
                direction="o",
                numberA=number_a,
                numberB=number_b,
                disposition=disposition,
                billsec=billsec,
                duration=billsec + 1,
                recfile=f"/var/www/html{recfile}" if recfile else None,
            )
