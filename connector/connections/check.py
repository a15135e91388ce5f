"""Asks both sides of a connection what is right and wrong with it; changes nothing."""

from __future__ import annotations

from datetime import timedelta

import requests
from sqlalchemy import func, select

from connector.callback.checking import check_button
from connector.calls.people import unknown_extensions
from connector.connections.store import Connection
from connector.db import now
from connector.deployment import Deployment
from connector.evrotel.client import direct_session
from connector.models import Delivery, DeliveryState, InboundEvent, Reconciliation
from connector.recordings.stores import keeps_nothing
from crm_adapters.contract import Capability, Finding, FindingStatus
from crm_adapters.errors import AdapterError
from crm_adapters.texts import marked as _

OK, WARNING, ERROR = FindingStatus.OK, FindingStatus.WARNING, FindingStatus.ERROR
EVROTEL_SECONDS = 5.0
NAMED = 20


def check_connection(deployment: Deployment, connection: Connection) -> list[Finding]:
    """All findings: state, settings, Evrotel's side, the CRM's side, what waits. Raises nothing of theirs."""
    return [
        _state(connection),
        *_settings(connection),
        _evrotel(deployment),
        *_recordings(deployment, connection),
        _events(deployment, connection),
        _deliveries(deployment, connection),
        *_records(deployment, connection),
        *_crm(deployment, connection),
        *check_button(deployment, connection),
        *_unknown_extensions(deployment, connection),
    ]


def _recordings(deployment: Deployment, connection: Connection) -> list[Finding]:
    """Whether the recordings' store works, and whether what it keeps will be there tomorrow."""
    mode = connection.get("recordings_mode")
    if mode == "link" and connection.description.needs_mp3:
        return [
            Finding(
                name="recordings",
                status=WARNING,
                text=_("%(crm)s plays MP3 by https only, and is given Evrotel's own addresses"),
                fix=_("Unless Evrotel's host has MP3 by https: connector connection set %(name)s recordings_mode=keep"),
                values={"crm": connection.description.title, "name": connection.name},
            )
        ]
    if mode != "keep":
        return []
    store = deployment.store
    try:
        store.check()
    except OSError as error:
        return [
            Finding(
                name="recordings",
                status=ERROR,
                text=_("recordings can't be kept in %(where)s: %(why)s"),
                fix=_("Mend that, or change RECORDINGS_URL; until then recordings are tried again."),
                values={"where": store.title, "why": str(error)},
            )
        ]
    if keeps_nothing(deployment.settings):
        return [
            Finding(
                name="recordings",
                status=WARNING,
                text=_("recordings are kept on a disk that this platform empties at each restart"),
                fix=_(
                    "Set RECORDINGS_URL=s3://BUCKET/PREFIX, or: connector connection set %(name)s recordings_mode=proxy"
                ),
                values={"name": connection.name},
            )
        ]
    text = _("recordings are kept in %(where)s")
    return [Finding(name="recordings", status=OK, text=text, values={"where": store.title})]


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
            text=_("Calls of the last 30 days named inner numbers that nobody has: %(numbers)s"),
            fix=_("Such calls go to the default user. Or: connector connection set %(name)s extensions=EXT=USER"),
            values={"numbers": named, "name": connection.name},
        )
    ]


def _state(connection: Connection) -> Finding:
    if connection.paused:
        return Finding(
            name="state",
            status=ERROR,
            text=_("paused by %(by)s: %(why)s"),
            fix=_("Mend it, then run `connector connection resume %(name)s`; calls are kept meanwhile."),
            values={"by": connection.paused_by, "why": connection.paused_reason, "name": connection.name},
        )
    if connection.trouble:
        return Finding(
            name="state",
            status=ERROR,
            text=_("The CRM's account does not answer: %(why)s"),
            fix=_("Calls are kept and told as soon as it answers; if it lasts, look at the CRM."),
            values={"why": connection.trouble},
        )
    return Finding(name="state", status=OK, text=_("active"))


