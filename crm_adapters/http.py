"""HTTP to addresses that others chose: where it may go, how long it may take, how much may come, what of it is kept.

The filter looks at the very address that is connected to, after the only DNS look-up there is, so a name that changes
its address between a check and the connection ("DNS rebinding") gains nothing.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from http.cookiejar import DefaultCookiePolicy
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError, NewConnectionError

from crm_adapters.addresses import address_parts

CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0
HEAD_SECONDS = 30.0
"""How long a server may take for its status line and headers altogether, unless `patient_with_head` says longer."""
_longer_head: ContextVar[float] = ContextVar("longer_head", default=0.0)
PIECE = 1 << 16
KEPT_CHARACTERS = 2000

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are the IPv4 address that is reached
_TUNNELS = (  # what lies behind them is anybody's IPv4 address
    IPv6Network("64:ff9b:1::/48"),
    IPv6Network("2001::/32"),  # Teredo
    IPv6Network("2002::/16"),  # 6to4
)
_LONG_ENCODED = re.compile(r"[A-Za-z0-9+/]{400,}={0,2}")


class ForbiddenAddress(Exception):
    """The address is local, private or not https, and the deployment does not allow that."""


class BodyTooLarge(Exception):
    """More bytes than the caller takes."""


class DeadlinePassed(Exception):
    """The whole answer did not arrive in time."""


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet; what embeds another address is judged by that one."""
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is not None:
            return _is_public(ip.ipv4_mapped)
        if ip in _NAT64:
            return _is_public(IPv4Address(int(ip) & 0xFFFFFFFF))
        if any(ip in tunnel for tunnel in _TUNNELS) or ip.is_site_local:
            return False
    return _is_public(ip)


def _is_public(ip: IPv4Address | IPv6Address) -> bool:
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def check_address(url: str, *, allow_local: bool, plain_http: bool = False) -> None:
    """Raises ForbiddenAddress where the URL is neither https nor a permitted http one. Looks nothing up."""
    parts = address_parts(url)
    if not parts.hostname or parts.scheme not in ({"https", "http"} if allow_local or plain_http else {"https"}):
        raise ForbiddenAddress(f"{parts.scheme}://{parts.hostname} should be an https address")


def guarded_session(allow_local: bool, *, plain_http: bool = False) -> requests.Session:
    """A session for addresses from outside. Its requests raise ForbiddenAddress besides what `requests` raises.

    It reaches public addresses by https only, unless `allow_local`; `plain_http` permits http to public ones. It
    follows no redirect, keeps no cookie, ignores proxies and .netrc of the environment, asks for bodies as they are,
    and never waits for ever. Pass `stream=True` and read with `read_capped`.
    """
    return _Session(allow_local, plain_http)


def read_capped(response: requests.Response, most_bytes: int, deadline: float) -> bytes:
    """The whole body of a streamed response; `deadline` as of `time.monotonic()`.

    Raises BodyTooLarge, DeadlinePassed, and requests.RequestException where the body is packed or broken off.
    """
    return b"".join(iter_capped(response, most_bytes, deadline))


def iter_capped(response: requests.Response, most_bytes: int, deadline: float) -> Iterator[bytes]:
    """The same piece by piece."""
    if response.headers.get("Content-Encoding", "identity").lower() not in {"", "identity"}:
        response.close()
        raise requests.exceptions.ContentDecodingError("a packed body, which was not asked for")
    claimed = response.headers.get("Content-Length", "")
    expected = int(claimed) if claimed.isdecimal() and len(claimed) < 16 else None
    received = 0
    try:
        if expected is not None and expected > most_bytes:
            raise BodyTooLarge(f"{expected} bytes announced, at most {most_bytes} are taken")
        for piece in _pieces(response, deadline):
            received += len(piece)
            if received > most_bytes:
                raise BodyTooLarge(f"more than {most_bytes} bytes")
            yield piece
    finally:
        response.close()
    if expected is not None and received < expected:
        raise requests.ConnectionError(f"broken off after {received} of {expected} bytes")


def _pieces(response: requests.Response, deadline: float) -> Iterator[bytes]:
    """Whatever has arrived, at once: a read of a fixed size would wait for slow senders byte by byte."""
    with _alarm(deadline - time.monotonic(), lambda: _unblock(response)):
        while True:
            try:
                piece = response.raw.read1(PIECE, decode_content=False)
            except (HTTPError, OSError, ValueError) as error:
                if time.monotonic() >= deadline:
                    raise DeadlinePassed("the body did not arrive in time") from None
                raise requests.ConnectionError(f"the body broke off: {type(error).__name__}") from error
            if time.monotonic() >= deadline:
                raise DeadlinePassed("the body did not arrive in time")
            if not piece:
                return
            yield piece


