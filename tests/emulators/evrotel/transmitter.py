"""The sender of call events: PHP's stream wrapper and its bodies."""

from __future__ import annotations

import http.client
import json
import socket
import time
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple
from urllib.parse import urlencode, urlsplit

Variant = Literal["form", "json", "json-as-form", "bom", "bom-as-form"]
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
BOM = b"\xef\xbb\xbf"


class Answer(NamedTuple):
    """What a receiver answered, and after how long."""

    status: int
    content_type: str
    body: bytes
    seconds: float

    @property
    def callid(self) -> str:
        """The body as the ID that the end will bring back."""
        return self.body.decode()


@dataclass
class Transmitter:
    """Sends call events as Evrotel's http_post() does: PHP's stream wrapper, the bare token, one connection each."""

    url: str
    token: str
    timeout: float = 60.0  # default_socket_timeout
    authorization: str | None = None  # instead of the bare token; "" sends no such header

    def start(self, number_a: str, number_b: str, direction: str = "i", **more: Any) -> Answer:
        """A call begins; `more` adds or overrides keys, null ones included."""
        return self.send(start_event(number_a, number_b, direction, **more))

    def end(self, callid: str | None, direction: str = "i", **more: Any) -> Answer:
        """A call has ended."""
        return self.send(end_event(callid, direction, **more))

    def send(self, data: dict[str, Any], variant: Variant = "form") -> Answer:
        """Sends any content."""
        return self.send_raw(*encode(data, variant))

    def send_raw(self, body: bytes, content_type: str | None = FORM) -> Answer:
        """Sends any body; with no label PHP would add that of a form."""
        begun = time.monotonic()
        parts = urlsplit(self.url)
        place = (parts.hostname or "127.0.0.1", parts.port or 80)
        with socket.create_connection(place, timeout=self.timeout) as connection:
            connection.sendall(self._head(len(body), content_type or FORM) + body)
            response = http.client.HTTPResponse(connection, method="POST")
            try:
                response.begin()
                content = response.read()
                label = response.getheader("Content-Type", "") or ""
                return Answer(response.status, label, content, time.monotonic() - begun)
            finally:
                response.close()

    def _head(self, length: int, content_type: str) -> bytes:
        parts = urlsplit(self.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        authorization = self.token if self.authorization is None else self.authorization
        lines = [f"POST {target} HTTP/1.1", f"Host: {parts.netloc}", "Connection: close"]
        lines += [f"Authorization: {authorization}"] if authorization else []
        lines += [f"Content-Length: {length}", f"Content-Type: {content_type}"]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


def start_event(number_a: str, number_b: str, direction: str = "i", **more: Any) -> dict[str, Any]:
    """The content of a start; what is only known at the end is null."""
    return {
        "callstatus": "start",
        "calldate": "2018-04-01 00:00:11",
        "numberA": number_a,
        "numberB": number_b,
        "direction": direction,
        "billsec": None,
        "disposition": None,
        "recfile": None,
        **more,
    }


def end_event(callid: str | None, direction: str = "i", **more: Any) -> dict[str, Any]:
    """The content of an end; the document's own example has no numbers."""
    return {
        "callstatus": "end",
        "calldate": "2018-04-01 00:02:11",
        "callid": callid,
        "direction": direction,
        "billsec": "78",
        "disposition": "ANSWERED",
        "recfile": "/wav/9/2018-04-01/1522566805.1461640-1198614775.wav",
        **more,
    }


def encode(data: dict[str, Any], variant: Variant = "form") -> tuple[bytes, str]:
    """The body and its label in each form that has been seen; null vanishes from a form."""
    if variant == "form":
        return urlencode({key: value for key, value in data.items() if value is not None}).encode(), FORM
    body = json.dumps(data).replace("/", "\\/").encode()  # json_encode escapes slashes
    marked = BOM + body if variant.startswith("bom") else body
    return marked, FORM if variant.endswith("as-form") else JSON
