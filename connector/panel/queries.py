"""What the pages read and the little that they write themselves, as SQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Select, and_, delete, func, or_, select

from connector.connections.accounts import BOUND
from connector.db import Database, now, upsert
from connector.models import (
    Announcement,
    Attempt,
    Call,
    CallbackRequest,
    ConsentText,
    CRMAccount,
    Customer,
    Delivery,
    DeliveryState,
    Dial,
    DialOrigin,
    InboundEvent,
    Recording,
)
from connector.panel.access import Scope

PAGE = 50
FAILING_AFTER = timedelta(minutes=15)
"""A delivery that fails for this long is shown to the admin."""
MOST_CHANGES = 500
_FIRST_YEAR, _LAST_YEAR = 1900, 9000  # what can be computed with in any time zone
ATTEMPTS_SHOWN = 20


class ChangedCall(NamedTuple):
    """A call as it was at its latest change."""

    id: str
    connection_id: int
    extension: str | None
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class Page:
    """Rows, newest first, and the cursor of the next page."""

    rows: Sequence[Row[Any]]
    next: str | None


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where a page of calls begins: after this call."""

    started_at: datetime
    id: str

    def __str__(self) -> str:
        return f"{self.started_at.isoformat()}~{self.id}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """The position of a cursor. Raises ValueError."""
        moment, separator, call_id = text.partition("~")
        started_at = datetime.fromisoformat(moment)
        if not separator or started_at.tzinfo is None or not _FIRST_YEAR <= started_at.year <= _LAST_YEAR:
            raise ValueError("no cursor of ours")
        return cls(started_at=started_at, id=call_id)


def calls_page(database: Database, scope: Scope, connection_id: int | None, after: Position | None) -> Page:
    """Calls that the scope sees, of one connection where given."""
    query = _CALLS.where(*_in_scope(scope)).order_by(Call.started_at.desc(), Call.id.desc())
    if connection_id is not None:
        query = query.where(Call.connection_id == connection_id)
    if after is not None:
        query = query.where(
            or_(
                Call.started_at < after.started_at,
                and_(Call.started_at == after.started_at, Call.id < after.id),
            )
        )
    with database.read() as db:
        rows = db.execute(query.limit(PAGE + 1)).all()
    return _page(rows, lambda row: str(Position(started_at=row.started_at, id=row.id)))


def call_row(database: Database, scope: Scope, call_id: str) -> Row[Any] | None:
    """One call with its customer's name and its recording's state; None where the scope does not see it."""
    query = (
        _CALLS.add_columns(
            *(column.label(f"recording_{column.key}") for column in _RECORDING),
        )
        .outerjoin(Recording, Recording.call_id == Call.id)
        .where(Call.id == call_id, *_in_scope(scope))
    )
    with database.read() as db:
        return db.execute(query).first()


def framed_calls(
    database: Database, connection_id: int, *, mine: tuple[str | None, str] | None, number: str | None
) -> Sequence[Row[Any]]:
    """The latest calls of a connection with their recordings' and dials' states, newest first.

    `mine` leaves those of one employee, by extension or by the CRM's user ID; `number` those of one client.
    """
    query = (
        _CALLS.add_columns(
            Recording.state.label("recording_state"),
            Recording.content_type.label("recording_type"),
            Recording.as_mp3.label("recording_as_mp3"),
            Dial.reason.label("dial_reason"),
        )
        .outerjoin(Recording, Recording.call_id == Call.id)
        .outerjoin(Dial, Dial.call_id == Call.id)
        .where(Call.connection_id == connection_id)
    )
    if mine is not None:
        extension, user_id = mine
        own = Call.crm_user_id == user_id
        query = query.where(or_(own, Call.extension == extension) if extension else own)
    if number is not None:
        query = query.where(Call.client_number == number)
    with database.read() as db:
        return db.execute(query.order_by(Call.started_at.desc(), Call.id.desc()).limit(PAGE)).all()


def calls_changed_since(database: Database, moment: datetime) -> list[ChangedCall]:
    """The latest changes."""
    query = select(Call.id, Call.connection_id, Call.extension, Call.updated_at).where(Call.updated_at >= moment)
    with database.read() as db:
        rows = db.execute(query.order_by(Call.updated_at.desc()).limit(MOST_CHANGES)).all()
    return [ChangedCall(*row) for row in rows]


def deliveries_of(database: Database, call_id: str) -> list[tuple[Row[Any], list[Row[Any]]]]:
    """A call's deliveries in the order of telling, each with its latest attempts, newest first."""
    with database.read() as db:
        deliveries = db.execute(
            select(*Delivery.__table__.columns).where(Delivery.call_id == call_id).order_by(Delivery.step)
        ).all()
        attempts = db.execute(
            select(*Attempt.__table__.columns)
            .where(Attempt.delivery_id.in_([delivery.id for delivery in deliveries]))
            .order_by(Attempt.id.desc())
            .limit(ATTEMPTS_SHOWN * 3)
        ).all()
    grouped: dict[int, list[Row[Any]]] = defaultdict(list)
    for attempt in attempts:
        grouped[attempt.delivery_id].append(attempt)
    return [(delivery, grouped[delivery.id][:ATTEMPTS_SHOWN]) for delivery in deliveries]


