"""From rows to what an adapter is told."""

from __future__ import annotations

import ipaddress
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from connector.calls.people import user_of
from connector.connections.store import Connection
from connector.deployment import Deployment
from connector.models import DeliveryKind
from connector.recordings.content import read_recording
from connector.recordings.links import link_url
from crm_adapters.contract import Telling
from crm_adapters.events import CallEnded, CallStarted, Direction, Disposition, Event, RecordingReady


def telling_of(deployment: Deployment, connection: Connection, row: Any, seconds: float) -> Telling:
    """The telling of one delivery. `row` has the columns of `outbox.take_due`; the CRM may be asked for `seconds`."""
    return Telling(
        event=_event(deployment, connection, row, seconds), progress=dict(row.progress), crm_call_id=row.crm_call_id
    )


def _event(deployment: Deployment, connection: Connection, row: Any, seconds: float) -> Event:
    match row.kind:
        case DeliveryKind.START:
            return CallStarted(**_facts(deployment, connection, row, seconds))
        case DeliveryKind.FINISH:
            return CallEnded(
                **_facts(deployment, connection, row, seconds),
                ended_at=row.ended_at.astimezone(connection.zone),
                disposition=Disposition(row.disposition),
                billsec=row.billsec,
            )
        case _:
            return _recording(deployment, connection, row)


def _facts(deployment: Deployment, connection: Connection, row: Any, seconds: float) -> dict[str, Any]:
    direction = Direction(row.direction)
    return {
        "call_id": row.call_id,
        "crm_call_id": row.crm_call_id,
        "direction": direction,
        "client_number": row.client_number,
        "line": row.line,
        "extension": row.extension,
        "user_id": user_of(deployment, connection, row.extension, seconds),
        "fallback_user_id": connection.get("default_user") or None,
        "started_at": row.started_at.astimezone(connection.zone),
        "create_customer": creates_customer(connection.get("create_customers"), direction),
    }


def creates_customer(rule: str, direction: Direction) -> bool:
    """Whether the CRM may make a lead or contact of an unknown number; `rule` is none, incoming or all."""
    return rule == "all" or (rule == "incoming" and direction is Direction.INCOMING)


def _recording(deployment: Deployment, connection: Connection, row: Any) -> RecordingReady:
    settings = deployment.settings
    reachable = reachable_from_outside(settings.public_url, allow_local=settings.allow_local_addresses)
    return RecordingReady(
        call_id=row.call_id,
        crm_call_id=row.crm_call_id,
        url=link_url(deployment, row.call_id) if reachable else None,
        filename=_filename(row.started_at.astimezone(connection.zone), row.call_id, row.recording_path or ".wav"),
        read_content=lambda: read_recording(deployment, row.call_id),
    )


def _filename(started_at: datetime, call_id: str, path: str) -> str:
    suffix = next((each for each in (".mp3", ".ogg") if path.endswith(each)), ".wav")
    return f"{started_at:%Y-%m-%d_%H-%M-%S}_{call_id[-8:]}{suffix}"


def reachable_from_outside(public_url: str, *, allow_local: bool) -> bool:
    """Whether a CRM in the cloud can fetch from our address; else recordings go to it as content."""
    parts = urlsplit(public_url)
    if allow_local:
        return True
    try:
        return parts.scheme == "https" and ipaddress.ip_address(parts.hostname or "").is_global
    except ValueError:
        return parts.scheme == "https" and "." in (parts.hostname or "") and parts.hostname != "localhost"
