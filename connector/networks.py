"""Who asks, as brakes on guessing count it."""

from __future__ import annotations

import ipaddress


def network_of(address: str | None) -> str:
    """The address, or its /64 network where it is IPv6: a customer holds a whole one. `?` where there is none."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return "?"
    return str(ipaddress.ip_network((parsed, 64), strict=False) if parsed.version == 6 else parsed)
