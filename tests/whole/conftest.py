"""A portal, a recordings host and an installation, all over real HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from connector.connections import store
from connector.delivery import retry
from crm_adapters.amocrm import pace
from tests.emulators.amocrm import AmoCRM
from tests.emulators.bitrix24 import Bitrix24
from tests.emulators.evrotel import Recordings, WebApps
from tests.running import Installation, free_port
from tests.served import Served
from tests.whole.amocrm import Account


@pytest.fixture
def portal() -> Iterator[Bitrix24]:
    with Bitrix24() as portal:
        portal.add_contact("Olena Client", "+380987858227", assigned_by_id=3)
        yield portal


@pytest.fixture
def recordings() -> Iterator[Recordings]:
    with Recordings() as recordings:
        yield recordings


@pytest.fixture
def installation(tmp_path: Path, database_url: str, portal: Bitrix24, evrotel_apps: WebApps) -> Iterator[Installation]:
    """The commands on each database in turn; nothing is running yet."""
    urls = {"BITRIX24_OAUTH_URL": portal.oauth_url, "EVROTEL_API_URL": evrotel_apps.url}
    installation = Installation(tmp_path, database_url, **urls)
    yield installation
    installation.close()


@pytest.fixture
def running(installation: Installation, portal: Bitrix24, recordings: Recordings) -> Installation:
    """Web and worker up, the application installed."""
    installation.add_bitrix24(portal, evrotel_recordings_url=recordings.url, evrotel_billcode="20558")
    installation.start_web()
    installation.start_worker()
    assert installation.install(portal).status_code == 200
    portal.install_finish()
    return installation


Fixture = Callable[..., object]


@pytest.fixture
def evrotel_apps() -> Iterator[WebApps]:
    with WebApps() as apps:
        yield apps


@pytest.fixture
def served(tmp_path: Path, portal: Bitrix24, recordings: Recordings, evrotel_apps: WebApps) -> Iterator[Served]:
    """Web and worker in this process, the application installed; what an emulator swallows must not have happened."""
    urls = {"evrotel_api_url": evrotel_apps.url, "evrotel_dial_url": evrotel_apps.dial_url}
    with Served(tmp_path, portal, **urls) as served:
        served.connect(evrotel_recordings_url=recordings.url)
        served.install()
        served.work()
        yield served
    assert portal.violations == []


@pytest.fixture
def amo() -> Iterator[AmoCRM]:
    """An account whose integration's redirect link is at a free port."""
    with AmoCRM(redirect_uri=f"http://127.0.0.1:{free_port()}/amocrm/acme/callback") as amo:
        amo.add_contact("Olena Client", "+380987858227", responsible=9)
        yield amo


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch, amo: AmoCRM) -> None:
    """Waits that are there for amoCRM's and the database's sake are short; `unhurried` tests look at them."""
    monkeypatch.setattr(pace, "PER_SECOND", 40.0)
    amo.rate.enabled = False
    monkeypatch.setattr(store, "FRESH_SECONDS", 0.02)
    monkeypatch.setattr(retry, "FIRST_PROBES", (0.2, 0.4, 0.8, 1.6, 3.2))
    monkeypatch.setattr(retry, "DELIVERY_WAITS", (0.4, 0.8, 1.6, 3.2, 5, 5, 5))


@pytest.fixture
def account(
    request: pytest.FixtureRequest, tmp_path: Path, amo: AmoCRM, recordings: Recordings, evrotel_apps: WebApps
) -> Iterator[Account]:
    """Web and worker in this process, the account connected; what an emulator swallows must not have happened."""
    if request.node.get_closest_marker("unhurried") is None:
        request.getfixturevalue("hasty")
    urls = {"evrotel_api_url": evrotel_apps.url, "evrotel_dial_url": evrotel_apps.dial_url}
    with Account(tmp_path, port=int(amo.redirect_uri.split(":")[2].partition("/")[0]), **urls) as account:
        account.amo = amo
        account.connect(amo, extensions="101=8", evrotel_recordings_url=recordings.url)
        assert account.sign_in(amo).status_code == 200
        account.work()
        yield account
    assert amo.violations == []
