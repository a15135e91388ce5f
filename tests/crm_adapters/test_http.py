"""What guards requests to addresses that others chose."""

from __future__ import annotations

import asyncio
import gzip
import socket
import time
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from crm_adapters.http import (
    BodyTooLarge,
    DeadlinePassed,
    ForbiddenAddress,
    guarded_session,
    is_public,
    mask,
    read_capped,
)
from crm_adapters.http_async import guarded_connector
from tests.emulators.http import Loopback, Request, Response


class Site:
    """A server on loopback that answers with what a test wants and counts whom it served."""

    def __init__(self) -> None:
        self.response = Response(b"hello")
        self.requests: list[Request] = []
        self.server = Loopback(self._answer)

    def _answer(self, request: Request) -> Response:
        self.requests.append(request)
        return self.response


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    with made.server:
        yield made


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "0.0.0.0",
        "0.1.2.3",
        "10.1.2.3",
        "100.64.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.1.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2001::1",
        "fe80::1%eth0",
        "fec0::1",
        "fc00::1",
        "ff02::1",
    ],
)
def test_addresses_that_are_not_of_the_open_internet_are_refused(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_pass(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses())
def test_any_address_is_judged(address: Any) -> None:
    assert is_public(str(address)) in (True, False)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.0.0.1", "0", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_no_spelling_of_loopback_is_reached(site: Site, host: str) -> None:
    with guarded_session(False, plain_http=True) as session, pytest.raises(ForbiddenAddress):
        session.get(f"http://{host}:{site.server.port}/")
    with guarded_session(False) as session, pytest.raises(ForbiddenAddress):
        session.get(f"https://{host}:{site.server.port}/")
    assert site.requests == []


def test_a_name_that_changes_its_address_gains_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["8.8.8.8", "127.0.0.1", "127.0.0.1"])
    asked: list[str] = []

    def rebinding(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    connected: list[Any] = []
    monkeypatch.setattr(socket, "getaddrinfo", rebinding)

    def refuse(_: socket.socket, address: Any) -> None:
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with guarded_session(False, plain_http=True) as session:
        with pytest.raises(requests.ConnectionError):
            session.get(f"http://rebinding.example:{site.server.port}/")
        with pytest.raises(ForbiddenAddress):
            session.get(f"http://rebinding.example:{site.server.port}/")
    assert asked == ["rebinding.example"] * 2
    assert connected == [("8.8.8.8", site.server.port)]


def test_a_name_with_a_public_and_a_local_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 443)) for host in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    with guarded_session(False) as session, pytest.raises(ForbiddenAddress):
        session.get("https://both.example/")


def test_plain_http_is_refused_unless_permitted(site: Site) -> None:
    with guarded_session(False) as session, pytest.raises(ForbiddenAddress):
        session.get("http://example.com/")
    with guarded_session(True) as session:
        assert session.get(f"{site.server.url}/").text == "hello"


def test_redirects_are_not_followed_nor_are_proxies_and_cookies_used(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    site.response = Response(status=302, headers={"Location": "http://169.254.169.254/", "Set-Cookie": "a=b"})
    with guarded_session(True) as session:
        assert [session.get(site.server.url).status_code for _ in range(2)] == [302, 302]
    assert all(request.headers.get("Cookie") is None for request in site.requests)
    assert site.requests[0].headers.get("Accept-Encoding") == "identity"


def read(site: Site, most_bytes: int = 1000, seconds: float = 5.0) -> bytes:
    with guarded_session(True) as session, session.get(site.server.url, stream=True) as response:
        return read_capped(response, most_bytes, time.monotonic() + seconds)


def test_a_body_is_read_whole(site: Site) -> None:
    site.response = Response(b"x" * 1000)
    assert read(site) == b"x" * 1000
    site.response = Response(iter([b"in ", b"pieces"]))
    assert read(site) == b"in pieces"


def test_a_body_that_is_too_large_is_refused_announced_or_not(site: Site) -> None:
    site.response = Response(b"x" * 1001)
    with pytest.raises(BodyTooLarge):
        read(site)
    site.response = Response(b"x" * 600 for _ in range(1000))
    with pytest.raises(BodyTooLarge):
        read(site)


def test_a_packed_body_is_not_unpacked(site: Site) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    site.response = Response(bomb, headers={"Content-Encoding": "gzip"})
    with pytest.raises(requests.RequestException):
        read(site, most_bytes=10**8)


def test_a_body_that_breaks_off_is_no_body(site: Site) -> None:
    site.response = Response(b"half", length=1000)
    with pytest.raises(requests.ConnectionError):
        read(site)


def drip(seconds: float) -> Iterator[bytes]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        yield b"x"
        time.sleep(0.05)


def test_a_dripping_body_is_cut_at_the_deadline(site: Site) -> None:
    site.response = Response(drip(5))
    began = time.monotonic()
    with pytest.raises(DeadlinePassed):
        read(site, most_bytes=10**6, seconds=0.4)
    assert time.monotonic() - began < 2.5


def test_a_silent_server_is_left_at_the_deadline(site: Site) -> None:
    def silent() -> Iterator[bytes]:
        yield b"x"
        time.sleep(4)

    site.response = Response(silent())
    began = time.monotonic()
    with pytest.raises(DeadlinePassed):
        read(site, seconds=0.3)
    assert time.monotonic() - began < 2.5


def test_dripping_headers_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crm_adapters.http.HEAD_SECONDS", 0.4)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with guarded_session(True) as session:
            began = time.monotonic()
            with pytest.raises(requests.ConnectionError):
                session.get(f"http://127.0.0.1:{port}/", timeout=3)  # accepted by the system, answered by nobody
    assert time.monotonic() - began < 2.5


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::1]"])
def test_aiohttp_is_guarded_too(site: Site, host: str) -> None:
    async def ask(allow_local: bool) -> str:
        async with (
            aiohttp.ClientSession(connector=guarded_connector(allow_local)) as session,
            session.get(f"http://{host}:{site.server.port}/") as response,
        ):
            return await response.text()

    with pytest.raises((ForbiddenAddress, aiohttp.InvalidURL)):  # newer versions refuse decimal spellings themselves
        asyncio.run(ask(False))
    assert site.requests == []
    if host == "127.0.0.1":
        assert asyncio.run(ask(True)) == "hello"


def test_what_is_kept_has_no_secrets_and_no_files() -> None:
    text = mask(f"auth=abc123&file={'QUJD' * 200}", ["abc123", ""])
    assert text == "auth=***&file=(800 characters)"
    assert len(mask("слово " * 1000, most=100)) < 150
