"""What became of tellings, written down in one transaction: deliveries, attempts, calls and the account's state."""

from __future__ import annotations

import copy
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, func, insert, select, update
from sqlalchemy import Connection as SQLConnection
from sqlalchemy.orm import aliased

from connector.connections.accounts import installed_after
from connector.db import now, upsert
from connector.delivery.retry import Decision, Verdict, decide, probe_wait
from connector.log import about
from connector.models import Attempt, Call, Connection, Delivery, DeliveryKind, DeliveryState, Lane
from crm_adapters.contract import Telling
from crm_adapters.errors import AccountTrouble, AdapterError, Held, Misconfigured, NotSent, SignInRefused, TryAgain

logger = logging.getLogger(__name__)

_OtherCall = aliased(Call)


@dataclass(frozen=True, kw_only=True)
class Told:
    """One telling and the delivery it belongs to. `attempts`, `failed_at` and `known_user_id` are from before this try,
    `known_notes` what is kept by now."""

    delivery_id: int
    call_id: str
    kind: str
    attempts: int
    failed_at: datetime | None
    telling: Telling
    known_notes: dict[str, Any]
    known_user_id: str | None
    known_error: str | None = None
    milliseconds: int = 0


def told_of(row: Any, telling: Telling, milliseconds: int = 0) -> Told:
    """The telling of a delivery; `row` has the columns of `outbox.take_due`."""
    return Told(
        delivery_id=row.delivery_id,
        call_id=row.call_id,
        kind=row.kind,
        attempts=row.attempts,
        failed_at=row.failed_at,
        telling=telling,
        known_notes=row.crm_notes or {},  # what is no call has none
        known_user_id=row.crm_user_id,
        known_error=row.error,
        milliseconds=milliseconds,
    )


def save_progress(db: SQLConnection, told: Sequence[Told]) -> None:
    """Keeps what a later try must know, before the next step is taken."""
    for each in told:
        _save_call(db, each)  # the call before its delivery, as an end does: else the two deadlock
        db.execute(update(Delivery).where(Delivery.id == each.delivery_id).values(progress=each.telling.progress))
        each.known_notes.clear()
        each.known_notes.update(copy.deepcopy(each.telling.notes))


def note_try(db: SQLConnection, each: Told, at: datetime) -> None:
    """Keeps a try that ended too early to say anything of the delivery or the account."""
    db.execute(insert(Attempt), [_attempt(each, at)])
    save_progress(db, [each])


def put_off(db: SQLConnection, delivery_id: int, attempts: int, reason: str, at: datetime) -> None:
    """A delivery that could not even be read into a telling is tried again by its own schedule; the rest goes on."""
    decision = decide(TryAgain(reason), attempts + 1, random.uniform(-1, 1))
    values = {"error": reason, "failed_at": at} | _changes(decision, attempts + 1, at)
    db.execute(update(Delivery).where(Delivery.id == delivery_id).values(values))


def settle(db: SQLConnection, connection_id: int, told: Sequence[Told], at: datetime) -> Verdict | None:
    """Writes all outcomes; returns ACCOUNT or PAUSE where nothing more is to be told for now."""
    if tries := [_attempt(each, at) for each in told if not (_still_held(each) or _not_tried(each))]:
        db.execute(insert(Attempt), tries)
    answered_at = _answered_at(db, connection_id)
    answered = any(not isinstance(each.telling.error, AccountTrouble) for each in told)
    verdicts: set[Verdict] = set()
    for each in told:
        save_progress(db, [each])
        if each.telling.error is None:
            _done(db, each, at)
        else:
            verdicts.add(_failed(db, each, each.telling.error, at, _own_fault(each, answered, answered_at)))
    if Verdict.PAUSE in verdicts:
        _pause(db, connection_id, told, at)
        return Verdict.PAUSE
    if answered:
        db.execute(update(Lane).where(Lane.connection_id == connection_id).values(answered_at=at))
    if Verdict.ACCOUNT in verdicts:
        trouble = next(e.telling.error for e in told if isinstance(e.telling.error, AccountTrouble))
        note_trouble(db, connection_id, trouble, at)
        return Verdict.ACCOUNT
    _end_trouble(db, connection_id)
    return None


