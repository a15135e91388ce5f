"""The address filter for aiohttp, apart from `crm_adapters.http`: few need this library, all would pay its memory."""

from __future__ import annotations

import socket
from typing import Any

import aiohttp

from crm_adapters.http import permit


def guarded_connector(allow_local: bool, **options: Any) -> aiohttp.TCPConnector:
    """aiohttp's connector with the same filter; to be made inside the running loop."""

    def make(found: Any) -> socket.socket:
        family, kind, protocol, _, address = found
        permit([address], allow_local)
        return socket.socket(family, kind, protocol)

    return aiohttp.TCPConnector(socket_factory=make, **options)
