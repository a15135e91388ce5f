"""The calls of a believable small Ukrainian company. Pure: the same seed gives the same calls.

Five employees, two lines, some hundred and twenty clients of whom a few call often. Most calls come in; some are
missed because nobody answers or everybody talks, and most of those are called back within minutes.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass

EXTENSIONS = ("101", "102", "103", "104", "105")
LINES = ("0443334401", "0443334402")
_PREFIXES = ("050", "063", "066", "067", "068", "073", "093", "095", "096", "097", "098", "099")
_CLIENTS = 120
_WITHHELD = "anonymous"

_INCOMING = {"ANSWERED": 70, "NO ANSWER": 22, "BUSY": 6, "CONGESTION": 1, "FAILED": 1}
_OUTGOING = {"ANSWERED": 64, "NO ANSWER": 23, "BUSY": 10, "CONGESTION": 1, "FAILED": 2}
_RINGS = {"ANSWERED": (3, 22), "NO ANSWER": (18, 45), "BUSY": (1, 4), "CONGESTION": (1, 3), "FAILED": (1, 2)}
"""Seconds before it is answered or over, least and most."""


@dataclass(frozen=True, kw_only=True)
class SimulatedCall:
    """One call. `after` is its start in seconds after the beginning; `direction` and `disposition` in Evrotel's words.

    `answered_by` is the extension that took a call to a line.
    """

    after: float
    direction: str
    number_a: str
    number_b: str
    answered_by: str | None
    ring_seconds: int
    talk_seconds: int
    disposition: str

    @property
    def ends_after(self) -> float:
        return self.after + self.ring_seconds + self.talk_seconds


def calls(seed: int, *, per_hour: float) -> Iterator[SimulatedCall]:
    """Calls in the order of their starts, without end: on average about `per_hour` in an hour."""
    company = _Company(random.Random(seed))
    moment = 0.0
    while True:
        yield from company.due_by(moment)
        yield from company.begin(moment)
        # The rest of the rate is people being called back and trying again.
        moment += company.chance.expovariate(0.8 * per_hour / 3600)


class _Company:
    """Who talks until when, and whom somebody means to call later."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self._clients = [chance.choice(_PREFIXES) + f"{chance.randrange(10**7):07d}" for _ in range(_CLIENTS)]
        self._weights = [1 / (rank + 3) for rank in range(_CLIENTS)]
        self._talks_until: dict[str, float] = {}
        self._later: list[tuple[float, str, str]] = []  # when, direction, client

    def due_by(self, moment: float) -> Iterator[SimulatedCall]:
        """The calls that somebody meant to make by now."""
        while self._later and self._later[0][0] <= moment:
            at, direction, client = heapq.heappop(self._later)
            yield from self._call(at, direction, client)

    def begin(self, moment: float) -> Iterator[SimulatedCall]:
        """A call for a reason of its own."""
        client = self.chance.choices(self._clients, self._weights)[0]
        yield from self._call(moment, "i" if self.chance.random() < 0.68 else "o", client)

    def _call(self, at: float, direction: str, client: str) -> Iterator[SimulatedCall]:
        free = [extension for extension in EXTENSIONS if self._is_free(extension, at)]
        if not self._is_free(client, at) or (direction == "o" and not free):
            heapq.heappush(self._later, (at + self.chance.uniform(60, 240), direction, client))
            return
        call = self._incoming(at, client, free) if direction == "i" else self._outgoing(at, client, free)
        ours = call.number_b if direction == "i" else call.number_a
        for number in (client, call.answered_by or ours):
            # Who is busy with another call stays so until that one ends.
            self._talks_until[number] = max(self._talks_until.get(number, 0.0), call.ends_after)
        self._follow_up(call, client)
        yield call

    def _is_free(self, number: str, at: float) -> bool:
        return self._talks_until.get(number, -2.0) + 1 < at  # a second to hang up

    def _incoming(self, at: float, client: str, free: list[str]) -> SimulatedCall:
        called = self.chance.choice(EXTENSIONS) if self.chance.random() < 0.2 else self.chance.choices(LINES, (3, 1))[0]
        can_answer = called in free or (called in LINES and bool(free))
        disposition = self._one_of(_INCOMING) if can_answer else "BUSY"
        taken_by_line = called in LINES and disposition == "ANSWERED"
        return self._made(
            at=at,
            direction="i",
            number_a=_WITHHELD if self.chance.random() < 0.01 else self._written(client),
            number_b=called,
            answered_by=self.chance.choice(free) if taken_by_line else None,
            disposition=disposition,
        )

    def _outgoing(self, at: float, client: str, free: list[str]) -> SimulatedCall:
        disposition = self._one_of(_OUTGOING)
        return self._made(
            at=at,
            direction="o",
            number_a=self.chance.choice(free),
            number_b=self._written(client),
            answered_by=None,
            disposition=disposition,
        )

    def _made(
        self, *, at: float, direction: str, number_a: str, number_b: str, answered_by: str | None, disposition: str
    ) -> SimulatedCall:
        return SimulatedCall(
            after=at,
            direction=direction,
            number_a=number_a,
            number_b=number_b,
            answered_by=answered_by,
            ring_seconds=self.chance.randint(*_RINGS[disposition]),
            talk_seconds=self._talk() if disposition == "ANSWERED" else 0,
            disposition=disposition,
        )

    def _follow_up(self, call: SimulatedCall, client: str) -> None:
        """A missed call is called back or tried again; an employee who found nobody tries once more."""
        if call.disposition == "ANSWERED" or call.number_a == _WITHHELD:
            return
        back = self.chance.random() < (0.7 if call.direction == "i" else 0.4)
        again = call.direction == "i" and not back and self.chance.random() < 0.5
        if back or again:
            wait = self.chance.uniform(60, 900) if back else self.chance.uniform(30, 300)
            heapq.heappush(self._later, (call.ends_after + wait, "i" if again else "o", client))

    def _talk(self) -> int:
        """Seconds of talk: a few very short, most a minute or two, some long."""
        if self.chance.random() < 0.12:
            return self.chance.randint(2, 12)
        return min(1200, 8 + int(self.chance.lognormvariate(4.2, 0.8)))

    def _one_of(self, weights: dict[str, int]) -> str:
        return self.chance.choices(list(weights), list(weights.values()))[0]

    def _written(self, client: str) -> str:
        """The same number comes in either form."""
        return f"38{client}" if self.chance.random() < 0.3 else client
