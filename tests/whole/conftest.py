"""A portal, a recordings host and an installation, all over real HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.emulators.bitrix24 import Bitrix24
from tests.emulators.evrotel import Recordings
from tests.running import Installation


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
def installation(tmp_path: Path, database_url: str, portal: Bitrix24) -> Iterator[Installation]:
    """The commands on each database in turn; nothing is running yet."""
    installation = Installation(tmp_path, database_url, BITRIX24_OAUTH_URL=portal.oauth_url)
    yield installation
    installation.close()


@pytest.fixture
def running(installation: Installation, portal: Bitrix24, recordings: Recordings) -> Installation:
    """Web and worker up, the application installed."""
    installation.add_bitrix24(portal, evrotel_recordings_url=recordings.url)
    installation.start_web()
    installation.start_worker()
    assert installation.install(portal).status_code == 200
    return installation


Fixture = Callable[..., object]