def _settings(connection: Connection) -> list[Finding]:
    missing = [field for field in connection.description.fields if field.required and not connection.get(field.key)]
    findings = [
        Finding(
            name="settings",
            status=ERROR,
            text=_("%(key)s is not set"),
            fix="connector connection set %(name)s %(key)s=...",
            values={"key": field.key, "name": connection.name},
        )
        for field in missing
    ]
    if not connection.get("evrotel_billcode"):
        findings.append(
            Finding(
                name="settings",
                status=WARNING,
                text=_("%(key)s is not set"),
                fix=_("Evrotel's form and web apps need it: ask Evrotel's manager."),
                values={"key": "evrotel_billcode"},
            )
        )
    return findings or [Finding(name="settings", status=OK, text=_("All settings that are needed are set."))]


def _evrotel(deployment: Deployment) -> Finding:
    """Only whether Evrotel's API host answers: it documents no request that changes nothing."""
    url = deployment.settings.evrotel_api_url
    try:
        with direct_session() as session:
            session.head(url, timeout=EVROTEL_SECONDS, allow_redirects=False)
    except requests.RequestException as error:
        return Finding(
            name="evrotel",
            status=WARNING,
            text=_("%(url)s does not answer (%(why)s)"),
            fix=_("Calls come in all the same; click-to-call needs it."),
            values={"url": url, "why": type(error).__name__},
        )
    return Finding(name="evrotel", status=OK, text=_("%(url)s answers"), values={"url": url})


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
            text=_("No event has come from Evrotel yet."),
            fix=_("Enter %(url)s and the token in Evrotel's cabinet and make a call."),
            values={"url": receiver_url(deployment, connection)},
        )
    if rejected:
        return Finding(
            name="events",
            status=WARNING,
            text=_("Events rejected within a day: %(number)s"),
            fix="connector events list --rejected",
            values={"number": rejected},
        )
    came = f"{last.astimezone(connection.zone):%Y-%m-%d %H:%M:%S}"
    return Finding(name="events", status=OK, text=_("The last event came at %(time)s."), values={"time": came})


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
            name="deliveries",
            status=ERROR,
            text=_("Deliveries that failed for good: %(number)s"),
            fix="connector deliveries list",
            values={"number": dead},
        )
    return Finding(
        name="deliveries", status=OK, text=_("None failed, on their way: %(number)s"), values={"number": pending}
    )


def _records(deployment: Deployment, connection: Connection) -> list[Finding]:
    """How the last comparison with Evrotel's call records went."""
    if connection.get("reconcile") == "off" or not connection.get("evrotel_billcode"):
        return []
    with deployment.database.read() as db:
        kept = db.execute(
            select(Reconciliation.checked_at, Reconciliation.error).where(Reconciliation.connection_id == connection.id)
        ).first()
    if kept is not None and kept.error:
        return [
            Finding(
                name="records",
                status=WARNING if connection.get("reconcile") == "on" or kept.checked_at else OK,
                text=_("Calls are not compared with Evrotel's call records: %(why)s"),
                fix=_("Ask Evrotel's manager for them, or: connector connection set %(name)s reconcile=off"),
                values={"why": kept.error, "name": connection.name},
            )
        ]
    if kept is None or kept.checked_at is None:
        return [Finding(name="records", status=OK, text=_("No comparison with Evrotel's call records yet."))]
    came = f"{kept.checked_at.astimezone(connection.zone):%Y-%m-%d %H:%M:%S}"
    text = _("Compared with Evrotel's call records at %(time)s.")
    return [Finding(name="records", status=OK, text=text, values={"time": came})]


def _crm(deployment: Deployment, connection: Connection) -> list[Finding]:
    try:
        return deployment.adapter(connection).check()
    except AdapterError as error:
        return [Finding(name="crm", status=ERROR, text="%(why)s", values={"why": error})]
