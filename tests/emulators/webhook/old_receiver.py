"""A receiver as Evrotel's document describes it: it answers a start with its call's ID and wants it back at the end."""

from __future__ import annotations

import json
import time
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from tests.emulators.http import Emulator, Request, Response


class Received(NamedTuple):
    """A request as it came."""

    body: bytes
    content_type: str
    authorization: str
    fields: dict[str, Any]


class OldReceiver(Emulator):
    """Numbers its calls from 1; `ended` are those whose end came with their ID, `lost` callids that it never gave."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self.token = token
        self.received: list[Received] = []
        self.ended: list[str] = []
        self.lost: list[str] = []
        self.seconds = 0.0
        self.statuses: list[int] = []
        self._calls: list[str] = []

    @property
    def url(self) -> str:
        return f"{self._server.url}/evrotel.php"

    def _answer(self, request: Request) -> Response:
        authorization = str(request.headers.get("Authorization", ""))
        if authorization != self.token:
            return Response(b"Access denied", 401)
        if self.statuses and (status := self.statuses.pop(0)) != 200:
            return Response(b"", status)
        time.sleep(self.seconds)
        fields = _fields(request.body)
        self.received.append(Received(request.body, str(request.headers["Content-Type"]), authorization, fields))
        if fields.get("callstatus") == "start":
            self._calls.append(f"old-{len(self._calls) + 1}")
            return Response(self._calls[-1].encode())
        (self.ended if fields.get("callid") in self._calls else self.lost).append(str(fields.get("callid")))
        return Response(b"OK")


def _fields(body: bytes) -> dict[str, Any]:
    text = body.decode("utf-8-sig")
    return dict(json.loads(text)) if text.startswith("{") else dict(parse_qsl(text, keep_blank_values=True))
