"""Load on one receiver from a process of its own: a closed loop of starts over connections that are kept open.

Each connection sends its next start when its last one was answered, so the rate is the server's own. No HTTP library:
this process shares the machine with what it measures.
"""

from __future__ import annotations

import json
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit
from zoneinfo import ZoneInfo

from benchmarks.table import percentile

CONNECTIONS = 64
SILENCE_SECONDS = 30.0
_ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, kw_only=True)
class Load:
    """What to send: starts from number `first` on, for `seconds` or until `most` of them are answered."""

    url: str
    token: str
    first: int
    seconds: float = 3600.0
    most: int = 10**9
    connections: int = CONNECTIONS


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came back; times in milliseconds. `acknowledged` are the answers with status 200 and an ID of their own."""

    sent: int
    acknowledged: int
    per_second: float
    p50: float
    p99: float


def run(load: Load) -> Result:
    """Puts the load on and waits for its end. Raises CalledProcessError."""
    command = [sys.executable, "-m", "benchmarks.load", json.dumps(asdict(load))]
    done = subprocess.run(command, cwd=_ROOT, stdout=subprocess.PIPE, check=True)
    return Result(**json.loads(done.stdout))


def start_form(number: int) -> bytes:
    """The form of a start as Evrotel sends it; each `number` below ten million is another caller."""
    event = {
        "callstatus": "start",
        "calldate": now_in_kyiv(),
        "numberA": f"067{number:07d}",
        "numberB": "0443334455",
        "direction": "i",
    }
    return urlencode(event).encode()


def now_in_kyiv() -> str:
    """The present moment as Evrotel writes it."""
    return datetime.now(ZoneInfo("Europe/Kyiv")).strftime("%Y-%m-%d %H:%M:%S")


@dataclass
class _Lines:
    """All connections and what has come back on them."""

    load: Load
    sent: int = 0
    took: list[float] = field(default_factory=list)
    ids: list[bytes] = field(default_factory=list)

    def run(self) -> Result:
        """Returns when every start that was sent is answered, so that nothing is written any more."""
        parts = urlsplit(self.load.url)
        requests = _requests(self.load)
        with selectors.DefaultSelector() as selector:
            began = time.monotonic()
            until = began + self.load.seconds
            for _ in range(min(self.load.connections, self.load.most)):
                line = _Line(parts.hostname or "", parts.port or 80)
                selector.register(line.socket, selectors.EVENT_READ, line)
                self._send(line, requests)
            while selector.get_map():
                ready = selector.select(SILENCE_SECONDS)
                if not ready:
                    raise TimeoutError("the server answers nothing any more")
                for key, _ in ready:
                    self._receive(key.data, requests, selector, until)
            seconds = time.monotonic() - began
        return Result(
            sent=self.sent,
            acknowledged=len(set(self.ids)),
            per_second=len(self.ids) / seconds,
            p50=1000 * percentile(self.took, 50),
            p99=1000 * percentile(self.took, 99),
        )

    def _send(self, line: _Line, requests: Iterator[bytes]) -> None:
        self.sent += 1
        line.send(next(requests))

    def _receive(self, line: _Line, requests: Iterator[bytes], selector: selectors.BaseSelector, until: float) -> None:
        answer = line.receive()
        if answer is None:
            return
        now = time.monotonic()
        self.took.append(now - line.sent_at)
        if answer[0] == 200:
            self.ids.append(answer[1])
        if now < until and self.sent < self.load.most:
            self._send(line, requests)
        else:
            selector.unregister(line.socket)
            line.socket.close()


class _Line:
    """One connection, with at most one request under way."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent_at = 0.0
        self._received = b""

    def send(self, request: bytes) -> None:
        self.sent_at = time.monotonic()
        self.socket.sendall(request)

    def receive(self) -> tuple[int, bytes] | None:
        """Status and body when the answer is whole, None while it is not. Raises ConnectionError."""
        piece = self.socket.recv(65536)
        if not piece:
            raise ConnectionError("the server closed a connection in the middle")
        self._received += piece
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or len(body) < _length(head):
            return None
        self._received = b""
        return int(head[9:12]), body


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])


def _requests(load: Load) -> Iterator[bytes]:
    parts = urlsplit(load.url)
    number = load.first
    while True:
        body = start_form(number)
        head = (
            f"POST {quote(parts.path)} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: {load.token}\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        yield head.encode() + body
        number += 1


if __name__ == "__main__":
    print(json.dumps(asdict(_Lines(Load(**json.loads(sys.argv[1]))).run())))
