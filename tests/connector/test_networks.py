"""Who asks: one for all spellings of an address, and for a whole network of IPv6."""

from __future__ import annotations

import pytest

from connector.networks import network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:50000", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("[2001:db8::2]:50000", "2001:db8::/64"),
        ("unknown", "?"),
        (None, "?"),
    ],
)
def test_an_address_has_one_name(address: str | None, network: str) -> None:
    assert network_of(address) == network
