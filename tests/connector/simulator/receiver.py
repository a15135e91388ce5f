"""A scripted receiver on loopback that keeps what it was sent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from urllib.parse import parse_qs

from tests.emulators.http import Loopback, Request, Response

Answering = Callable[[dict[str, str]], tuple[int, str]]


def as_agreed(fields: dict[str, str]) -> tuple[int, str]:
    """Starts get a callid of their own, ends OK."""
    if fields["callstatus"] == "end":
        return 200, "OK"
    return 200, f"id-{fields['calldate'][-8:].replace(':', '')}-{fields['numberA']}-{fields['numberB']}"


class Receiver(Loopback):
    """Answers what `answering` says of an event's fields."""

    def __init__(self, answering: Answering = as_agreed) -> None:
        super().__init__(self._take)
        self.requests: list[Request] = []
        self.events: list[dict[str, str]] = []
        self._answering = answering
        self._keeping = threading.Lock()

    def _take(self, request: Request) -> Response:
        fields = {key: values[-1] for key, values in parse_qs(request.body.decode()).items()}
        with self._keeping:
            self.requests.append(request)
            self.events.append(fields)
        status, body = self._answering(fields)
        return Response(body.encode(), status, "text/plain; charset=utf-8")

    @property
    def starts(self) -> list[dict[str, str]]:
        return [event for event in self.events if event["callstatus"] == "start"]

    @property
    def ends(self) -> list[dict[str, str]]:
        return [event for event in self.events if event["callstatus"] == "end"]
