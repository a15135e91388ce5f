"""Real HTTP on loopback for the emulators: a small threaded server that can also misbehave as networks do."""

from __future__ import annotations

import http.client
import io
import socket
import struct
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from email.message import Message
from types import TracebackType
from typing import BinaryIO, Self

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, zero seconds: close() sends RST instead of FIN


@dataclass(frozen=True)
class Request:
    """One HTTP request as it came over the wire."""

    verb: str
    path: str
    query: str
    headers: Message
    body: bytes
    client: str
    version: str = "HTTP/1.1"

    @property
    def content_type(self) -> str:
        """The label of the body without its parameters; empty where there is none."""
        return str(self.headers.get("Content-Type", "")).partition(";")[0].strip().lower()

    @property
    def closes(self) -> bool:
        """Whether the client wants the connection closed afterwards."""
        wish = str(self.headers.get("Connection", "")).lower()
        return wish == "close" or (self.version == "HTTP/1.0" and wish != "keep-alive")


@dataclass
class Response:
    """An answer; a body given piece by piece is sent piece by piece.

    `length` is what Content-Length claims, be it true or not; None tells the truth, or nothing where the pieces are
    not known in advance (the connection's end is then the body's end).
    """

    body: bytes | Iterable[bytes] = b""
    status: int = 200
    content_type: str = "text/html; charset=UTF-8"
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None

    def head(self, closing: bool) -> bytes:
        """The status line and the headers."""
        phrase = http.client.responses.get(self.status, "Unknown")
        claimed = self.length if self.length is not None or not isinstance(self.body, bytes) else len(self.body)
        headers = {"Content-Type": self.content_type, **self.headers}
        if claimed is not None:
            headers["Content-Length"] = str(claimed)
        headers["Connection"] = "close" if closing else "keep-alive"
        lines = [f"HTTP/1.1 {self.status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    @property
    def must_close(self) -> bool:
        """Whether nobody can tell where this body ends but by the connection's end."""
        return not isinstance(self.body, bytes) or (self.length is not None and self.length != len(self.body))


class Dropped(Exception):
    """Raised instead of answering: the connection is reset, as by a crashed proxy."""


Application = Callable[[Request], Response]


def read_request(stream: BinaryIO, client: str) -> Request | None:
    """The next request of a connection; None where the client has finished, or died in the middle of one.

    Raises ValueError for what is no request.
    """
    line, block = _head(stream)
    if not block:
        return None
    verb, target, version = line.split(" ", 2)
    headers: Message = http.client.parse_headers(io.BytesIO(block))
    if "Transfer-Encoding" in headers:
        raise ValueError("bodies without a length are not emulated")
    length = int(str(headers.get("Content-Length", 0)))
    body = stream.read(length)
    path, _, query = target.partition("?")
    return Request(verb, path, query, headers, body, client, version) if len(body) == length else None


def _head(stream: BinaryIO) -> tuple[str, bytes]:
    """The request line and the block of headers with its empty line; both empty where the connection ended first."""
    begin = stream.readline(65537)
    block = bytearray()
    while begin.endswith(b"\n") and (line := stream.readline(65537)):
        block += line
        if line in (b"\r\n", b"\n"):
            return begin.decode("latin-1").strip(), bytes(block)
    return "", b""


class Loopback:
    """A server on 127.0.0.1 whose port stays its own while it is down."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._placeholder = self._bind(0)
        self.port: int = self._placeholder.getsockname()[1]
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.crashes: list[str] = []

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The address of the root, without a slash at the end."""
        return f"http://{self.address}"

    @property
    def up(self) -> bool:
        """Whether connections are accepted."""
        return self._listener is not None

    def listen(self) -> None:
        """Starts accepting connections."""
        if self._listener is not None:
            return
        self._listener = self._placeholder
        self._listener.listen(512)
        self._acceptor = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)
        self._acceptor.start()

    def go_down(self) -> None:
        """Refuses connections from now on and cuts the open ones; the port stays bound, so nobody else gets it."""
        if self._stop_accepting():
            self._placeholder = self._bind(self.port)
            self._cut()

    def close(self) -> None:
        """Stops for good."""
        self._stop_accepting()
        self._cut()
        self._placeholder.close()

    def __enter__(self) -> Self:
        self.listen()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @staticmethod
    def _bind(port: int) -> socket.socket:
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", port))
        return bound

    def _stop_accepting(self) -> bool:
        listener, self._listener = self._listener, None
        if listener is None or self._acceptor is None:
            return False
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()  # wakes accept()
        except OSError:
            pass
        self._acceptor.join(5)
        listener.close()
        return True

    def _cut(self) -> None:
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            try:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # its thread was quicker

    def _accept(self, listener: socket.socket) -> None:
        while True:
            connection, (client, _) = listener.accept()
            if self._listener is not listener:
                connection.close()
                return
            threading.Thread(target=self._serve, args=(connection, client), daemon=True).start()

    def _serve(self, connection: socket.socket, client: str) -> None:
        with self._lock:
            self._connections.add(connection)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection.makefile("rb") as stream:
                self._talk(connection, stream, client)
        except Dropped:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        except ValueError as nonsense:
            self.crashes.append(f"unreadable request: {nonsense}")
            connection.sendall(Response(b"Bad Request", 400).head(closing=True) + b"Bad Request")
        except OSError:
            pass  # the client has gone, or was cut off
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()

    def _talk(self, connection: socket.socket, stream: BinaryIO, client: str) -> None:
        while (request := read_request(stream, client)) is not None:
            response = self._answer(request)
            closing = request.closes or response.must_close
            bare = request.verb == "HEAD" or response.status in (204, 304)
            if isinstance(response.body, bytes):
                connection.sendall(response.head(closing) + (b"" if bare else response.body))
            else:
                connection.sendall(response.head(closing))
                for piece in () if bare else response.body:
                    connection.sendall(piece)
            if closing:
                return

    def _answer(self, request: Request) -> Response:
        try:
            return self._application(request)
        except (Dropped, OSError):
            raise
        except Exception:  # noqa: BLE001 - a mistake of the emulator must fail the test that met it, see `crashes`
            self.crashes.append(traceback.format_exc())
            return Response(b"the emulator crashed", 500)


def wait_until(predicate: Callable[[], object], timeout: float = 5.0) -> bool:
    """Waits until something is true; False where time was up first."""
    deadline = time.monotonic() + timeout
    while not predicate():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


class Emulator:
    """Something real that listens on loopback while it is entered. `_answer` answers its requests.

    Leaving raises AssertionError where it met what it can't read, or went wrong itself.
    """

    _server: Loopback

    def __init__(self) -> None:
        self._server = Loopback(self._answer)

    def __enter__(self) -> Self:
        self._server.listen()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.close()
        assert not self._server.crashes, self._server.crashes[0]

    def go_down(self) -> None:
        """Refuses connections."""
        self._server.go_down()

    def come_up(self) -> None:
        """Listens again at the same address."""
        self._server.listen()

    def _answer(self, request: Request) -> Response:
        raise NotImplementedError
