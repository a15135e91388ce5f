"""The outbox in SQL: what CRMs must hear, in which order, kept until it is settled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection as SQLConnection
from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.orm import aliased

from connector.models import (
    STEPS,
    Announcement,
    Call,
    CallState,
    Delivery,
    DeliveryKind,
    DeliveryState,
    Dial,
    Recording,
)

MOST_AT_ONCE = 50
"""Deliveries told in one go: Bitrix24's batch and amoCRM's arrays take as many."""
STARTS_HOLD_UP = 3
"""Tries of a start of its own after which the later steps of its call no longer wait for it."""


def delivery_row(
    call_id: str | None, connection_id: int, kind: DeliveryKind, at: datetime, **others: Any
) -> dict[str, Any]:
    """A pending delivery, due at once. A `call_id` of None is for announcements, which are named in `others`."""
    return {
        "connection_id": connection_id,
        "call_id": call_id,
        "kind": kind,
        "step": STEPS[kind],
        "state": DeliveryState.PENDING,
        "due_at": at,
        "claimed_until": None,
        "expires_at": None,
        "attempts": 0,
        "progress": {},
        "created_at": at,
    } | others


_Earlier = aliased(Delivery)

_MAY_GO = and_(
    Delivery.state == DeliveryState.PENDING,
    # An earlier step of the same call goes first, also one that waits. One that is dead and has to be helped by an
    # admin holds up what can't do without it: a recording its finish.
    ~select(_Earlier.id)
    .where(
        _Earlier.call_id == Delivery.call_id,
        _Earlier.step < Delivery.step,
        or_(
            and_(
                _Earlier.state.in_([DeliveryState.PENDING, DeliveryState.WAITING]),
                or_(_Earlier.kind != DeliveryKind.START, _Earlier.attempts < STARTS_HOLD_UP),
            ),
            and_(
                _Earlier.state == DeliveryState.DEAD,
                _Earlier.kind == DeliveryKind.FINISH,
                Delivery.kind == DeliveryKind.RECORDING,
            ),
        ),
    )
    .exists(),
)


def may_go(at: datetime) -> Any:
    """The condition of a delivery that can be told at the moment `at`."""
    unclaimed = or_(Delivery.claimed_until.is_(None), Delivery.claimed_until <= at)
    return and_(_MAY_GO, Delivery.due_at <= at, unclaimed)


_WITH_FACTS = (
    select(
        Delivery.id.label("delivery_id"),
        Delivery.kind,
        Delivery.attempts,
        Delivery.progress,
        Delivery.failed_at,
        Delivery.error,
        Call.id.label("call_id"),
        Call.callid,
        Call.crm_call_id,
        Call.source,
        Call.direction,
        Call.client_number,
        Call.line,
        Call.extension,
        Call.started_at,
        Call.ended_at,
        Call.disposition,
        Call.billsec,
        Call.kind.label("call_kind"),
        Call.crm_user_id,
        Call.crm_notes,
        Recording.size.label("recording_size"),
        Recording.link_nonce,
        Recording.state.label("recording_state"),
        Recording.revoked_at,
        Recording.recfile,
        Recording.content_type,
        Recording.as_mp3,
        Recording.milliseconds.label("recording_milliseconds"),
        Dial.key.label("dial_key"),
        Dial.user_id.label("dial_user_id"),
        Dial.extensions.label("dial_extensions"),
        Dial.reason.label("dial_reason"),
        Dial.origin.label("dial_origin"),
        Dial.asked_by.label("dial_asked_by"),
        Announcement.name.label("announced"),
        Announcement.key.label("announced_key"),
        Announcement.data.label("announced_data"),
        Announcement.created_at.label("announced_at"),
    )
    .outerjoin(Call, Call.id == Delivery.call_id)
    .outerjoin(Announcement, Announcement.id == Delivery.announcement_id)
    .outerjoin(Recording, Recording.call_id == Call.id)
    .outerjoin(Dial, Dial.call_id == Call.id)
)


def claimed(db: SQLConnection, call_id: str) -> Any:
    """The start that its request is to tell at once, with the call's facts; None where the claim has lapsed."""
    return db.execute(
        _WITH_FACTS.where(
            Delivery.call_id == call_id,
            Delivery.kind == DeliveryKind.START,
            Delivery.state == DeliveryState.PENDING,
        )
    ).first()


def release_claim(db: SQLConnection, call_id: str) -> None:
    """The lane may tell the start from now on."""
    db.execute(
        update(Delivery)
        .where(Delivery.call_id == call_id, Delivery.kind == DeliveryKind.START)
        .values(claimed_until=None)
    )


def end_wait(db: SQLConnection, delivery_id: int, at: datetime) -> None:
    """A delivery that was put off is due now, where it still waits."""
    db.execute(
        update(Delivery)
        .where(Delivery.id == delivery_id, Delivery.state == DeliveryState.PENDING, Delivery.due_at > at)
        .values(due_at=at)
    )


def take_due(db: SQLConnection, connection_id: int, at: datetime, *, probing: bool) -> Sequence[Any]:
    """What the lane tells next, with the calls' facts: ringing phones first, then the oldest call.

    At most one delivery of a call, because an earlier step holds up the later ones, and one task of a client: the next
    one looks what became of it. A probe is another one each time, so that a delivery which the CRM chokes on can't pass
    for an account that does not answer.
    """
    turn = [func.coalesce(Delivery.failed_at, Delivery.created_at)] if probing else []
    rows = db.execute(
        _WITH_FACTS.where(Delivery.connection_id == connection_id, may_go(at))
        .order_by(Delivery.step != STEPS[DeliveryKind.START], *turn, Delivery.call_id, Delivery.id)
        .limit(1 if probing else MOST_AT_ONCE)
    ).all()
    first = {row.client_number: row for row in reversed(rows) if row.kind == DeliveryKind.TASK}
    return [row for row in rows if row.kind != DeliveryKind.TASK or first[row.client_number] is row]


def expire(db: SQLConnection, connection_id: int, at: datetime) -> None:
    """Starts whose card would come too late, or whose call has ended, are not told any more: the finish tells them."""
    ended = select(Call.id).where(Call.id == Delivery.call_id, Call.state == CallState.ENDED).exists()
    db.execute(
        update(Delivery)
        .where(
            Delivery.connection_id == connection_id,
            Delivery.state == DeliveryState.PENDING,
            Delivery.kind == DeliveryKind.START,
            or_(Delivery.claimed_until.is_(None), Delivery.claimed_until <= at),
            Delivery.expires_at.is_not(None),
            or_(Delivery.expires_at <= at, ended),
        )
        .values(state=DeliveryState.EXPIRED, settled_at=at, error="too late for a card; told with the end of the call")
    )
