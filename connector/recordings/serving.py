"""A recording as an HTTP answer: whole or a part of it, in constant memory, wherever it lies."""

from __future__ import annotations

import errno
import logging
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, cast

import phonenumbers
from flask import Response, request
from sqlalchemy import Row
from werkzeug.http import http_date
from werkzeug.wsgi import FileWrapper

from connector.connections.store import Connection
from connector.deployment import Deployment
from connector.models import RecordingState
from connector.recordings.files import as_served, bring_again
from connector.recordings.links import EXTENSIONS, MPEG
from connector.recordings.making import make_mp3, wanted_mp3
from connector.recordings.proxy import listening, pass_on
from connector.recordings.stores import incoming

log = logging.getLogger(__name__)

ON_DEMAND_SECONDS = 20.0
"""How long a request may wait for a file that another machine has."""
TURN_SECONDS = 20.0
"""How long a player may wait for others' MP3s to be made before it is asked to come again."""
MP3_SECONDS = 2.0
"""How long a request may wait for the worker that makes its MP3."""
_PIECE = 1 << 16
_FETCHING_AGAIN = [threading.Lock() for _ in range(64)]
_ONE_RANGE = re.compile(r"bytes=(\d+-\d*|-\d+)")


@dataclass(frozen=True, kw_only=True)
class Playable:
    """What is to be served; `open` gives the bytes from one place until before another. `etag` names these bytes."""

    content_type: str
    size: int
    etag: str
    open: Callable[[int, int], BinaryIO]
    close: Callable[[], None] = lambda: None
    """For answers without bytes: gives back what is held for them."""


class Later(Exception):
    """It is not there at the moment; `seconds` until it may be."""

    def __init__(self, seconds: int = 30) -> None:
        super().__init__(f"not before {seconds} s")
        self.seconds = seconds


class Nowhere(Exception):
    """There is no such recording, or none any more."""


def playable(deployment: Deployment, connection: Connection, recording: Row[Any], *, mp3: bool) -> Playable:
    """The recording as its row knows it, or as MP3. Raises Later, Nowhere, and OSError where it can't be had."""
    if recording.state == RecordingState.PENDING:
        raise Later
    if recording.state != RecordingState.READY:
        raise Nowhere
    as_mp3 = mp3 and recording.content_type != MPEG
    if recording.path is None:
        # Of rows from before its type was kept it is what it was served as.
        converted = as_mp3 or (recording.source_type or recording.content_type) != recording.content_type
        return (_converted if converted else _passed_on)(deployment, connection, recording)
    if not as_mp3 or recording.mp3_error:  # what can't be made into MP3 may play as it is, and can be saved
        return _kept_as_it_is(deployment, recording)
    return _kept_as_mp3(deployment, recording)


def answer(found: Playable, *, filename: str, created_at: datetime, attached: bool = False) -> Response:
    """The whole recording or the part that is asked for (RFC 9110, 14). Raises OSError where it can't be read."""
    _heed_only_a_plain_range(found, created_at)
    response = Response(mimetype=found.content_type)
    response.content_length = found.size
    response.set_etag(found.etag)
    response.last_modified = created_at
    response.headers.set("Content-Disposition", "attachment" if attached else "inline", filename=filename)
    opened = False
    try:
        response.make_conditional(request, accept_ranges=True, complete_length=found.size)
        if request.method == "GET" and response.status_code in {200, 206}:
            span = response.content_range
            begin, end = (span.start or 0, span.stop or 0) if response.status_code == 206 else (0, found.size)
            # Not the server's own wrapper, which knows no places: it would read a part's file from its beginning.
            response.response = FileWrapper(cast(BinaryIO, _Part(found.open(begin, end), end - begin)), _PIECE)
            response.content_length = end - begin
            opened = True
        elif response.status_code == 412:
            response.content_length = 0
    finally:
        if not opened:
            found.close()
    return response


def filename_of(connection: Connection, call: Any, content_type: str) -> str:
    """`2026-11-23 14-05 +380..1234.mp3`: in the connection's zone, the number masked as its setting says."""
    started_at = call.started_at.astimezone(connection.zone)
    number = call.client_number or ""
    if connection.get("recordings_mask_numbers") == "yes":
        number = masked(number)
    name = f"{started_at:%Y-%m-%d %H-%M} {number}".strip()
    return f"{name}.{EXTENSIONS[content_type]}"


def masked(number: str) -> str:
    """The country and the last four digits of a number: `+380..1234`; short ones are left alone."""
    try:
        country = f"+{phonenumbers.parse(number).country_code}"
    except phonenumbers.NumberParseException:
        country = ""
    return f"{country}..{number[-4:]}" if len(number) > 6 else number