def _unblock(response: requests.Response) -> None:
    try:
        response.raw.shutdown()
    except (OSError, ValueError, RuntimeError):
        pass  # already closed, so nobody reads


@contextmanager
def _alarm(seconds: float, ring: Callable[[], None]) -> Iterator[None]:
    """Rings in a thread of its own unless the block ends sooner: a socket's own time-out starts anew at each byte."""
    timer = threading.Timer(max(seconds, 0.0), ring)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def patient_with_head(seconds: float) -> Iterator[None]:
    """Within the block a server may take so many seconds to begin its answer."""
    before = _longer_head.set(seconds)
    try:
        yield
    finally:
        _longer_head.reset(before)


if TYPE_CHECKING:
    _Connection = HTTPConnection
else:
    _Connection = object  # a mixin for urllib3's two kinds of connection


class _Guarded(_Connection):
    """Looks the name up once and connects to a permitted one of the addresses found, or to none."""

    allow_local = False

    def _new_conn(self) -> socket.socket:
        timeout = self.timeout if isinstance(self.timeout, int | float) else CONNECT_SECONDS
        try:
            found = socket.getaddrinfo(self._dns_host.strip("[]"), self.port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            raise NameResolutionError(self.host, self, socket.gaierror(str(error))) from error
        permit([entry[4] for entry in found], self.allow_local)
        failure: OSError = OSError("no address found")
        for family, kind, protocol, _, address in found:
            try:
                return _connect(socket.socket(family, kind, protocol), address, timeout, self.socket_options or ())
            except OSError as error:
                failure = error
        if isinstance(failure, TimeoutError):
            raise ConnectTimeoutError(self, f"no connection to {self.host} within {timeout} s") from failure
        raise NewConnectionError(self, f"no connection: {failure}") from failure

    def getresponse(self) -> Any:  # urllib3's own annotation names a private class in some versions
        """The response's head, within HEAD_SECONDS in all."""
        with _alarm(max(HEAD_SECONDS, _longer_head.get()), self._cut):
            return super().getresponse()

    def _cut(self) -> None:
        try:
            if self.sock is not None:
                self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # already closed, so nobody waits


def _connect(
    made: socket.socket, address: Any, timeout: float, options: Iterable[tuple[int, int, int | bytes]]
) -> socket.socket:
    try:
        for option in options:
            made.setsockopt(*option)
        made.settimeout(timeout)
        made.connect(address)
    except BaseException:
        made.close()
        raise
    return made


def permit(addresses: Iterable[Any], allow_local: bool) -> None:
    """Raises ForbiddenAddress where one of the socket addresses is not public: a name that has both is a trap."""
    for address in addresses:
        if not allow_local and not is_public(str(address[0])):
            raise ForbiddenAddress(f"{address[0]} is not a public address")


class _HTTP(_Guarded, HTTPConnection):
    """http to public addresses."""


class _HTTPS(_Guarded, HTTPSConnection):
    """https to public addresses."""


class _LocalHTTP(_HTTP):
    allow_local = True


class _LocalHTTPS(_HTTPS):
    allow_local = True


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTP


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPS


class _LocalHTTPPool(HTTPConnectionPool):
    ConnectionCls = _LocalHTTP


class _LocalHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _LocalHTTPS


class _Adapter(HTTPAdapter):
    """The `requests` adapter whose connections are guarded."""

    def __init__(self, allow_local: bool) -> None:
        self._pools = (
            {"http": _LocalHTTPPool, "https": _LocalHTTPSPool}
            if allow_local
            else {"http": _HTTPPool, "https": _HTTPSPool}
        )
        super().__init__()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        self.poolmanager = PoolManager(num_pools=connections, maxsize=maxsize, block=block, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools


class _Session(requests.Session):
    def __init__(self, allow_local: bool, plain_http: bool) -> None:
        super().__init__()
        self._allow_local, self._plain_http = allow_local, plain_http
        self.trust_env = False
        self.headers["Accept-Encoding"] = "identity"
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("https://", "http://"):
            self.mount(scheme, _Adapter(allow_local))

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        check_address(request.url or "", allow_local=self._allow_local, plain_http=self._plain_http)
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = (CONNECT_SECONDS, READ_SECONDS)
        return super().send(request, **kwargs)

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - the name is requests'
        """None: a redirect is an answer for the caller to judge, never a way to another address."""
        return None


def mask(text: str, secrets: Iterable[str] = (), *, most: int = KEPT_CHARACTERS) -> str:
    """A text of a request or answer fit to be kept: without these secrets and without encoded files, shortened."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    text = _LONG_ENCODED.sub(lambda found: f"({len(found.group())} characters)", text)
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"
