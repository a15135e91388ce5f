"""The CRM of the documentation's example: keeps calls by their ID."""

from __future__ import annotations

import json
from typing import Any

from tests.emulators.http import Emulator, Request, Response

KEY = "example-key-1234"


class ExampleCRM(Emulator):
    """`always` is answered to all requests from now on, `next` to the next one alone; `key` is the one that opens."""

    def __init__(self) -> None:
        super().__init__()
        self.key = KEY
        self.calls: dict[str, dict[str, Any]] = {}
        self.requests: list[Request] = []
        self.next: Response | None = None
        self.always: Response | None = None

    @property
    def url(self) -> str:
        return self._server.url

    def _answer(self, request: Request) -> Response:
        self.requests.append(request)
        ordered, self.next = self.next or self.always, None
        if ordered is not None:
            return ordered
        if str(request.headers.get("Authorization", "")) != f"Bearer {self.key}":
            return Response(b"", 401)
        if request.verb == "PUT":
            self.calls[request.path] = json.loads(request.body)
        return Response(b"{}", content_type="application/json")
