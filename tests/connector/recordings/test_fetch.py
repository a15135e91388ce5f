"""A recording is fetched from its own host, whole, and only if it is audio."""

from __future__ import annotations

import time
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.recordings import fetch as fetching
from connector.recordings.addresses import RecordingsHosts, parse_hosts
from connector.recordings.fetch import Fetched, Impossible, NotYet, Outcome, audio_type
from connector.recordings.wav import what_is_missing
from tests.emulators.evrotel import Recordings, wav

BASE = "http://m01.sipiko.net/"
PATH = "/wav/9/2018-04-01/1522566805.1461640-1198614775.wav"


def hosts(base: str = BASE, *others: str, plain_http: bool = False) -> RecordingsHosts:
    return RecordingsHosts(base=base, others=others, plain_http=plain_http)


def fetch(recfile: str, base: str, target: Path, *, allow_local: bool = True, **options: Any) -> Outcome:
    return fetching.fetch(recfile, hosts(base), target, allow_local=allow_local, **options)


@pytest.mark.parametrize(
    ("recfile", "address"),
    [
        (PATH, f"http://m01.sipiko.net{PATH}"),
        (PATH.lstrip("/"), f"http://m01.sipiko.net{PATH}"),
        (f"/var/www{PATH}", f"http://m01.sipiko.net{PATH}"),
        (f"/var/www/html{PATH}", f"http://m01.sipiko.net/html{PATH}"),
        ("/var/wwwx/a.wav", "http://m01.sipiko.net/var/wwwx/a.wav"),
        (f"http://m01.sipiko.net{PATH}", f"http://m01.sipiko.net{PATH}"),
        (f"HTTP://M01.sipiko.net:80{PATH}#part", f"http://M01.sipiko.net:80{PATH}"),
        (f"https://m01.sipiko.net{PATH}", f"https://m01.sipiko.net{PATH}"),
        ("/wav/a?b.wav", "http://m01.sipiko.net/wav/a%3Fb.wav"),
        ("/wav/a b.wav", "http://m01.sipiko.net/wav/a%20b.wav"),
        ("/wav/запис.wav", "http://m01.sipiko.net/wav/%D0%B7%D0%B0%D0%BF%D0%B8%D1%81.wav"),
    ],
)
def test_paths_and_addresses_lead_to_the_recordings_host(recfile: str, address: str) -> None:
    assert hosts().address_of(recfile) == address


@pytest.mark.parametrize(
    "recfile",
    [
        "",
        "http://evil.example/a.wav",
        "http://m01.sipiko.net.evil.example/a.wav",
        "http://m01.sipiko.net@evil.example/a.wav",
        "http://user:pass@m01.sipiko.net/a.wav",
        "http://m01.sipiko.net:8080/a.wav",
        "http://m01.sipiko.net:99999/a.wav",
        "ftp://m01.sipiko.net/a.wav",
        "file:///etc/passwd",
        "//evil.example/a.wav",
        "/wav/../../etc/passwd",
        "/wav/%2e%2e/a.wav",
        "/wav/%252e%252e/a.wav",
        "/wav/..%5ca.wav",
        "\\\\evil.example\\a.wav",
        "/wav/a.wav\r\nHost: evil.example",
        "http://m01.sipiko.net/wav/a b.wav",
        "/" + "a" * 3000,
    ],
)
def test_what_leads_elsewhere_is_refused(recfile: str) -> None:
    with pytest.raises(ValueError, match=r"record|[Pp]ort|URL"):
        hosts().address_of(recfile)


@given(st.text(max_size=60) | st.from_regex(r"(https?:)?/{0,3}[a-z.@:/%\\]{0,40}", fullmatch=True))
def test_whatever_comes_stays_on_the_host(recfile: str) -> None:
    try:
        address = hosts("http://m01.sipiko.net/base/").address_of(recfile)
    except ValueError:
        return
    parts = urlsplit(address)
    assert parts.hostname == "m01.sipiko.net"
    assert parts.port in {None, 80, 443}
    assert parts.username is None
    assert ".." not in unquote(parts.path).split("/")


