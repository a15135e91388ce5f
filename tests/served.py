"""Web server and worker in the test's own process, over real HTTP: for tests that kill nothing and need not wait for
processes to start."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests
from werkzeug.serving import make_server

from connector.app import create_app
from connector.connections.check import check_connection
from connector.connections.one_use import new_state
from connector.delivery.worker import Worker
from connector.deployment import Deployment
from connector.doors import ASKING
from tests.conftest import make_settings, migrate
from tests.emulators.amocrm import AmoCRM
from tests.emulators.bitrix24 import Bitrix24
from tests.emulators.evrotel import Transmitter
from tests.running import free_port

TOKEN = "G7bng65jYk8GF294"


class ServedHere:
    """One deployment on SQLite with a connection `acme`."""

    def __init__(self, folder: Path, *, port: int | None = None, **changes: Any) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        settings = make_settings(
            f"sqlite:///{folder / 'connector.db'}", folder / "instance", public_url=self.url, **changes
        )
        self.deployment = Deployment(settings)
        migrate(self.deployment.database.engine)
        self._server = make_server("127.0.0.1", self.port, create_app(settings, self.deployment), threaded=True)
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._server.shutdown()
        for thread in [*self._threads, *(each for each in threading.enumerate() if each.name == ASKING)]:
            thread.join()
        self._server.server_close()
        self.deployment.database.dispose()

    def work(self) -> None:
        """Starts a worker."""
        worker = Worker(Deployment(self.deployment.settings), self._stop)
        self._threads.append(threading.Thread(target=worker.run))
        self._threads[-1].start()

    def set(self, **values: str) -> None:
        """Changes the connection's settings."""
        self.deployment.connections.set("acme", values)

    def transmitter(self) -> Transmitter:
        return Transmitter(f"{self.url}/evrotel/acme/events", TOKEN)

    def check(self) -> list[Any]:
        """The findings of `connector connection check`."""
        found = check_connection(self.deployment, self.deployment.connections.get("acme"))
        return [finding.worded() for finding in found]


class Served(ServedHere):
    """Its connection is to an emulated portal."""

    def __init__(self, folder: Path, portal: Bitrix24, **changes: Any) -> None:
        self.portal = portal
        super().__init__(folder, bitrix24_oauth_url=portal.oauth_url, **changes)

    def connect(self, **values: str) -> None:
        """Adds the connection; its application is not installed yet."""
        application = {
            "evrotel_token": TOKEN,
            "evrotel_billcode": "20558",
            "bitrix24_client_id": self.portal.client_id,
            "bitrix24_client_secret": self.portal.client_secret,
        }
        self.deployment.connections.add("acme", "bitrix24", application | values)

    def open(self, door: str = "install", user_id: int = 1, **overrides: Any) -> requests.Response:
        """What the browser of a portal's user posts into the application's frame."""
        query, form = self.portal.install_form(user_id, **overrides)
        return requests.post(f"{self.url}/bitrix24/acme/{door}", params=query, data=form, timeout=30)

    def install(self) -> requests.Response:
        """An administrator installs the application and its page finishes that."""
        page = self.open()
        self.portal.install_finish()
        return page


class ServedAmoCRM(ServedHere):
    """Its connection is to an emulated account of amoCRM that knows the redirect link `{url}/amocrm/acme/callback`."""

    def connect(self, amo: AmoCRM, **values: str) -> None:
        """Adds the connection, signed in to nothing yet."""
        integration = {
            "evrotel_token": TOKEN,
            "evrotel_billcode": "20558",
            "amocrm_client_id": amo.client_id,
            "amocrm_client_secret": amo.client_secret,
        }
        self.deployment.connections.add("acme", "amocrm", integration | values)

    def sign_in(self, amo: AmoCRM) -> requests.Response:
        """An administrator of ours went to the consent page, and comes back."""
        here = self.deployment
        state = new_state(here.database, here.connections.get("acme").id)
        query = amo.callback_query(state=state)
        return requests.get(f"{self.url}/amocrm/acme/callback", params=query, timeout=30)
