"""How long a portal takes, learned from its answers: a share for each request and one for each command in it.

With one share alone a slow network would look like slow commands, and batches would shrink to single requests just
where they are worth most.
"""

from __future__ import annotations

from dataclasses import dataclass

NEWEST = 0.3
"""The weight of the newest measurement."""
SHORTEST = 0.001
USABLE = 0.7
"""The part of the time left that a request is planned to take: the rest is for a portal that slows down."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Seconds that a request takes by itself (None: not known yet), and each command in it."""

    request: float | None = None
    command: float = 0.2

    def takes(self, count: int) -> float:
        """Seconds that a request of `count` commands is likely to take."""
        return (self.request or 0.0) + self.command * count

    def fitting(self, most: int, seconds: float) -> int:
        """How many commands one request may carry so that it ends within `seconds`: 1 to `most`."""
        return max(1, min(most, int((USABLE * seconds - (self.request or 0.0)) / self.command)))

    def measured(self, count: int, seconds: float) -> Pace:
        """The pace after a request of `count` commands that took `seconds`. What one command took counts as the
        request's share, which the command's is no longer than; what more took beyond that as the commands'.
        """
        if count == 1:
            request = seconds if self.request is None else _newer(self.request, seconds)
            return Pace(request=request, command=max(SHORTEST, min(self.command, seconds)))
        request = min(self.request or 0.0, seconds)
        return Pace(request=request, command=max(SHORTEST, _newer(self.command, (seconds - request) / count)))

    def not_answered(self, count: int, seconds: float) -> Pace:
        """The pace after a request of `count` commands that was given up after `seconds`: it takes longer than that."""
        if count == 1:
            return Pace(request=max(self.request or 0.0, seconds), command=self.command)
        return Pace(request=self.request, command=max(self.command, seconds / count))


def _newer(former: float, newest: float) -> float:
    return (1 - NEWEST) * former + NEWEST * newest