@given(st.binary(max_size=12))
def test_any_bytes_have_a_type_or_none(head: bytes) -> None:
    assert audio_type(head) in {None, "audio/wav", "audio/mpeg", "audio/ogg"}


@pytest.mark.parametrize(
    ("head", "content_type"),
    [
        (b"RIFF\x24\x00\x00\x00WAVE", "audio/wav"),
        (b"RIFF\x24\x00\x00\x00AVI ", None),
        (b"ID3\x04", "audio/mpeg"),
        (b"\xff\xfb\x90\x00", "audio/mpeg"),
        (b"\xff\xfe<\x00h\x00", None),
        (b"OggS\x00", "audio/ogg"),
        (b"<!DOCTYPE html>", None),
        (b"", None),
    ],
)
def test_audio_is_known_by_its_first_bytes(head: bytes, content_type: str | None) -> None:
    assert audio_type(head) == content_type


def test_a_recording_is_kept_whole(host: Recordings, tmp_path: Path) -> None:
    content = host.add(PATH)
    outcome = fetch(f"/var/www{PATH}", host.url, tmp_path / "call")
    assert outcome == Fetched(path=tmp_path / "call", content_type="audio/wav", size=len(content))
    assert (tmp_path / "call").read_bytes() == content
    assert host.requests[0].headers["Accept-Encoding"] == "identity"


def test_the_format_is_what_the_file_is_not_what_it_is_called(host: Recordings, tmp_path: Path) -> None:
    host.add(PATH, b"ID3\x04" + bytes(100))
    outcome = fetch(PATH, host.url, tmp_path / "call")
    assert outcome == Fetched(path=tmp_path / "call", content_type="audio/mpeg", size=104)


@pytest.mark.parametrize("trouble", ["absent", "html", "error", "broken off", "down", "empty"])
def test_what_may_come_later_is_not_yet_there_and_leaves_nothing(
    trouble: str, host: Recordings, tmp_path: Path
) -> None:
    makers = {
        "html": lambda: host.html(PATH),
        "error": lambda: host.error(PATH, 500),
        "broken off": lambda: host.lying(PATH, len(wav()) + 1000),
        "empty": lambda: host.add(PATH, b""),
        "down": host.go_down,
    }
    makers.get(trouble, lambda: None)()
    assert isinstance(fetch(PATH, host.url, tmp_path / "call"), NotYet)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", [44, 1000, len(wav()) - 1])
def test_a_file_that_is_still_being_written_is_not_yet_there(host: Recordings, tmp_path: Path, there: int) -> None:
    """Evrotel serves a file as soon as it begins to write it: half of it would be attached for good."""
    host.add(PATH, wav()[:there])
    outcome = fetch(PATH, host.url, tmp_path / "a")
    assert isinstance(outcome, NotYet)
    assert "still being written" in outcome.reason
    assert list(tmp_path.iterdir()) == []
    assert isinstance(fetch(PATH, host.url, tmp_path / "a", settled_size=there), Fetched)


@pytest.mark.parametrize("sizes", [(0, 0), (len(wav()) - 8, 0)])
def test_a_header_without_its_sizes_is_of_a_file_that_is_still_open(sizes: tuple[int, int]) -> None:
    content = bytearray(wav())
    content[4:8], content[40:44] = (size.to_bytes(4, "little") for size in sizes)
    assert what_is_missing(BytesIO(content), len(content))


def test_a_size_that_was_never_known_is_no_half_file() -> None:
    content = bytearray(wav())
    content[4:8] = content[40:44] = b"\xff" * 4
    assert what_is_missing(BytesIO(content), len(content)) is None


@given(st.binary(max_size=200), st.integers(0, 300))
def test_any_bytes_are_whole_or_not(tail: bytes, size: int) -> None:
    for content in (tail, b"RIFF" + tail[:4] + b"WAVE" + tail[4:]):
        assert what_is_missing(BytesIO(content), size) is None or content.startswith(b"RIFF")


