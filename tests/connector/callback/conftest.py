"""A site's visitors, the connector and Evrotel, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from connector.connections import store
from tests.emulators.evrotel import Exchange, WebApps
from tests.served import TOKEN, ServedHere

SITE = "https://shop.example"


class Button(ServedHere):
    """A deployment whose connection `acme` has the button on one site."""

    apps: WebApps

    def ask(self, phone: Any, origin: str | None = SITE, **more: Any) -> requests.Response:
        """What a site's script posts; `more` may have `headers`."""
        headers = ({"Origin": origin} if origin else {}) | more.pop("headers", {})
        return requests.post(f"{self.url}/callback/acme", json={"phone": phone} | more, headers=headers, timeout=10)

    def get(self, path: str, origin: str | None = SITE, **query: str) -> requests.Response:
        headers = {"Origin": origin} if origin else {}
        return requests.get(f"{self.url}/callback/{path}", params=query, headers=headers, timeout=10)

    def token(self) -> str:
        return str(self.get("acme/form").json()["token"])

    def state(self, request_id: str) -> Any:
        return self.get(f"acme/requests/{request_id}").json()

    def dialled(self) -> list[Any]:
        return [each.content for each in self.apps.requests if each.path == "/webapp/"]

    def adds(self, crm: str = "journal", **values: str) -> None:
        given = {
            "evrotel_token": TOKEN,
            "evrotel_billcode": "20558",
            "callback_origins": SITE,
            "callback_extensions": "101,102",
            "callback_limits": "address=100/1h; site=100/1h; ceiling=100/1h; tokenless=100/1h",
        }
        self.deployment.connections.add("acme", crm, given | values)


@pytest.fixture
def button(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Button]:
    """Limits of all but numbers are out of the way; no worker works yet."""
    monkeypatch.setattr(store, "FRESH_SECONDS", 0.0)
    with WebApps() as apps, Button(tmp_path, evrotel_api_url=apps.url, trusted_proxies=1) as button:
        button.apps = apps
        button.adds()
        apps.exchange = Exchange(transmitter=button.transmitter())
        yield button