class _Part:
    """So many bytes of a file and no more."""

    def __init__(self, file: BinaryIO, length: int) -> None:
        self._file, self._left = file, length

    def read(self, size: int = -1) -> bytes:
        if not self._left:
            return b""
        try:
            piece = self._file.read(self._left if size < 0 else min(size, self._left))
        except OSError as error:
            raise _cut(error) from error
        self._left -= len(piece)
        if not piece:
            raise _cut("the recording is shorter than it was")
        return piece

    def close(self) -> None:
        self._file.close()


def _cut(why: object) -> ConnectionResetError:
    """Has the server cut the connection, the only sign that a begun answer breaks off; this error it does not log."""
    log.warning("a recording's answer broke off: %s", why)
    return ConnectionResetError(errno.ECONNRESET, f"broke off: {why}")


def _kept_as_it_is(deployment: Deployment, recording: Row[Any]) -> Playable:
    def again() -> int:
        return bring_again(deployment, recording, ON_DEMAND_SECONDS, TURN_SECONDS)

    return Playable(
        content_type=recording.content_type,
        size=recording.size,
        etag=f"{recording.call_id}-{recording.size}",
        open=lambda begin, end: _opened(deployment, recording.path, recording.size, again, begin, end),
    )


def _kept_as_mp3(deployment: Deployment, recording: Row[Any]) -> Playable:
    """The MP3 beside a kept recording, made by a worker when it is first asked for."""
    row = recording if recording.mp3_path else wanted_mp3(deployment, recording.call_id, MP3_SECONDS)
    if row is None:
        raise Later(3)
    if row.state != RecordingState.READY:
        raise Nowhere
    if row.mp3_path is None:
        return _kept_as_it_is(deployment, row)

    def again() -> int | None:
        return make_mp3(deployment, row, ON_DEMAND_SECONDS, TURN_SECONDS)

    return Playable(
        content_type=MPEG,
        size=row.mp3_size,
        etag=f"{row.call_id}-mp3-{row.mp3_size}",
        open=lambda begin, end: _opened(deployment, row.mp3_path, row.mp3_size, again, begin, end),
    )


def _opened(  # noqa: PLR0917 - a file, how to make it anew, and the part
    deployment: Deployment, key: str, size: int, again: Callable[[], int | None], begin: int, end: int
) -> BinaryIO:
    """A part of a kept file, which is made `again` where a disk was lost or it is another machine's."""
    try:
        return deployment.store.open(key, begin, end)
    except FileNotFoundError:
        pass
    with _FETCHING_AGAIN[hash(key) % len(_FETCHING_AGAIN)]:
        try:  # a player asks for several parts at once: perhaps another thread has just made it
            return deployment.store.open(key, begin, end)
        except FileNotFoundError:
            made = again()
    if made != size:
        raise OSError("the recording is of another size than before")
    return deployment.store.open(key, begin, end)


def _passed_on(deployment: Deployment, connection: Connection, recording: Row[Any]) -> Playable:
    return Playable(
        content_type=recording.content_type,
        size=recording.size,
        etag=f"{recording.call_id}-{recording.size}",
        open=lambda begin, end: cast(BinaryIO, pass_on(deployment, connection, recording, begin, end)),
    )


def _converted(deployment: Deployment, connection: Connection, recording: Row[Any]) -> Playable:
    """Fetched and made into MP3 for this one answer, since nothing of it may be kept."""
    with listening(deployment), incoming(deployment.store, recording.call_id) as folder:
        made = as_served(
            deployment,
            connection,
            recording,
            folder,
            seconds=ON_DEMAND_SECONDS,
            patience=TURN_SECONDS,
            content_type=MPEG,
        )
        file = made.path.open("rb")  # lives on without its name

    def opened(begin: int, _: int) -> BinaryIO:
        file.seek(begin)
        return file

    return Playable(
        content_type=MPEG,
        size=made.size,
        etag=f"{recording.call_id}-mp3-{made.size}",
        open=opened,
        close=file.close,
    )


def _heed_only_a_plain_range(found: Playable, modified_at: datetime) -> None:
    """RFC 9110, 13 and 14: a range that is malformed, or not of a GET, is ignored; several may be; the last N bytes of
    fewer are all of them; If-Range vouches by the very tag or date alone; who has the whole is told so. Werkzeug does
    otherwise in each of these.
    """
    asked = _ONE_RANGE.fullmatch(request.headers.get("Range", "").strip())
    if_range = request.headers.get("If-Range", "").strip()
    same = if_range in {"", f'"{found.etag}"', http_date(modified_at)}
    if request.method != "GET" or not asked or not same or request.if_none_match.contains_weak(found.etag):
        request.environ.pop("HTTP_RANGE", None)
    elif asked[1].startswith("-") and int(asked[1][1:]) > found.size:
        request.environ["HTTP_RANGE"] = "bytes=0-"