def _still_held(each: Told) -> bool:
    """Whether nothing is new: a telling that waits for weeks must not fill the database with its looks."""
    return isinstance(each.telling.error, Held) and _text(each.telling.error) == each.known_error


def _not_tried(each: Told) -> bool:
    """Whether its turn did not come: behind a slow account a queue would fill pages and log with tries that were
    none."""
    return isinstance(each.telling.error, NotSent) and not each.telling.exchanges


def note_trouble(db: SQLConnection, connection_id: int, error: AccountTrouble, at: datetime) -> None:
    """The account does not answer: the lane waits for its next probe."""
    lane = db.execute(
        select(Lane.trouble_since, Lane.probes, Lane.next_probe_at)
        .where(Lane.connection_id == connection_id)
        .with_for_update()
    ).first()
    if lane and lane.next_probe_at and lane.next_probe_at > at:
        return  # many starts at once meet the same trouble: it counts once
    since = (lane.trouble_since if lane else None) or at
    probes = lane.probes if lane and lane.trouble_since else 0
    if isinstance(error, Misconfigured):
        logger.error("connection %s: a setting is wrong, an administrator has to mend it: %s", connection_id, error)
    elif probes == 0:
        logger.warning("connection %s: the account is in trouble: %s", connection_id, error)
    wait = probe_wait(probes, at - since, error.retry_after, random.uniform(-1, 1))
    values = {"trouble": _text(error), "trouble_since": since, "probes": probes + 1, "next_probe_at": at + wait}
    upsert(db, Lane, ["connection_id"], {"connection_id": connection_id} | values)


def _end_trouble(db: SQLConnection, connection_id: int) -> None:
    changed = db.execute(
        update(Lane)
        .where(Lane.connection_id == connection_id, Lane.trouble_since.is_not(None))
        .values(trouble=None, trouble_since=None, probes=0, next_probe_at=None)
    )
    if changed.rowcount:
        logger.info("connection %s: the account answers again", connection_id)


def _answered_at(db: SQLConnection, connection_id: int) -> datetime | None:
    return db.execute(select(Lane.answered_at).where(Lane.connection_id == connection_id)).scalar_one_or_none()


def _own_fault(each: Told, answered: bool, answered_at: datetime | None) -> bool:
    """Trouble that this delivery may make itself: it failed before, and the account has answered others since.

    Of a request that fails whole nobody knows which delivery it was: those that failed before get schedules of their
    own, whose jitter parts them, and only the guilty one goes on failing.
    """
    error = each.telling.error
    if not (isinstance(error, AccountTrouble) and error.maybe_done and each.failed_at):
        return False
    return answered or bool(answered_at and answered_at > each.failed_at)


def _save_call(db: SQLConnection, each: Told) -> None:
    """Keeps what the CRM said of the call, where that is new."""
    telling = each.telling
    crm_call_id = telling.crm_call_id
    changes: dict[str, Any] = {}
    if telling.notes != each.known_notes:
        changes |= {"crm_notes": telling.notes, "updated_at": now()}  # open pages look again
    if telling.crm_user_id and telling.crm_user_id != each.known_user_id:
        changes["crm_user_id"] = telling.crm_user_id
    if crm_call_id:
        changes |= {"crm_call_id": crm_call_id, "callid": func.coalesce(Call.callid, _own_callid(crm_call_id))}
    if changes:
        where = [Call.id == each.call_id]
        if set(changes) == {"crm_call_id", "callid"}:
            where.append(func.coalesce(Call.crm_call_id, "") != crm_call_id)
        db.execute(update(Call).where(*where).values(changes))