def test_a_drip_ends_at_the_deadline(host: Recordings, tmp_path: Path) -> None:
    host.drip(PATH, 0.05)
    begun = time.monotonic()
    assert isinstance(fetch(PATH, host.url, tmp_path / "call", seconds=0.5), NotYet)
    assert time.monotonic() - begun < 3


def test_a_huge_file_is_never_taken(host: Recordings, tmp_path: Path) -> None:
    host.huge(PATH, fetching.MOST_BYTES + 1)
    assert isinstance(fetch(PATH, host.url, tmp_path / "call"), Impossible)
    assert list(tmp_path.iterdir()) == []


def test_redirects_are_followed_on_the_host_only(host: Recordings, tmp_path: Path) -> None:
    content = host.add(PATH)
    for step in range(3):
        host.redirect(f"/r{step}", f"/r{step + 1}" if step < 2 else host.address(PATH))
    host.redirect("/round", "/round")
    with Recordings() as other:
        other.add(PATH)
        host.redirect("/away", other.address(PATH))
        found = fetch("/r0", host.url, tmp_path / "call")
        assert isinstance(found, Fetched)
        assert found.path.read_bytes() == content
        assert isinstance(fetch("/round", host.url, tmp_path / "other"), NotYet)
        assert isinstance(fetch("/away", host.url, tmp_path / "other"), NotYet)
        assert other.requests == []


@pytest.mark.parametrize(
    ("entry", "plain_http", "address"),
    [
        ("files.example.com", False, "https://files.example.com/a.wav"),
        ("files.example.com:8443", False, "https://files.example.com:8443/a.wav"),
        ("https://FILES.example.com/", False, "https://files.example.com/a.wav"),
        ("m02.sipiko.net", False, "http://m02.sipiko.net/a.wav"),
        ("127.0.0.1:8123", True, "http://127.0.0.1:8123/a.wav"),
    ],
)
def test_hosts_that_an_admin_adds_may_be_asked(entry: str, plain_http: bool, address: str) -> None:
    others = parse_hosts(entry)
    assert hosts(BASE, *others, plain_http=plain_http).address_of(address) == address
    assert hosts(BASE, *others).redirected(f"{BASE}a.wav", "b.wav") == f"{BASE}b.wav"


@pytest.mark.parametrize(
    "address",
    [
        "http://files.example.com/a.wav",  # only Evrotel's own hosts may speak plain http
        "https://files.example.com:444/a.wav",
        "https://x.files.example.com/a.wav",
        "https://files.example.com.evil.example/a.wav",
        "https://notsipiko.net/a.wav",
        "http://notsipiko.net/a.wav",
    ],
)
def test_hosts_near_an_added_one_may_not(address: str) -> None:
    with pytest.raises(ValueError, match="recording"):
        hosts(BASE, "files.example.com", "notsipiko.net:8080").address_of(address)


@pytest.mark.parametrize(
    "value", ["a b", "*", "*.example.com", "ftp://x", "https://x/path", "user@host", "x:port", "https://", "x?y"]
)
def test_what_is_no_host_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="hosts such as"):
        parse_hosts(value)


def test_a_redirect_may_lead_to_an_added_host(host: Recordings, tmp_path: Path) -> None:
    with Recordings() as other:
        content = other.add(PATH)
        host.redirect("/away", other.address(PATH))
        both = hosts(host.url, other.url.removeprefix("http://").rstrip("/"), plain_http=True)
        found = fetching.fetch("/away", both, tmp_path / "call", allow_local=True)
        assert isinstance(found, Fetched)
        assert found.path.read_bytes() == content


def test_a_local_host_is_never_asked_where_that_is_forbidden(host: Recordings, tmp_path: Path) -> None:
    host.add(PATH)
    assert isinstance(fetch(PATH, host.url, tmp_path / "call", allow_local=False), NotYet)
    assert isinstance(fetch("http://evil.example/a.wav", host.url, tmp_path / "call"), Impossible)
    assert host.requests == []
