"""A receiver of Standard Webhooks 1.0.0 that refuses what the specification says a receiver refuses.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.emulators.http import Dropped, Emulator, Request, Response

MOST_BYTES = 20 * 1024
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Event(NamedTuple):
    """A verified request. `id` is its webhook-id, `data` the event's."""

    time: float
    id: str
    type: str
    data: dict[str, Any]
    headers: dict[str, str]


@dataclass
class Script:
    """How a request is answered: after `seconds`, with this status; `drop` resets the connection instead, `effect`
    says whether the event is taken all the same."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0
    drop: bool = False
    effect: bool | None = None

    @property
    def takes(self) -> bool:
        return 200 <= self.status < 300 and not self.drop if self.effect is None else self.effect


class OwnCRM(Emulator):
    """Keeps each event once, by its ID, as the specification asks of receivers.

    `requests` are all verified ones, `taken` the events it has processed, `refusals` why it refused others. What is in
    `scripts` answers the next requests; `answer` gives the body of an answer to `call.started`.
    """

    def __init__(self, secret: str = SECRET) -> None:
        super().__init__()
        self.secrets = [secret]
        self.requests: list[Event] = []
        self.taken: list[Event] = []
        self.refusals: list[str] = []
        self.scripts: list[Script] = []
        self.always: Script | None = None
        self.answer: Callable[[Event], Any] = lambda _: None
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"{self._server.url}/hooks/evrotel"

    def of_type(self, name: str) -> list[Event]:
        """The processed events of a type."""
        return [event for event in list(self.taken) if event.type == name]

    def types(self) -> list[str]:
        """What was processed, in order."""
        return [event.type for event in list(self.taken)]

    def _answer(self, request: Request) -> Response:
        try:
            event = self._verified(request)
        except (ValueError, WebhookVerificationError) as error:
            self.refusals.append(str(error))
            return Response(str(error).encode(), 400, "text/plain")
        with self._lock:
            self.requests.append(event)
            script = self.scripts.pop(0) if self.scripts else self.always or Script()
        time.sleep(script.seconds)
        if script.takes:
            self._take(event)
        if script.drop:
            raise Dropped
        answer = self.answer(event) if event.type == "call.started" and script.takes else None
        body = script.body or (json.dumps(answer).encode() if answer is not None else b"")
        return Response(body, script.status, "application/json", dict(script.headers))

    def _take(self, event: Event) -> None:
        with self._lock:
            if all(each.id != event.id for each in self.taken):
                self.taken.append(event)

    def _verified(self, request: Request) -> Event:
        if request.verb != "POST" or request.path != "/hooks/evrotel":
            raise ValueError(f"{request.verb} {request.path} is not the webhook")
        if request.content_type != "application/json":
            raise ValueError(f"content type {request.content_type!r}")
        if len(request.body) >= MOST_BYTES:
            raise ValueError(f"{len(request.body)} bytes")
        headers = {name.lower(): str(value) for name, value in request.headers.items()}
        if len(headers.get("webhook-timestamp", "")) != 10:
            raise ValueError("webhook-timestamp should be Unix seconds")
        body = _verify(self.secrets, request.body, headers)
        if set(body) != {"type", "timestamp", "data"} or not isinstance(body["data"], dict):
            raise ValueError(f"fields {sorted(body)}")
        if not body["timestamp"].endswith("Z"):
            raise ValueError(f"timestamp {body['timestamp']}")
        return Event(time.monotonic(), headers["webhook-id"], body["type"], body["data"], headers)


def _verify(secrets: list[str], body: bytes, headers: dict[str, str]) -> dict[str, Any]:
    failure = WebhookVerificationError("no secret")
    for secret in secrets:
        try:
            verified: dict[str, Any] = Webhook(secret).verify(body, headers)
        except WebhookVerificationError as error:
            failure = error
        else:
            return verified
    raise failure
