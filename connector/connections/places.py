"""Where a connection's settings may point: addresses that administrators set and the connector then asks."""

from __future__ import annotations

import ipaddress
import socket

from crm_adapters.addresses import address_parts
from crm_adapters.http import ForbiddenAddress, check_address, permit
from crm_adapters.settings import Field

_LOCAL = ("localhost", ".localhost", ".localdomain", ".local", ".internal", ".lan", ".home.arpa")


def check_place(field: Field, value: str, *, allow_local: bool) -> None:
    """Raises ValueError naming the key where an address is a local one, or not https, and may not be.

    A name that is not known now passes: it is looked at again at each connection (crm_adapters/http.py).
    """
    if not field.outside or not value or allow_local:
        return
    host = (address_parts(value).hostname or "").removesuffix(".")
    try:
        check_address(value, allow_local=False)
        if host == _LOCAL[0] or host.endswith(_LOCAL[1:]):
            raise ForbiddenAddress(f"{host} is not a public address")
        permit(_addresses(host), allow_local=False)
    except ForbiddenAddress as error:
        raise ValueError(
            f"{field.key} should be a public https address ({error}); ALLOW_LOCAL_ADDRESSES=1 permits others"
        ) from None


def _addresses(host: str) -> list[tuple[str, ...]]:
    try:
        return [(str(ipaddress.ip_address(host)),)]
    except ValueError:
        pass
    try:
        return [(str(found[4][0]),) for found in socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):
        return []
