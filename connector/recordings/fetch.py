"""Fetching a recording from the PBX's host: only from that host, within limits, and only if it is audio.

`recfile` comes from outside and names what this machine shall ask for, so it is held to the connection's own
recordings host, redirects included, and the address filter of `crm_adapters.http` keeps that host from being local.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urljoin, urlsplit

import requests

from connector.recordings.links import EXTENSIONS, MPEG
from connector.recordings.wav import what_is_missing
from crm_adapters.http import BodyTooLarge, DeadlinePassed, ForbiddenAddress, guarded_session, iter_capped

MOST_BYTES = 100 * 1024 * 1024
FETCH_SECONDS = 120.0
MOST_REDIRECTS = 3

_WEB_ROOT = "/var/www/"
_DEFAULT_PORTS = {"http": 80, "https": 443}
_UNFIT = re.compile(r"[\x00-\x20\x7f\\]")


@dataclass(frozen=True, kw_only=True)
class Ready:
    """The file is here; `path` is absolute, `size` in bytes."""

    path: Path
    content_type: str
    size: int


@dataclass(frozen=True, kw_only=True)
class NotYet:
    """It could not be had now; it may be there later."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Impossible:
    """It will never be had from there."""

    reason: str


Outcome = Ready | NotYet | Impossible

MakeMP3 = Callable[[Path, Path], bool]
"""Writes the first file's sound into the second as MP3. False where it can't be decoded; raises OSError."""


def recording_address(recfile: str, base: str) -> str:
    """The address of a `recfile`: a path under `base`, a file path under /var/www, or an address on base's own host.

    Raises ValueError for anything else: another host, scheme or port, a user name, a way up (`..`).
    """
    recfile = recfile.strip()
    if not recfile or len(recfile) > 2000 or _UNFIT.search(recfile) or not recfile.isprintable():
        raise ValueError("not a path or address of a recording")
    if recfile.startswith("//"):
        raise ValueError("a recording's address without a scheme")
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", recfile):
        address = recfile
    else:
        path = recfile.removeprefix(_WEB_ROOT).lstrip("/")
        address = base.rstrip("/") + "/" + quote(path, safe="/%:@!$&()*+,;=~")
    return on_host_of(base, address)


def on_host_of(base: str, address: str) -> str:
    """The address without its fragment, where it lies on base's host. Raises ValueError where it does not."""
    here, there = urlsplit(base), urlsplit(address)
    if there.username is not None or there.password is not None:
        raise ValueError("a recording's address with a user name")
    if not there.hostname or there.hostname != here.hostname:
        raise ValueError("a recording on another host than the connection's evrotel_recordings_url")
    places = {(here.scheme, _port(here.scheme, here.port))}
    if ("http", 80) in places:
        places.add(("https", 443))  # the same host may move to https
    if (there.scheme, _port(there.scheme, there.port)) not in places:
        raise ValueError("a recording at another scheme or port than the connection's evrotel_recordings_url")
    if _goes_up(there.path):
        raise ValueError("a recording's path that goes up")
    return there._replace(fragment="").geturl()


def _port(scheme: str, port: int | None) -> int | None:
    return _DEFAULT_PORTS.get(scheme) if port is None else port


def _goes_up(path: str) -> bool:
    """Whether a part of the path is `..`, however often it was percent-encoded."""
    while True:
        if ".." in re.split(r"[/\\]", path):
            return True
        decoded = unquote(path)
        if decoded == path:
            return False
        path = decoded


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
    base: str,
    target: Path,
    *,
    allow_local: bool,
    seconds: float = FETCH_SECONDS,
    whole: bool = True,
    make_mp3: MakeMP3 | None = None,
) -> Outcome:
    """Brings a recording here as `target` plus the extension of its format. Never half an answer; raises nothing.

    With `whole` a WAV file that the PBX is still writing is NotYet; without it what there is counts. With `make_mp3`
    any other format becomes MP3, but for what can't be decoded: that is kept as it came.
    """
    give_up = time.monotonic() + seconds
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        address = recording_address(recfile, base)
        with (
            guarded_session(allow_local, plain_http=True) as session,
            _answer(session, address, base, give_up) as response,
        ):
            if response.status_code != 200:
                return NotYet(reason=f"the recordings host answered {response.status_code}")
            size = _download(response, part, give_up)
        return _keep(part, size, target, whole=whole, make_mp3=make_mp3)
    except (ForbiddenAddress, BodyTooLarge, ValueError) as error:
        return Impossible(reason=str(error))
    except (requests.RequestException, DeadlinePassed, OSError) as error:
        return NotYet(reason=f"{type(error).__name__}: {error}")
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _answer(session: requests.Session, address: str, base: str, give_up: float) -> Iterator[requests.Response]:
    """The answer after at most MOST_REDIRECTS redirects, each held to the same host. Raises requests' errors."""
    for _ in range(MOST_REDIRECTS + 1):
        left = give_up - time.monotonic()
        if left <= 0:
            raise requests.Timeout("no answer in time")
        response = session.get(
            address,
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
        address = _redirected(base, address, response.headers["Location"])
    raise requests.TooManyRedirects(f"more than {MOST_REDIRECTS} redirects")


def _redirected(base: str, address: str, location: str) -> str:
    try:
        return on_host_of(base, urljoin(address, location))
    except ValueError as error:  # the host may mend this, so it is asked again later
        raise requests.TooManyRedirects(f"redirected to {error}") from None


def _download(response: requests.Response, part: Path, give_up: float) -> int:
    """Writes the body until it is on the disk; how many bytes."""
    part.parent.mkdir(parents=True, exist_ok=True)
    with part.open("xb") as file:
        size = sum(file.write(piece) for piece in iter_capped(response, MOST_BYTES, give_up))
        file.flush()
        os.fsync(file.fileno())
    return size


def _keep(part: Path, size: int, target: Path, *, whole: bool, make_mp3: MakeMP3 | None) -> Outcome:
    """Moves what came to its place in one step, once it is whole, audio and, where it has to be, MP3."""
    with part.open("rb") as file:
        content_type = audio_type(file.read(12))
        missing = what_is_missing(file, size) if whole else None
    if content_type is None:
        return NotYet(reason=f"no audio came but {size} bytes of something else")
    if missing:
        return NotYet(reason=f"the file is still being written: {missing}")
    if make_mp3 is None or content_type == MPEG:
        return _placed(part, target, content_type)
    made = part.with_suffix(".mp3.part")  # nobody else's name: two who fetch the same recording don't meet
    try:
        return _placed(made, target, MPEG) if make_mp3(part, made) else _placed(part, target, content_type)
    finally:
        made.unlink(missing_ok=True)


def _placed(made: Path, target: Path, content_type: str) -> Ready:
    path = target.with_name(f"{target.name}.{EXTENSIONS[content_type]}")
    size = made.stat().st_size
    made.replace(path)
    return Ready(path=path, content_type=content_type, size=size)
