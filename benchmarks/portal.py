"""A Bitrix24 portal that notes how long it took, and the connector's application installed in it."""

from __future__ import annotations

import re
import time
import urllib.request
from collections import defaultdict
from urllib.parse import urlencode

from benchmarks.servers import NAME, TOKEN, Place
from tests.emulators.bitrix24 import Bitrix24
from tests.emulators.http import Loopback, Request, Response

CLIENT = re.compile(rb"38067\d{7}")
"""The client's number in whatever encoding a request names it: only digits are the same in all."""

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class TimedPortal(Bitrix24):
    """`seconds` is the time that the requests about a client's number took in the portal, from read to answered."""

    def __init__(self, *, rate_limit: bool = True) -> None:
        super().__init__(rate_limit=rate_limit)
        self.seconds: dict[str, float] = defaultdict(float)
        self._servers = [Loopback(self._timed)]
        self.account.domain = self._servers[0].address

    def _timed(self, request: Request) -> Response:
        began = time.monotonic()
        try:
            return self.rest.answer(request)
        finally:
            took = time.monotonic() - began
            for number in set(CLIENT.findall(request.body)):
                self.seconds[f"+{number.decode()}"] += took


def add_connection(where: Place, portal: Bitrix24, *settings: str) -> None:
    """Adds the connection, as an admin does by hand."""
    values = (
        f"evrotel_token={TOKEN}",
        f"bitrix24_client_id={portal.client_id}",
        f"bitrix24_client_secret={portal.client_secret}",
        "extensions=101=2",
        *settings,
    )
    where.run("connection", "add", NAME, "--crm", "bitrix24", *(part for each in values for part in ("--set", each)))


def install(portal: Bitrix24, url: str) -> None:
    """Installs the application at the server `url`, as a portal's browser does. Raises URLError."""
    query, form = portal.install_form()
    address = f"{url}/bitrix24/{NAME}/install?{urlencode(query)}"
    with _direct.open(address, data=urlencode(form).encode(), timeout=30):
        portal.install_finish()