def stuck_deliveries(database: Database, before: int | None) -> Page:
    """Deliveries that are dead, or that have failed for long, newest first."""
    failing = and_(
        Delivery.state == DeliveryState.PENDING,
        Delivery.attempts > 0,
        Delivery.error.is_not(None),
        Delivery.created_at < now() - FAILING_AFTER,
    )
    query = (
        select(*Delivery.__table__.columns, Call.client_number, Call.started_at, Announcement.name.label("announced"))
        .outerjoin(Call, Call.id == Delivery.call_id)
        .outerjoin(Announcement, Announcement.id == Delivery.announcement_id)
        .where(or_(Delivery.state == DeliveryState.DEAD, failing))
    )
    return _by_id(database, query, Delivery.id, before)


def events_page(database: Database, *, rejected_only: bool, before: int | None) -> Page:
    """Kept requests of Evrotel's, newest first."""
    query = select(*InboundEvent.__table__.columns)
    if rejected_only:
        query = query.where(InboundEvent.reason.is_not(None))
    return _by_id(database, query, InboundEvent.id, before)


def events_of(database: Database, call_id: str) -> Sequence[Row[Any]]:
    """The requests that a call was made from."""
    query = select(*InboundEvent.__table__.columns).where(InboundEvent.call_id == call_id).order_by(InboundEvent.id)
    with database.read() as db:
        return db.execute(query.limit(PAGE)).all()


def dial_of(database: Database, call_id: str) -> Row[Any] | None:
    """The request to dial that a call was made for; None where it began by itself."""
    with database.read() as db:
        return db.execute(select(*Dial.__table__.columns).where(Dial.call_id == call_id)).first()


def asked_on_site(database: Database, call_id: str) -> Row[Any] | None:
    """The request of the call-back button that a call was made for, with what its visitor agreed to."""
    of_site = select(func.substr(Dial.key, len("site-") + 1, 32)).where(
        Dial.call_id == call_id, Dial.origin == DialOrigin.SITE
    )
    agreed = and_(
        ConsentText.connection_id == CallbackRequest.connection_id,
        ConsentText.version == CallbackRequest.consent_version,
    )
    query: Select[Any] = (
        select(*CallbackRequest.__table__.columns, ConsentText.text.label("consent_text"))
        .outerjoin(ConsentText, agreed)
        .where(CallbackRequest.id == of_site.scalar_subquery())
    )
    with database.read() as db:
        return db.execute(query).first()


def event_exists(database: Database, event_id: int) -> bool:
    with database.read() as db:
        return db.execute(select(InboundEvent.id).where(InboundEvent.id == event_id)).first() is not None


@dataclass(frozen=True, kw_only=True)
class Activity:
    """What the list of connections shows besides the connections: each by connection ID."""

    last_event: dict[int, datetime]
    dead: dict[int, int]
    installed: set[int]


def activity(database: Database) -> Activity:
    last_event = select(InboundEvent.connection_id, func.max(InboundEvent.received_at)).group_by(
        InboundEvent.connection_id
    )
    dead = (
        select(Delivery.connection_id, func.count())
        .where(Delivery.state == DeliveryState.DEAD)
        .group_by(Delivery.connection_id)
    )
    with database.read() as db:
        return Activity(
            last_event={row[0]: row[1] for row in db.execute(last_event)},
            dead={row[0]: row[1] for row in db.execute(dead)},
            installed=set(db.execute(select(CRMAccount.connection_id).where(BOUND)).scalars()),
        )


def name_customer(database: Database, connection_id: int, number: str, name: str) -> None:
    """Keeps the journal's name for a number; an empty one forgets it."""
    with database.write() as db:
        if name:
            upsert(
                db,
                Customer,
                ["connection_id", "number"],
                {"connection_id": connection_id, "number": number, "name": name},
            )
        else:
            db.execute(delete(Customer).where(Customer.connection_id == connection_id, Customer.number == number))


_RECORDING = (
    Recording.state,
    Recording.error,
    Recording.content_type,
    Recording.as_mp3,
    Recording.milliseconds,
    Recording.waveform,
    Recording.attempts,
    Recording.due_at,
    Recording.revoked_at,
)

_CALLS = select(*Call.__table__.columns, Customer.name.label("customer")).outerjoin(
    Customer, and_(Customer.connection_id == Call.connection_id, Customer.number == Call.client_number)
)


def _in_scope(scope: Scope) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if scope.connection_id is not None:
        conditions.append(Call.connection_id == scope.connection_id)
    if scope.extension is not None:
        conditions.append(Call.extension == scope.extension)
    return conditions


def _by_id(database: Database, query: Select[Any], key: Any, before: int | None) -> Page:
    if before is not None:
        query = query.where(key < before)
    with database.read() as db:
        rows = db.execute(query.order_by(key.desc()).limit(PAGE + 1)).all()
    return _page(rows, lambda row: str(row.id))


def _page(rows: Sequence[Any], cursor: Callable[[Any], str]) -> Page:
    shown = rows[:PAGE]
    return Page(rows=shown, next=cursor(shown[-1]) if len(rows) > PAGE else None)
