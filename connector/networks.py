"""Who asks, as brakes on guessing count it."""

from __future__ import annotations

import ipaddress
from contextlib import suppress


def network_of(address: str | None) -> str:
    """The address, or its /64 network where it is IPv6: a customer holds a whole one. `?` where there is none."""
    parsed = _parsed(address or "")
    if parsed is None:
        return "?"
    if parsed.version == 6 and parsed.ipv4_mapped:  # so a socket for both kinds names IPv4 addresses
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False) if parsed.version == 6 else parsed)


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address, which some proxies name with a port: 192.0.2.1:50000, [2001:db8::1]:50000."""
    for text in (address, address.rpartition(":")[0].strip("[]")):
        with suppress(ValueError):
            return ipaddress.ip_address(text)
    return None
