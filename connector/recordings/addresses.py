"""Where a recording may be asked for: on the connection's recordings host, and on hosts that an admin has added.

`recfile` comes from outside and names what this machine shall ask, as does a redirect. All of this is pure; that none
of these hosts is a local one is seen to where the connection is made (`crm_adapters.http`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urljoin, urlsplit

from crm_adapters.addresses import address_parts

_WEB_ROOT = "/var/www/"
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?|[0-9a-f:.]+")
_UNFIT = re.compile(r"[\x00-\x20\x7f\\]")
_EVROTEL = (".sipiko.net", ".evro-tel.com.ua")
"""Evrotel's own domains: hosts there may speak plain http."""

Origin = tuple[str, str, int | None]
"""Scheme, host and port."""


@dataclass(frozen=True, kw_only=True)
class RecordingsHosts:
    """`base` is where paths lie; `others` are hosts as `parse_hosts` gives them."""

    base: str
    others: tuple[str, ...] = ()
    plain_http: bool = False
    """Whether the others may be spoken to without TLS, as in tests; Evrotel's own always may."""

    def address_of(self, recfile: str) -> str:
        """The address of a `recfile`: a path under `base`, a file path under /var/www, or an address on a host of ours.

        Raises ValueError for anything else: another host, scheme or port, a user name, a way up (`..`).
        """
        recfile = recfile.strip()
        if not recfile or len(recfile) > 2000 or "\\" in recfile or not recfile.isprintable():
            raise ValueError("not a path or address of a recording")
        if recfile.startswith("//"):
            raise ValueError("a recording's address without a scheme")
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", recfile):
            return self.permitted(recfile)
        path = recfile.removeprefix(_WEB_ROOT).lstrip("/")
        return self.permitted(self.base.rstrip("/") + "/" + quote(path, safe="/%:@!$&()*+,;=~"))

    def redirected(self, address: str, location: str) -> str:
        """Where a redirect from one of our addresses leads. Raises ValueError where it leads elsewhere."""
        return self.permitted(urljoin(address, location))

    def permitted(self, address: str) -> str:
        """The address without its fragment. Raises ValueError where it is on none of the hosts."""
        if _UNFIT.search(address):
            raise ValueError("a recording's address with spaces in it")
        there = urlsplit(address)
        if there.username is not None or there.password is not None:
            raise ValueError("a recording's address with a user name")
        origins = self._origins()
        if not there.hostname or there.hostname not in {host for _, host, _ in origins}:
            raise ValueError(
                "a recording on another host than evrotel_recordings_url and evrotel_recordings_hosts name"
            )
        if _origin(there.scheme, there.hostname, there.port) not in origins:
            raise ValueError("a recording at another scheme or port than the recordings host's")
        if _goes_up(there.path):
            raise ValueError("a recording's path that goes up")
        return there._replace(fragment="").geturl()

    def _origins(self) -> set[Origin]:
        here = urlsplit(self.base)
        origins = {_origin(here.scheme, here.hostname or "", here.port)}
        if (here.scheme, _port("http", here.port)) == ("http", 80):
            origins.add(("https", here.hostname or "", 443))  # the same host may move to https
        for entry in self.others:
            parts = urlsplit(entry if "://" in entry else f"//{entry}")
            host = parts.hostname or ""
            plain = self.plain_http or f".{host}".endswith(_EVROTEL)
            schemes = {parts.scheme} if parts.scheme else {"https", "http"}
            origins |= {_origin(scheme, host, parts.port) for scheme in schemes if scheme == "https" or plain}
        return origins


def parse_hosts(value: str) -> tuple[str, ...]:
    """Hosts such as `files.example.com`, `files.example.com:8443` or `https://files.example.com`, commas between.

    Raises ValueError that says what there should be.
    """
    entries = tuple(part.strip().removesuffix("/").lower() for part in value.split(",") if part.strip())
    for entry in entries:
        parts = address_parts(entry if "://" in entry else f"https://{entry}")
        named = _HOST.fullmatch(parts.hostname or "") and "@" not in parts.netloc
        bare = named and not (parts.path or parts.query or parts.fragment)
        if not bare or parts.scheme not in _DEFAULT_PORTS or _UNFIT.search(entry):
            raise ValueError("hosts such as files.example.com with commas between")
    return entries


def _origin(scheme: str, host: str, port: int | None) -> Origin:
    return scheme, host, _port(scheme, port)


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
