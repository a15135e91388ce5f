"""The host that call events point to with `recfile`."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.emulators.evrotel.sounds import wav
from tests.emulators.http import Emulator, Request, Response

NOT_FOUND = b"<html><head><title>404 Not Found</title></head><body><center>nginx</center></body></html>"
SIGN_IN = b"<!DOCTYPE html><html><body><form>Sign in</form></body></html>"


@dataclass
class Recorded:
    """One path of the recordings host and how it behaves."""

    content: bytes = b""
    status: int = 200
    content_type: str = "audio/x-wav"
    ready_at: float = 0.0
    absent_requests: int = 0
    drip_seconds: float = 0.0
    redirect: str | None = None
    length: int | None = None
    size: int | None = None
    asked: int = 0

    def response(self) -> Response:
        """What this path answers now."""
        self.asked += 1
        if time.monotonic() < self.ready_at or self.asked <= self.absent_requests:
            return Response(NOT_FOUND, 404, "text/html")
        if self.redirect is not None:
            return Response(status=302, headers={"Location": self.redirect})
        if self.drip_seconds or self.size is not None:
            return Response(self._pieces(), self.status, self.content_type, length=self.size or len(self.content))
        return Response(self.content, self.status, self.content_type, length=self.length)

    def _pieces(self) -> Iterator[bytes]:
        if self.size is not None:
            yield self.content
            for begin in range(len(self.content), self.size, 65536):
                yield bytes(min(65536, self.size - begin))
            return
        for byte in self.content:
            yield bytes([byte])
            time.sleep(self.drip_seconds)


class Asked(NamedTuple):
    """A request to the recordings host."""

    time: float
    verb: str
    path: str
    headers: dict[str, str]


class Recordings(Emulator):
    """The host that call events point to with `recfile`."""

    def __init__(self) -> None:
        super().__init__()
        self._files: dict[str, Recorded] = {}
        self.requests: list[Asked] = []
        self.knows_ranges = False

    @property
    def url(self) -> str:
        """The base for `recfile` paths."""
        return f"{self._server.url}/"

    def address(self, path: str) -> str:
        """A path's full address."""
        return self._server.url + path

    def add(
        self, path: str, content: bytes | None = None, *, ready_after: float = 0.0, absent_requests: int = 0
    ) -> bytes:
        """A recording, if wanted only after some seconds or some requests that meet 404; gives back its bytes."""
        content = wav() if content is None else content
        ready_at = time.monotonic() + ready_after if ready_after else 0.0
        self._files[path] = Recorded(content, ready_at=ready_at, absent_requests=absent_requests)
        return content

    def html(self, path: str) -> None:
        """A page with status 200 where a recording should be."""
        self._files[path] = Recorded(SIGN_IN, content_type="text/html")

    def error(self, path: str, status: int = 500) -> None:
        """An error."""
        self._files[path] = Recorded(b"error", status, "text/html")

    def drip(self, path: str, seconds_per_byte: float, content: bytes | None = None) -> None:
        """A recording that comes byte by byte."""
        self._files[path] = Recorded(wav() if content is None else content, drip_seconds=seconds_per_byte)

    def redirect(self, path: str, to: str) -> None:
        """A 302 to anywhere."""
        self._files[path] = Recorded(redirect=to)

    def huge(self, path: str, size: int) -> None:
        """A recording of that many bytes, true to its Content-Length."""
        self._files[path] = Recorded(wav(), size=size)

    def lying(self, path: str, claimed: int) -> None:
        """A recording whose Content-Length is wrong; where it claims more, the connection ends early."""
        self._files[path] = Recorded(wav(), length=claimed)

    def remove(self, path: str) -> None:
        """404 again."""
        self._files.pop(path, None)

    def request_count(self, path: str | None = None) -> int:
        """Requests, all or for one path."""
        return sum(path in (None, each.path) for each in self.requests)

    def _answer(self, request: Request) -> Response:
        self.requests.append(Asked(time.monotonic(), request.verb, request.path, dict(request.headers.items())))
        known = self._files.get(request.path)
        response = known.response() if known else Response(NOT_FOUND, 404, "text/html")
        return self._part(response, request.headers.get("Range", "")) if self.knows_ranges else response

    @staticmethod
    def _part(response: Response, wanted: str) -> Response:
        """What nginx answers to `Range: bytes=FIRST-LAST`."""
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", wanted)
        if response.status != 200 or not found or not isinstance(response.body, bytes):
            return response
        begin, end = int(found[1]), min(int(found[2]) + 1, len(response.body))
        span = {"Content-Range": f"bytes {begin}-{end - 1}/{len(response.body)}"}
        return Response(response.body[begin:end], 206, response.content_type, headers=span)
