"""A recordings host, a client of the doors, and workers that hold nothing from an earlier test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from connector.deployment import Deployment
from connector.recordings import jobs, views
from connector.recordings.guesses import Guesses
from tests.connector.recordings.doors import client_of
from tests.emulators.evrotel import Recordings


@pytest.fixture
def host() -> Iterator[Recordings]:
    with Recordings() as recordings:
        yield recordings


@pytest.fixture
def client(deployment: Deployment) -> FlaskClient:
    return client_of(deployment)


@pytest.fixture(autouse=True)
def _nobody_holds_or_guesses_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_HELD", {})
    monkeypatch.setattr(views, "guesses", Guesses())
