"""Addresses as people and other systems write them: read, or known as none; never an exception."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_adapters.addresses import address_parts, is_web_address


@pytest.mark.parametrize(
    "address", ["http://host", "https://host:8443/path/", "http://127.0.0.1:8000", "http://[::1]:8000"]
)
def test_web_addresses(address: str) -> None:
    assert is_web_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "host",
        "ftp://host",
        "http://",
        "http://[bad",
        "http://host:99999",
        "http://host:port",
        "http://ho st",
        "http://host/\n",
        "http://user@host",
        "http://@host",
        "http://host/?a=1",
        "http://host/?",
        "http://host/#",
        "http://хост",
    ],
)
def test_what_is_none(address: str) -> None:
    assert not is_web_address(address)


@given(st.text() | st.text().map("http://[{}".format) | st.text().map("https://host:{}".format))
def test_anything_can_be_asked(address: str) -> None:
    parts = address_parts(address)
    assert parts.port is None or 0 <= parts.port <= 65535
    assert is_web_address(address) in {True, False}
