"""Asks both sides of a connection what is right and wrong with it; changes nothing."""

from __future__ import annotations

from datetime import timedelta

import requests
from sqlalchemy import func, select

from connector.calls.people import unknown_extensions
from connector.connections.store import Connection
from connector.db import now
from connector.deployment import Deployment
from connector.models import Delivery, DeliveryState, InboundEvent
from crm_adapters.contract import Capability, Finding, FindingStatus
from crm_adapters.errors import AdapterError

OK, WARNING, ERROR = FindingStatus.OK, FindingStatus.WARNING, FindingStatus.ERROR
EVROTEL_SECONDS = 5.0
NAMED = 20


def check_connection(deployment: Deployment, connection: Connection) -> list[Finding]:
    """All findings: state, settings, Evrotel's side, the CRM's side, what waits. Raises nothing of theirs."""
    return [
        _state(connection),
        *_settings(connection),
        _evrotel(deployment),
        _events(deployment, connection),
        _deliveries(deployment, connection),
        *_crm(deployment, connection),
        *_unknown_extensions(deployment, connection),
    ]


def _unknown_extensions(deployment: Deployment, connection: Connection) -> list[Finding]:
    """Inner numbers that calls named and that belong to nobody in the CRM."""
    unknown = unknown_extensions(deployment, connection) if connection.can(Capability.USERS) else {}
    if not unknown:
        return []
    named = ", ".join(f"{extension} ({number})" for extension, number in list(unknown.items())[:NAMED])
    return [
        Finding(
            name="unknown-extensions",
            status=WARNING,
            text=f"calls of the last 30 days named inner numbers that nobody has: {named}",
            fix=f"such calls go to the default user; connector connection set {connection.name} extensions=EXT=USER",
        )
    ]


def _state(connection: Connection) -> Finding:
    if connection.paused:
        return Finding(
            name="state",
            status=ERROR,
            text=f"paused by {connection.paused_by}: {connection.paused_reason}",
            fix=f"mend it, then run `connector connection resume {connection.name}`; calls are kept meanwhile",
        )
    if connection.trouble:
        return Finding(
            name="state",
            status=ERROR,
            text=f"the CRM's account does not answer: {connection.trouble}",
            fix="calls are kept and told as soon as it answers; if it lasts, look at the CRM",
        )
    return Finding(name="state", status=OK, text="active")


def _settings(connection: Connection) -> list[Finding]:
    missing = [field for field in connection.description.fields if field.required and not connection.get(field.key)]
    findings = [
        Finding(
            name="settings",
            status=ERROR,
            text=f"{field.key} is not set",
            fix=f"connector connection set {connection.name} {field.key}=...",
        )
        for field in missing
    ]
    if not connection.get("evrotel_billcode"):
        findings.append(
            Finding(
                name="settings",
                status=WARNING,
                text="evrotel_billcode is not set",
                fix="Evrotel's form and web apps need it: ask Evrotel's manager",
            )
        )
    return findings or [Finding(name="settings", status=OK, text="all settings that are needed are set")]


def _evrotel(deployment: Deployment) -> Finding:
    """Only whether Evrotel's API host answers: it documents no request that changes nothing."""
    url = deployment.settings.evrotel_api_url
    try:
        requests.head(url, timeout=EVROTEL_SECONDS, allow_redirects=False)
    except requests.RequestException as error:
        return Finding(
            name="evrotel",
            status=WARNING,
            text=f"{url} does not answer ({type(error).__name__})",
            fix="calls come in all the same; click-to-call needs it",
        )
    return Finding(name="evrotel", status=OK, text=f"{url} answers")


def _events(deployment: Deployment, connection: Connection) -> Finding:
    with deployment.database.read() as db:
        mine = InboundEvent.connection_id == connection.id
        last = db.execute(select(func.max(InboundEvent.received_at)).where(mine)).scalar_one_or_none()
        rejected = db.execute(
            select(func.count())
            .select_from(InboundEvent)
            .where(mine, InboundEvent.reason.is_not(None), InboundEvent.received_at > now() - timedelta(days=1))
        ).scalar_one()
    if last is None:
        return Finding(
            name="events",
            status=WARNING,
            text="no event has come from Evrotel yet",
            fix=f"enter {receiver_url(deployment, connection)} and the token in Evrotel's cabinet and make a call",
        )
    if rejected:
        return Finding(
            name="events",
            status=WARNING,
            text=f"{rejected} events were rejected within a day",
            fix="connector events list --rejected",
        )
    return Finding(name="events", status=OK, text=f"the last event came at {last:%Y-%m-%d %H:%M:%S} UTC")


def receiver_url(deployment: Deployment, connection: Connection) -> str:
    """The address that Evrotel's form asks for."""
    return f"{deployment.settings.public_url}/evrotel/{connection.name}/events"


def _deliveries(deployment: Deployment, connection: Connection) -> Finding:
    with deployment.database.read() as db:
        counts = {
            row.state: row.number
            for row in db.execute(
                select(Delivery.state, func.count().label("number"))
                .where(
                    Delivery.connection_id == connection.id,
                    Delivery.state.in_([DeliveryState.DEAD, DeliveryState.PENDING]),
                )
                .group_by(Delivery.state)
            )
        }
    dead, pending = counts.get(DeliveryState.DEAD, 0), counts.get(DeliveryState.PENDING, 0)
    if dead:
        return Finding(
            name="deliveries", status=ERROR, text=f"{dead} deliveries failed for good", fix="connector deliveries list"
        )
    return Finding(name="deliveries", status=OK, text=f"none failed, {pending} on their way")


def _crm(deployment: Deployment, connection: Connection) -> list[Finding]:
    try:
        return deployment.adapter(connection).check()
    except AdapterError as error:
        return [Finding(name="crm", status=ERROR, text=str(error))]
