"""For monitors: does the process live, can it work, and the numbers of /metrics."""

from __future__ import annotations

from datetime import datetime, timedelta
from ipaddress import ip_address

from flask import Blueprint, Response, request
from sqlalchemy import Select, func, select

from connector import metrics
from connector.api import keys
from connector.db import Unavailable, now
from connector.delivery.outbox import may_go
from connector.deployment import deployment
from connector.locks import Lock, locked_by
from connector.models import Connection, Delivery

blueprint = Blueprint("health", __name__)

LATE = timedelta(minutes=5)


@blueprint.get("/healthz")
@locked_by(Lock.PUBLIC)
def healthz() -> Response:
    """The process lives."""
    return _said("ok")


@blueprint.get("/readyz")
@locked_by(Lock.PUBLIC)
def readyz() -> Response:
    """The database answers and what is due is being told; else 503 and why."""
    try:
        with deployment().database.read() as db:
            late, oldest = db.execute(late_deliveries(now() - LATE)).one()
    except Unavailable:
        return _said("the database does not answer", 503)
    if late:
        minutes = int((now() - oldest).total_seconds() // 60)
        return _said(f"{late} due deliveries are older than 5 minutes, the oldest {minutes} minutes", 503)
    return _said("ok")


@blueprint.get("/metrics")
@locked_by(Lock.OPERATOR)
def show_metrics() -> Response:
    """Prometheus' text format, for loopback or with any API key."""
    if not _from_this_machine():
        try:
            opened = keys.opens(deployment().database, request.headers.get("Authorization"))
        except Unavailable:
            return _said("the database does not answer", 503)
        if opened is None:
            answer = _said("A key is needed: Authorization: Bearer KEY", 401)
            answer.headers["WWW-Authenticate"] = "Bearer"
            return answer
    try:
        return Response(metrics.text(deployment().database), content_type=metrics.CONTENT_TYPE)
    except Unavailable:
        return _said("the database does not answer", 503)


def late_deliveries(before: datetime) -> Select[int, datetime]:
    """How many deliveries were due by then and still are, paused connections apart, and since when the oldest is."""
    return (
        select(func.count(), func.min(Delivery.due_at))
        .select_from(Delivery)
        .join(Connection, Connection.id == Delivery.connection_id)
        .where(may_go(before), Connection.paused_by.is_(None))
    )


def _from_this_machine() -> bool:
    """Whether the client itself is on loopback, and not only a proxy that the settings do not know of."""
    if not deployment().settings.trusted_proxies and {"X-Forwarded-For", "Forwarded"} & set(request.headers.keys()):
        return False
    try:
        ip = ip_address(request.remote_addr or "")
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    return (mapped or ip).is_loopback


def _said(text: str, status: int = 200) -> Response:
    return Response(text, status=status, mimetype="text/plain", headers={"Cache-Control": "no-store"})
