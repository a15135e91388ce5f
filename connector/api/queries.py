"""What the HTTP API reads: one connection's calls, their deliveries and events, page by page."""

from __future__ import annotations

import base64
import binascii
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Self
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, RowMapping, Select, func, literal, or_, select, tuple_
from sqlalchemy import Connection as SQLConnection

from connector.calls.numbers import normal_number
from connector.connections.store import Connection
from connector.models import Attempt, Call, CallState, Delivery, DeliveryState, Dial, InboundEvent, Recording
from connector.recordings.links import LINK_COLUMNS, given_url
from connector.settings import Settings
from crm_adapters.events import Direction, Disposition

_FIRST, _LAST = date(1900, 1, 1), date(2999, 12, 31)
_CALL_ID = re.compile(r"[0-9a-f]{32}")
_NUMBER = re.compile(r"[0-9]{1,18}")
_LINK = {column.key: f"recording_{column.key}" for column in LINK_COLUMNS}  # calls have a `state` of their own


@dataclass(frozen=True, kw_only=True)
class Place:
    """A place in a list that is ordered by time and ID, newest first."""

    at: datetime
    id: str

    def text(self) -> str:
        """As it goes into `next`."""
        return base64.urlsafe_b64encode(f"{self.at.isoformat()} {self.id}".encode()).rstrip(b"=").decode()

    @classmethod
    def read(cls, text: str, *, numbered: bool = False) -> Self:
        """Raises ValueError where it is none of ours; `numbered`: where the ID is no number."""
        try:
            at, _, key = base64.b64decode(text + "=" * (-len(text) % 4), "-_", validate=True).decode().partition(" ")
        except (binascii.Error, UnicodeError):
            raise ValueError("not a cursor") from None
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None or not _FIRST.year < moment.year < _LAST.year:
            raise ValueError("not a cursor")
        if not (_NUMBER if numbered else _CALL_ID).fullmatch(key):
            raise ValueError("not a cursor")
        return cls(at=moment.astimezone(UTC), id=key)


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A part of a list as JSON values, and the cursor of the next part."""

    items: list[dict[str, Any]]
    next: str | None


def instant(value: date | datetime, zone: ZoneInfo, *, end_of_day: bool) -> datetime:
    """A filter's bound as aware UTC: what has no offset is of the zone; a date is its beginning, or its end.

    Years that no call can be of become the nearest that can be computed with.
    """
    if not _FIRST.year <= value.year <= _LAST.year:
        value = _FIRST if value.year < _FIRST.year else _LAST
    if not isinstance(value, datetime):
        value = datetime.combine(value + timedelta(days=end_of_day), time.min)
    return (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(UTC)


def calls(db: SQLConnection, connection: Connection, wanted: Mapping[str, Any], settings: Settings) -> Listed:
    """A part of the connection's calls, newest first; `wanted` is a loaded CallFilter."""
    query = _calls_of(connection).where(*_conditions(connection, wanted))
    rows, cursor = _page(db, query, Call.started_at, Call.id, wanted)
    return Listed(items=[_call_json(row, connection, settings) for row in rows], next=cursor)


def call(db: SQLConnection, connection: Connection, call_id: str, settings: Settings) -> dict[str, Any] | None:
    """One call with its deliveries and their attempts; None where the connection has none of this ID."""
    if not _CALL_ID.fullmatch(call_id):  # PostgreSQL takes no NUL in a text
        return None
    row = db.execute(_calls_of(connection).where(Call.id == call_id)).mappings().one_or_none()
    if row is None:
        return None
    return _call_json(row, connection, settings) | {
        "dial": _dial(db, connection, call_id),
        "deliveries": _deliveries(db, connection, call_id),
    }


