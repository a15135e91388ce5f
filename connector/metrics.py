"""The numbers of /metrics: counted in the database at each scrape, so they are exact whatever process answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from sqlalchemy import Connection as SQLConnection
from sqlalchemy import Select, case, func, select

from connector.callback.refusals import PREFIX as REFUSED_CALLBACKS
from connector.db import Database, now
from connector.delivery.outbox import may_go
from connector.models import Call, Connection, Counter, Delivery, InboundEvent, Lane

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4  # what every scraper reads
REFUSED_TOKEN = "refused_token"  # noqa: S105 - a counter's name


def text(database: Database) -> bytes:
    """All metrics in Prometheus' text format. Raises `connector.db.Unavailable`."""
    with database.read() as db:
        found = [*_counted(db), *_numbers(db)]
    registry = CollectorRegistry()
    registry.register(_Found(found))
    return generate_latest(registry)


class _Found(Collector):
    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Sequence[Metric]:
        return self._metrics


_OUTCOME = case((InboundEvent.reason.is_(None), "accepted"), else_="rejected")
_COUNTED: tuple[tuple[str, str, Any, str, Any], ...] = (
    ("connector_calls", "Calls kept", Call, "state", Call.state),
    ("connector_deliveries", "Deliveries kept", Delivery, "state", Delivery.state),
    ("connector_inbound_events", "Inbound events kept", InboundEvent, "outcome", _OUTCOME),
)
"""Metric, what it counts, its table, its label besides the connection and that label's value."""


def _counted(db: SQLConnection) -> Iterator[Metric]:
    for name, documentation, model, label, value in _COUNTED:
        family = GaugeMetricFamily(name, f"{documentation}, within the retention", labels=["connection", label])
        query = (
            select(Connection.name, value.label("value"), func.count().label("found"))
            .join(Connection, Connection.id == model.connection_id)
            .group_by(Connection.name, "value")
        )
        for row in db.execute(query):
            family.add_metric([row.name, row.value], row.found)
        yield family


def _numbers(db: SQLConnection) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "connector_oldest_due_delivery_seconds",
        "For how long the oldest delivery of connections that are not paused has been due",
        value=_oldest_due(db),
    )
    refused = CounterMetricFamily(
        "connector_refused_tokens", "Requests to the receiver with a missing or wrong token", labels=["connection"]
    )
    query = select(Connection.name, Counter.value).join(Counter, Counter.connection_id == Connection.id)
    for row in db.execute(query.where(Counter.name == REFUSED_TOKEN)):
        refused.add_metric([row.name], row.value)
    yield refused
    yield _refused_callbacks(db)
    paused = select(func.count()).select_from(Connection).where(Connection.paused_by.is_not(None))
    yield GaugeMetricFamily("connector_paused_connections", "Connections that are paused", value=_one(db, paused))
    troubled = select(func.count()).select_from(Lane).where(Lane.trouble.is_not(None))
    yield GaugeMetricFamily(
        "connector_lanes_in_trouble",
        "Connections whose CRM account is unreachable or limits us",
        value=_one(db, troubled),
    )


def _refused_callbacks(db: SQLConnection) -> Metric:
    family = CounterMetricFamily(
        "connector_callback_refused",
        "Requests of the call-back button that were refused",
        labels=["connection", "reason"],
    )
    query = select(Connection.name, Counter.name.label("counter"), Counter.value)
    query = query.join(Counter, Counter.connection_id == Connection.id).where(
        Counter.name.startswith(REFUSED_CALLBACKS)
    )
    for row in db.execute(query):
        family.add_metric([row.name, row.counter.removeprefix(REFUSED_CALLBACKS)], row.value)
    return family


def _oldest_due(db: SQLConnection) -> float:
    moment = now()
    oldest = db.execute(
        select(func.min(Delivery.due_at))
        .join(Connection, Connection.id == Delivery.connection_id)
        .where(may_go(moment), Connection.paused_by.is_(None))
    ).scalar()
    return (moment - oldest).total_seconds() if oldest else 0.0


def _one(db: SQLConnection, query: Select[int]) -> int:
    return db.execute(query).scalar_one()
