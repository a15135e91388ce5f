"""Recordings that are not kept by us: asked from Evrotel each time somebody listens, and passed on as they come."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import requests
from sqlalchemy import Row

from connector.connections.store import Connection
from connector.deployment import Deployment
from connector.recordings.fetch import GONE, MOST_BYTES, asked, audio_type
from connector.recordings.links import hosts_of
from crm_adapters.http import BodyTooLarge, DeadlinePassed, ForbiddenAddress, iter_capped

LISTENING_SECONDS = 600.0
"""How long one answer may last: a player reads as slowly as it plays, and asks for the rest anew."""
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class GoneThere(OSError):
    """Evrotel has no such file any more."""


class Changed(OSError):
    """Evrotel has another file there by now, of `size` bytes."""

    def __init__(self, size: int) -> None:
        super().__init__("the recording has changed at the recordings host")
        self.size = size


class PassedOn:
    """The body of Evrotel's answer from the byte that was asked for, as a file that can be read and closed once."""

    def __init__(self, pieces: Iterator[bytes], closing: ExitStack) -> None:
        self._pieces, self._closing = pieces, closing
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, b"" at the end. Raises OSError where the host breaks off."""
        if not self._rest:
            try:
                self._rest = next(self._pieces, b"")
            except (requests.RequestException, DeadlinePassed, BodyTooLarge) as error:
                raise OSError(f"the recordings host broke off: {error}") from error
        taken = self._rest if size < 0 else self._rest[:size]
        self._rest = self._rest[len(taken) :]
        return taken

    def close(self) -> None:
        self._closing.close()


def pass_on(deployment: Deployment, connection: Connection, recording: Row[Any], begin: int, end: int) -> PassedOn:
    """The bytes from `begin` until before `end` of a recording, asked from Evrotel now.

    Raises GoneThere where it is there no more, Changed where it is another file by now, another OSError where it can't
    be had.
    """
    with ExitStack() as stack:
        stack.enter_context(listening(deployment))
        give_up = time.monotonic() + LISTENING_SECONDS
        part = f"bytes={begin}-{end - 1}" if (begin, end) != (0, recording.size) else None
        settings = deployment.settings
        try:
            response = stack.enter_context(
                asked(
                    recording.recfile,
                    hosts_of(settings, connection),
                    give_up,
                    allow_local=settings.allow_local_addresses,
                    part=part,
                )
            )
            offset = _offset(response, begin, recording.size)
            pieces = _cut(iter_capped(response, MOST_BYTES, give_up), begin - offset, end - begin)
            first = next(pieces, b"")
        except (requests.RequestException, DeadlinePassed, BodyTooLarge, ForbiddenAddress, ValueError) as error:
            raise OSError(f"the recordings host did not give it: {error}") from error
        if begin == 0 and len(first) >= 12 and audio_type(first[:12]) != recording.source_type:
            raise OSError("the recordings host gave something else")
        return PassedOn(_after(first, pieces), stack.pop_all())


@contextmanager
def listening(deployment: Deployment) -> Iterator[None]:
    """One of the places for answers that wait for Evrotel. Raises OSError where all are taken."""
    if not deployment.proxied.enter():
        raise OSError("too many listen to recordings that are not kept")
    try:
        yield
    finally:
        deployment.proxied.leave()


def _offset(response: requests.Response, begin: int, size: int) -> int:
    """Which byte of the file the answer begins with. Raises OSError where it is not the file that we know."""
    if response.status_code in GONE:
        raise GoneThere(f"the recordings host answered {response.status_code}")
    if response.status_code == 206:
        found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if not found or int(found[1]) != begin:
            raise OSError("the recordings host gave another part than the one asked for")
        _same_size(found[3], size)
        return begin
    if response.status_code != 200:
        raise OSError(f"the recordings host answered {response.status_code}")
    _same_size(response.headers.get("Content-Length", "*"), size)
    return 0


def _same_size(told: str, size: int) -> None:
    if told.isdecimal() and int(told) != size and 0 < int(told) <= MOST_BYTES:
        raise Changed(int(told))


def _cut(pieces: Iterator[bytes], skipped: int, wanted: int) -> Iterator[bytes]:
    """Leaves out the first bytes, of hosts that know no ranges, and all after the wanted ones."""
    for piece in pieces:
        rest = piece[skipped:]
        skipped -= len(piece) - len(rest)
        rest = rest[:wanted]
        wanted -= len(rest)
        if rest:
            yield rest
        if not wanted:
            return


def _after(first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from pieces