def _own_callid(crm_call_id: str) -> ColumnElement[str]:
    """The CRM's ID of the call, or ours where the CRM gives many calls one: an end must find its own."""
    taken = select(_OtherCall.id).where(
        _OtherCall.connection_id == Call.connection_id, _OtherCall.callid == crm_call_id
    )
    return case((taken.exists(), Call.id), else_=crm_call_id)


def _done(db: SQLConnection, each: Told, at: datetime) -> None:
    db.execute(
        update(Delivery)
        .where(Delivery.id == each.delivery_id)
        .values(
            state=DeliveryState.DONE,
            attempts=each.attempts + 1,
            error=None,
            claimed_until=None,
            settled_at=at,
        )
    )
    if each.kind == DeliveryKind.FINISH:
        # The finish has told the call whole; a start that the CRM had refused needs nobody's help any more.
        db.execute(
            update(Delivery)
            .where(
                Delivery.call_id == each.call_id,
                Delivery.kind == DeliveryKind.START,
                Delivery.state == DeliveryState.DEAD,
            )
            .values(state=DeliveryState.EXPIRED)
        )


def _failed(db: SQLConnection, each: Told, error: AdapterError, at: datetime, own_fault: bool) -> Verdict:
    attempts = each.attempts + 1
    decision = decide(error, attempts, random.uniform(-1, 1), own_fault=own_fault)
    values: dict[str, Any] = {"error": _text(error), "failed_at": at, "claimed_until": None}
    db.execute(
        update(Delivery)
        .where(Delivery.id == each.delivery_id, Delivery.state == DeliveryState.PENDING)
        .values(values | _changes(decision, attempts, at))
    )
    if decision.verdict is Verdict.DEAD:
        logger.error("the CRM will not take %s: %s", each.kind, error, extra=about(each.call_id))
    elif decision.verdict is Verdict.NOT_WANTED:
        logger.info("%s stays in the journal: %s", each.kind, error, extra=about(each.call_id))
    elif not (_still_held(each) or _not_tried(each)):
        logger.warning("%s not told (%s): %s", each.kind, decision.verdict, error, extra=about(each.call_id))
    return decision.verdict


def _changes(decision: Decision, attempts: int, at: datetime) -> dict[str, Any]:
    match decision.verdict:
        case Verdict.DEAD:
            return {"state": DeliveryState.DEAD, "attempts": attempts, "settled_at": at}
        case Verdict.NOT_WANTED:
            return {"state": DeliveryState.EXPIRED, "attempts": attempts, "settled_at": at}
        case Verdict.LATER:
            return {"attempts": attempts, "due_at": at + decision.wait}
        case Verdict.HELD:
            return {"due_at": at + decision.wait}
        case _:
            return {"due_at": at}


def _pause(db: SQLConnection, connection_id: int, told: Sequence[Told], at: datetime) -> None:
    refusals = (each.telling.error for each in told if isinstance(each.telling.error, SignInRefused))
    reason = _text(next(refusals))
    began = at - timedelta(milliseconds=max(each.milliseconds for each in told))
    paused = db.execute(
        update(Connection)
        .where(
            Connection.id == connection_id,
            Connection.paused_by.is_(None),
            ~installed_after(connection_id, began),
        )
        .values(paused_by="connector", paused_reason=reason, paused_at=at)
    )
    if paused.rowcount:
        logger.error("connection %s is paused: %s", connection_id, reason)


def _text(value: object) -> str:
    """A text that every database takes: PostgreSQL has no NUL, UTF-8 no half of a surrogate pair."""
    return str(value).replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _attempt(each: Told, at: datetime) -> dict[str, Any]:
    telling = each.telling
    return {
        "delivery_id": each.delivery_id,
        "at": at,
        "milliseconds": each.milliseconds,
        "outcome": type(telling.error).__name__ if telling.error else "done",
        "request": _text("\n".join(exchange.request for exchange in telling.exchanges)),
        "answer": _text("\n".join(exchange.answer for exchange in telling.exchanges)),
        "error": _text(telling.error) if telling.error else None,
    }