def stats(db: SQLConnection, connection: Connection, period: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers of the connection's calls; `period` is a loaded Period. Calls that were only asked for do not count."""
    which = [Call.connection_id == connection.id, Call.expected.is_(False), *_in_period(connection, period)]
    columns = (Call.direction, Call.state, Call.disposition)
    groups = db.execute(
        select(*columns, func.count().label("found"), func.sum(Call.billsec).label("talk"))
        .where(*which)
        .group_by(*columns)
    ).all()
    clients = db.execute(select(func.count(Call.client_number.distinct())).where(*which)).scalar_one()
    by_direction = {direction: _of_direction(direction, groups) for direction in Direction}
    incoming = by_direction[Direction.INCOMING]
    answered = incoming["by_disposition"][Disposition.ANSWERED]
    return {
        "calls": sum(each["calls"] for each in by_direction.values()),
        "missed": incoming["calls"] - incoming["open"] - answered,
        "clients": clients,
        "incoming": incoming,
        "outgoing": by_direction[Direction.OUTGOING],
    }


def _of_direction(direction: Direction, groups: Sequence[Any]) -> dict[str, Any]:
    mine = [row for row in groups if row.direction == direction]
    ended = {str(each): 0 for each in Disposition} | {
        row.disposition: row.found for row in mine if row.state == CallState.ENDED
    }
    return {
        "calls": sum(row.found for row in mine),
        "talk_seconds": sum(row.talk or 0 for row in mine),
        "by_disposition": ended,
        "open": sum(row.found for row in mine if row.state == CallState.OPEN),
    }


def failed_deliveries(db: SQLConnection, connection: Connection, call_id: str) -> Sequence[int] | None:
    """IDs of a call's deliveries that a person may have tried again; None where there is no such call."""
    known = select(Call.id).where(Call.connection_id == connection.id, Call.id == call_id)
    if not _CALL_ID.fullmatch(call_id) or db.execute(known).first() is None:
        return None
    failed = Delivery.state.in_((DeliveryState.DEAD, DeliveryState.GIVEN_UP))
    # While a CRM can't be reached its deliveries keep their tries, but each that failed says why.
    tried = (Delivery.state == DeliveryState.PENDING) & ((Delivery.attempts > 0) | Delivery.error.is_not(None))
    return db.execute(select(Delivery.id).where(Delivery.call_id == call_id, or_(failed, tried))).scalars().all()


def events(db: SQLConnection, connection: Connection, wanted: Mapping[str, Any]) -> Listed:
    """A part of the connection's kept inbound events, newest first; `wanted` is a loaded EventFilter."""
    query = select(*InboundEvent.__table__.columns).where(InboundEvent.connection_id == connection.id)
    if wanted["rejected"] == "1":
        query = query.where(InboundEvent.reason.is_not(None))
    rows, cursor = _page(db, query, InboundEvent.received_at, InboundEvent.id, wanted)
    items = [
        {
            "id": row["id"],
            "received_at": _text(row["received_at"], connection.zone),
            "accepted": row["reason"] is None,
            "reason": row["reason"],
            "call_id": row["call_id"],
            "content_type": row["content_type"],
            "body": bytes(row["body"]).decode("utf-8", "replace"),
        }
        for row in rows
    ]
    return Listed(items=items, next=cursor)


def _calls_of(connection: Connection) -> Select[Any]:
    return (
        select(*Call.__table__.columns, *(column.label(_LINK[column.key]) for column in LINK_COLUMNS))
        .outerjoin(Recording, Recording.call_id == Call.id)
        .where(Call.connection_id == connection.id)
    )


def _conditions(connection: Connection, wanted: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    conditions = [getattr(Call, key) == wanted[key] for key in ("direction", "disposition") if key in wanted]
    conditions += _in_period(connection, wanted)
    if "number" in wanted:
        conditions.append(Call.client_number == normal_number(wanted["number"], connection.get("phone_region")))
    return conditions


def _in_period(connection: Connection, wanted: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if "since" in wanted:
        conditions.append(Call.started_at >= instant(wanted["since"], connection.zone, end_of_day=False))
    if "until" in wanted:
        conditions.append(Call.started_at < instant(wanted["until"], connection.zone, end_of_day=True))
    return conditions


def _page(
    db: SQLConnection, query: Select[Any], time_column: Any, id_column: Any, wanted: Mapping[str, Any]
) -> tuple[Sequence[RowMapping], str | None]:
    """Up to `limit` rows from the cursor on, and the next cursor where there are more.

    Places are by time and ID, not by number, so that what is added meanwhile moves nothing.
    """
    place: Place | None = wanted.get("cursor")
    if place is not None:
        key = int(place.id) if id_column.type.python_type is int else place.id
        place_of_row = tuple_(time_column, id_column)
        query = query.where(place_of_row < tuple_(literal(place.at, time_column.type), literal(key, id_column.type)))
    found = query.order_by(time_column.desc(), id_column.desc()).limit(wanted["limit"] + 1)
    rows = db.execute(found).mappings().all()
    if len(rows) <= wanted["limit"]:
        return rows, None
    last = rows[wanted["limit"] - 1]
    return rows[:-1], Place(at=last[time_column.key], id=str(last[id_column.key])).text()


def _call_json(row: RowMapping, connection: Connection, settings: Settings) -> dict[str, Any]:
    plain = ("id", "callid", "crm_call_id", "direction", "client_number", "line", "extension")
    return {name: row[name] for name in plain} | {
        "started_at": _text(row["started_at"], connection.zone),
        "ended_at": _text(row["ended_at"], connection.zone),
        "disposition": row["disposition"],
        "billsec": row["billsec"],
        "recording": given_url(settings, connection, **{name: row[label] for name, label in _LINK.items()}),
        "state": row["state"],
        "source": row["source"],
    }


def _dial(db: SQLConnection, connection: Connection, call_id: str) -> dict[str, Any] | None:
    """The request that the call was made for, None where nobody asked us for it."""
    columns = (Dial.state, Dial.origin, Dial.reason, Dial.answer, Dial.asked_by, Dial.extensions, Dial.created_at)
    row = db.execute(select(*columns).where(Dial.call_id == call_id)).mappings().one_or_none()
    if row is None:
        return None
    return {**row, "asked_at": _text(row["created_at"], connection.zone)}


def _deliveries(db: SQLConnection, connection: Connection, call_id: str) -> list[dict[str, Any]]:
    attempts: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    of_call = select(Attempt).join(Delivery, Delivery.id == Attempt.delivery_id).where(Delivery.call_id == call_id)
    for row in db.execute(of_call.order_by(Attempt.id)).mappings():
        attempts[row["delivery_id"]].append({**row, "at": _text(row["at"], connection.zone)})
    deliveries = select(Delivery).where(Delivery.call_id == call_id).order_by(Delivery.step)
    return [
        {
            **{name: row[name] for name in ("id", "kind", "state", "error")},
            "due_at": _text(row["due_at"], connection.zone),
            "settled_at": _text(row["settled_at"], connection.zone),
            "attempts": attempts[row["id"]],
        }
        for row in db.execute(deliveries).mappings()
    ]


def _text(moment: datetime | None, zone: ZoneInfo) -> str | None:
    """ISO 8601 with the zone's offset, to the second."""
    return None if moment is None else moment.astimezone(zone).isoformat(timespec="seconds")
