"""What a worker makes of Evrotel's answers that are about the account and not about the number."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from connector.autodial.campaigns import NewCampaign, make_campaign
from connector.autodial.playing import TOO_SOON_IN_A_ROW, Players
from connector.db import now
from connector.deployment import Deployment
from connector.evrotel.client import DialAnswer, EvrotelClient, Verdict
from connector.models import Campaign
from tests.conftest import empty_database
from tests.connector.recordings.rows import add_connection
from tests.running import wait_for

LISTED = [f"+38067{number:07d}" for number in range(20)]


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Nothing here depends on the engine."""
    return empty_database(request, tmp_path)


def test_where_it_is_too_soon_for_several_all_wait(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def play(_: EvrotelClient, __: str, number: str, ___: object) -> DialAnswer:
        asked.append(number)
        return DialAnswer(verdict=Verdict.TOO_SOON, text="TimeLimit 60 sec !", wait_seconds=60)

    monkeypatch.setattr(EvrotelClient, "play", play)
    shop = add_connection(deployment, evrotel_billcode="20558")
    make_campaign(deployment, shop, NewCampaign(name="x", mediafile="x.wav", by="x", numbers=LISTED, chnum=1))
    players = Players(deployment, threading.Event(), lambda job: job)

    def next_call_at() -> Any:
        with deployment.database.read() as db:
            return db.execute(select(Campaign.next_call_at)).scalar_one()

    players.feed()
    assert wait_for(next_call_at) > now() + timedelta(seconds=55)
    players.finish(time.monotonic() + 20)
    assert len(asked) == TOO_SOON_IN_A_ROW


def test_a_shut_door_is_no_try(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = add_connection(deployment, evrotel_billcode="20558")
    for status, verdict in ((401, Verdict.UNREACHABLE), (429, Verdict.UNREACHABLE), (404, Verdict.REFUSED)):
        said = DialAnswer(verdict=Verdict.REFUSED, text=f"{status} no", status=status), b""
        monkeypatch.setattr(EvrotelClient, "_send", lambda *_, said=said, **__: said)
        assert EvrotelClient(deployment.settings, shop).play("x.wav", LISTED[0]).verdict is verdict


def test_a_long_message_is_waited_for(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    def send(*given: Any, **_: object) -> tuple[DialAnswer, bytes]:
        waits.append(given[3])
        return DialAnswer(verdict=Verdict.ACCEPTED, text="ANSWER"), b""

    monkeypatch.setattr(EvrotelClient, "_send", send)
    client = EvrotelClient(deployment.settings, add_connection(deployment, evrotel_billcode="20558"))
    for message in (None, timedelta(seconds=20), timedelta(seconds=120)):
        client.play("x.wav", LISTED[0], message)
    assert waits == [150, 150, 210]
