"""Which calls a CRM user's page shows: those that ring for them, and those that they have just missed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import and_, or_, select

from connector.calls.people import users_by_extension
from connector.connections.store import Connection
from connector.db import now
from connector.deployment import Deployment
from connector.models import Call, CallState, Delivery, DeliveryKind, DeliveryState, Dial, DialOrigin, DialState
from connector.texts import DIAL_REASONS, in_language
from crm_adapters.contract import CARD, SHOWN_TO
from crm_adapters.events import Direction, Disposition

SHOWN_FOR = timedelta(seconds=90)
"""So long after it ended a page that looks now and then still learns of a call."""
RINGS_FOR = timedelta(hours=2)
"""A call that was never ended is not shown for ever."""
MOST_CALLS = 20
NAME_WITHIN = timedelta(seconds=3)
"""So long a ringing call waits for its client's name: whoever reads it first reads it without."""

_being_told = (
    select(Delivery.id)
    .where(
        Delivery.call_id == Call.id,
        Delivery.kind == DeliveryKind.START,
        Delivery.state == DeliveryState.PENDING,
    )
    .exists()
)

_COLUMNS = (
    Call.id,
    Call.client_number,
    Call.direction,
    Call.extension,
    Call.state,
    Call.disposition,
    Call.started_at,
    Call.crm_notes,
    Dial.user_id.label("dial_user_id"),
    Dial.reason.label("dial_reason"),
    Call.created_at,
    _being_told.label("being_told"),
)


def calls_for(deployment: Deployment, connection: Connection, user_id: str) -> list[dict[str, Any]]:
    """The calls that this user's page shows, the newest first; see docs/amocrm.md for the fields."""
    at = now()
    incoming = and_(
        Call.direction == Direction.INCOMING,
        or_(
            and_(Call.state == CallState.OPEN, Call.created_at >= at - RINGS_FOR),
            and_(Call.state == CallState.ENDED, Call.updated_at >= at - SHOWN_FOR),
        ),
    )
    not_dialled = and_(
        Dial.state == DialState.FAILED,
        Dial.origin == DialOrigin.CLICK,
        Dial.user_id == user_id,
        Call.updated_at >= at - SHOWN_FOR,
    )
    query = (
        select(*_COLUMNS)
        .outerjoin(Dial, Dial.call_id == Call.id)
        .where(
            Call.connection_id == connection.id,
            Call.updated_at >= at - RINGS_FOR,
            Call.client_number.is_not(None),
            or_(incoming, not_dialled),
        )
        .order_by(Call.id.desc())
        .limit(200)
    )
    with deployment.database.read() as db:
        rows = db.execute(query).all()
    people = users_by_extension(deployment, connection) if rows else {}
    mine = [
        row
        for row in rows
        if _is_for(row, user_id, people) and not (row.being_told and at - row.created_at < NAME_WITHIN)
    ]
    return [_shown(connection, row) for row in mine[:MOST_CALLS]]


def _is_for(row: Any, user_id: str, people: dict[str, str]) -> bool:
    """Whose extension rings, or who was shown the card; where everybody was, also this user."""
    if row.dial_reason:
        return bool(row.dial_user_id == user_id)
    shown_to = row.crm_notes.get(SHOWN_TO)
    if row.extension and row.extension in people:
        return people[row.extension] == user_id
    return shown_to is not None and (not shown_to or user_id in shown_to)


def _shown(connection: Connection, row: Any) -> dict[str, Any]:
    card = row.crm_notes.get(CARD) or {}
    text = in_language(connection.get("language"), DIAL_REASONS[row.dial_reason]) if row.dial_reason else None
    return {
        "id": row.id,
        "number": row.client_number,
        "name": card.get("name"),
        "card": {"type": card["type"], "id": card["id"]} if card else None,
        "state": _state(row),
        "text": text,
        "at": int(row.started_at.timestamp()),
    }


def _state(row: Any) -> str:
    """Evrotel does not say that a call was taken: one that goes on counts as ringing."""
    if row.dial_reason:
        return "not_dialled"
    if row.state == CallState.OPEN:
        return "ringing"
    return "answered" if row.disposition == Disposition.ANSWERED else "missed"
