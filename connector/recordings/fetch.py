"""Asking the PBX's host for a recording: only that host, within limits, and only if it is audio."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from connector.recordings.addresses import RecordingsHosts
from connector.recordings.links import MPEG
from connector.recordings.wav import what_is_missing
from crm_adapters.http import BodyTooLarge, DeadlinePassed, ForbiddenAddress, guarded_session, iter_capped

MOST_BYTES = 100 * 1024 * 1024
FETCH_SECONDS = 120.0
MOST_REDIRECTS = 3
ANY_SIZE = -1
"""For a file that was seen to be settled before."""
GONE = frozenset({404, 410})


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """The file is at `path`; `size` in bytes."""

    path: Path
    content_type: str
    size: int


@dataclass(frozen=True, kw_only=True)
class NotYet:
    """It could not be had now; it may be there later. `size` is how much of a file that is half was there."""

    reason: str
    size: int | None = None


@dataclass(frozen=True, kw_only=True)
class Impossible:
    """It will never be had from there."""

    reason: str


Outcome = Fetched | NotYet | Impossible


def audio_type(head: bytes) -> str | None:
    """The content type that the first 12 bytes of a file tell, None where it is no audio we know.

    RIFF/WAVE: http://soundfile.sapp.org/doc/WaveFormat/; MP3: an ID3v2 tag (https://id3.org/id3v2.3.0) or a frame's
    sync word (11 bits set, layer III); Ogg: RFC 3533.
    """
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "audio/wav"
    if head[:4] == b"OggS":
        return "audio/ogg"
    if head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2):
        return MPEG
    return None


def fetch(
    recfile: str,
    hosts: RecordingsHosts,
    target: Path,
    *,
    allow_local: bool,
    seconds: float = FETCH_SECONDS,
    settled_size: int | None = None,
) -> Outcome:
    """Brings a recording here as `target`, which must not exist. Never half an answer; raises nothing.

    A WAV file that is half by its own header is NotYet, since the PBX may still be writing it, unless it has the
    `settled_size` of an earlier try, or that is ANY_SIZE.
    """
    outcome: Outcome
    try:
        outcome = _fetched(
            recfile, hosts, target, time.monotonic() + seconds, allow_local=allow_local, settled_size=settled_size
        )
    except (BodyTooLarge, ValueError) as error:
        outcome = Impossible(reason=str(error))
    except (requests.RequestException, DeadlinePassed, ForbiddenAddress, OSError) as error:
        # A name that leads to a local address was refused, and may lead elsewhere when it is looked up again.
        outcome = NotYet(reason=f"{type(error).__name__}: {error}")
    if not isinstance(outcome, Fetched):
        target.unlink(missing_ok=True)
    return outcome


def _fetched(
    recfile: str, hosts: RecordingsHosts, target: Path, give_up: float, *, allow_local: bool, settled_size: int | None
) -> Outcome:
    with asked(recfile, hosts, give_up, allow_local=allow_local) as response:
        if response.status_code != 200:
            return NotYet(reason=f"the recordings host answered {response.status_code}")
        size = _download(response, target, give_up)
    return _judged(target, size, settled_size)


@contextmanager
def asked(
    recfile: str, hosts: RecordingsHosts, give_up: float, *, allow_local: bool, part: str | None = None
) -> Iterator[requests.Response]:
    """The host's answer, its body still to be read, after at most MOST_REDIRECTS redirects, each held to the hosts.

    `part` is a Range header's value. Raises ForbiddenAddress, ValueError for an address of elsewhere, and requests'
    errors.
    """
    address = hosts.address_of(recfile)
    headers = {"Range": part} if part else {}
    with guarded_session(allow_local, plain_http=True) as session:
        for _ in range(MOST_REDIRECTS + 1):
            left = give_up - time.monotonic()
            if left <= 0:
                raise requests.Timeout("no answer in time")
            response = session.get(
                address,
                headers=headers,
                timeout=(min(5.0, left), min(20.0, left)),
                stream=True,
                allow_redirects=False,
            )
            if not response.is_redirect:
                try:
                    yield response
                finally:
                    response.close()
                return
            response.close()
            address = _redirected(hosts, address, response.headers["Location"])
    raise requests.TooManyRedirects(f"more than {MOST_REDIRECTS} redirects")


def _redirected(hosts: RecordingsHosts, address: str, location: str) -> str:
    try:
        return hosts.redirected(address, location)
    except ValueError as error:  # the host may mend this, so it is asked again later
        raise requests.TooManyRedirects(f"redirected to {error}") from None


def _download(response: requests.Response, target: Path, give_up: float) -> int:
    """Writes the body until it is on the disk; how many bytes."""
    with target.open("xb") as file:
        size = sum(file.write(piece) for piece in iter_capped(response, MOST_BYTES, give_up))
        file.flush()
        os.fsync(file.fileno())
    return size


def _judged(path: Path, size: int, settled_size: int | None) -> Outcome:
    with path.open("rb") as file:
        content_type = audio_type(file.read(12))
        missing = None if settled_size in {size, ANY_SIZE} else what_is_missing(file, size)
    if content_type is None:
        return NotYet(reason=f"no audio came but {size} bytes of something else")
    if missing:
        return NotYet(reason=f"the file is still being written: {missing}", size=size)
    return Fetched(path=path, content_type=content_type, size=size)
