"""Times in the database: aware UTC in and out, on both engines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import StatementError

from connector.deployment import Deployment
from connector.models import STEPS, Connection, DeliveryKind

NOON_IN_KYIV = datetime(2026, 7, 1, 12, 0, 0, 123456, tzinfo=ZoneInfo("Europe/Kyiv"))


def _keep(deployment: Deployment, moment: datetime) -> datetime:
    with deployment.database.write() as db:
        db.execute(update(Connection).where(Connection.name == "acme").values(paused_at=moment))
        kept = db.execute(select(Connection.paused_at).where(Connection.name == "acme")).scalar_one()
    assert kept is not None
    return kept


@pytest.fixture
def kept(deployment: Deployment) -> Deployment:
    deployment.connections.add("acme", "journal", {})
    return deployment


def test_a_time_comes_back_as_aware_utc(kept: Deployment) -> None:
    moment = _keep(kept, NOON_IN_KYIV)
    assert moment == NOON_IN_KYIV
    assert moment.utcoffset() == timedelta()
    assert moment == datetime(2026, 7, 1, 9, 0, 0, 123456, tzinfo=UTC)


def test_times_of_different_zones_are_compared_as_moments(kept: Deployment) -> None:
    _keep(kept, NOON_IN_KYIV)
    after = NOON_IN_KYIV.astimezone(ZoneInfo("America/New_York")) + timedelta(seconds=1)
    with kept.database.read() as db:
        found = db.execute(select(Connection.name).where(Connection.paused_at < after)).scalars().all()
        none = db.execute(select(Connection.name).where(Connection.paused_at > after)).scalars().all()
    assert (found, none) == (["acme"], [])


def test_a_naive_time_is_refused(kept: Deployment) -> None:
    with pytest.raises(StatementError, match="a naive datetime can't be stored"):
        _keep(kept, datetime(2026, 7, 1))  # noqa: DTZ001 - that is what is refused


def test_a_row_without_its_connection_is_refused(deployment: Deployment) -> None:
    """Foreign keys hold on SQLite too, where they are off unless asked for."""
    metadata = Connection.metadata
    with pytest.raises(Exception, match=r"(?i)foreign key"), deployment.database.write() as db:
        db.execute(insert(metadata.tables["customers"]).values(connection_id=99, number="+380987858227", name="Nobody"))


def test_every_kind_of_delivery_has_its_step() -> None:
    assert set(STEPS) == set(DeliveryKind)
    assert STEPS[DeliveryKind.START] < STEPS[DeliveryKind.FINISH] < STEPS[DeliveryKind.RECORDING]
