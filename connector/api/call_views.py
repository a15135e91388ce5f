"""What a key reads of a connection's calls and events, and the retry of failed deliveries."""

from __future__ import annotations

from typing import Any

from connector.api import queries, schemas
from connector.api.blueprint import not_found, opened_connection, serves
from connector.delivery import admin
from connector.deployment import deployment


@serves("GET", "/calls", query=schemas.CallFilter, answer=schemas.Calls)
def list_calls(wanted: dict[str, Any]) -> queries.Listed:
    """Calls, newest first."""
    with deployment().database.read() as db:
        return queries.calls(db, opened_connection(), wanted, deployment().settings)


@serves("GET", "/calls/<call_id>", answer=schemas.CallWithDeliveries)
def show_call(call_id: str) -> dict[str, Any]:
    """One call, with what the CRM was told of it."""
    with deployment().database.read() as db:
        return queries.call(db, opened_connection(), call_id, deployment().settings) or not_found("call")


@serves("GET", "/events", query=schemas.EventFilter, answer=schemas.Events)
def list_events(wanted: dict[str, Any]) -> queries.Listed:
    """Kept inbound events, newest first."""
    with deployment().database.read() as db:
        return queries.events(db, opened_connection(), wanted)


@serves("POST", "/calls/<call_id>/deliveries/retry", answer=schemas.Retried)
def retry_deliveries(call_id: str) -> dict[str, int]:
    """Has the call's failed deliveries tried again at once."""
    with deployment().database.read() as db:
        failed = queries.failed_deliveries(db, opened_connection(), call_id)
    if failed is None:
        not_found("call")
    return {"retried": admin.retry(deployment().database, failed)}


@serves("GET", "/stats", query=schemas.Period, answer=schemas.Stats)
def show_stats(period: dict[str, Any]) -> dict[str, Any]:
    """Numbers of calls in a time, by direction and disposition."""
    with deployment().database.read() as db:
        return queries.stats(db, opened_connection(), period)
