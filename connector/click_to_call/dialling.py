"""Sends requests to dial to Evrotel, each once, and gives up those whose call does not come. A worker's work."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, or_, select, update

from connector.calls.numbers import is_extension
from connector.calls.people import extension_of, users_by_extension
from connector.click_to_call.dial_requests import PLAY_WITHIN, end_dial
from connector.connections.store import Connection
from connector.db import insert_or_ignore, now
from connector.delivery.outbox import delivery_row
from connector.deployment import Deployment
from connector.evrotel.client import DialAnswer, EvrotelClient, Verdict, played
from connector.log import about
from connector.models import Call, Delivery, DeliveryKind, Dial, DialOrigin, DialState
from crm_adapters.contract import Capability
from crm_adapters.errors import AdapterError
from crm_adapters.events import Disposition

logger = logging.getLogger(__name__)

CLAIM = timedelta(seconds=15)
"""Longer than finding out whose phone is to ring can take; a dial whose worker died before it was sent goes again."""
OF_USE = timedelta(seconds=30)
"""A call that an employee asked for longer ago than this would surprise them."""
ASK_AGAIN = timedelta(seconds=2)
TOO_SOON_WAIT = timedelta(seconds=61)
ASKING_SECONDS = 4.0
PLAY_LASTS = timedelta(minutes=5)
PLAY_AGAIN = timedelta(seconds=10)
EVENTS_FOLLOW = timedelta(seconds=10)
"""So long after Evrotel's answer to a played message its events may come; they tell the call better."""
MOST_EXTENSIONS = 20
_SURPRISES = frozenset({DialOrigin.CLICK, DialOrigin.API, DialOrigin.LINK})
_ANSWERED_AT_ONCE = frozenset({DialOrigin.API, DialOrigin.LINK})
"""Whoever asked waits for the answer, and asks again if they like."""
_REGISTERED_AT_ONCE = frozenset({DialOrigin.CALLBACK, DialOrigin.SITE})
"""A client's wish: the CRM learns of it before the phone of the employee rings."""


@dataclass(frozen=True, kw_only=True)
class _Job:
    dial: Any
    connection: Connection


Submit = Callable[[Callable[[], None]], object]


def work_dials(deployment: Deployment, submit: Submit, submit_play: Submit, plays: int) -> None:
    """Claims what is due, at most so many `plays` of messages among it, and submits each as a job; ends what has waited
    too long. Harmless in two workers at once."""
    give_up_late(deployment)
    for job in _claim_due(deployment, Dial.mediafile.is_(None), None):
        submit(partial(dial_one, deployment, job))
    for job in _claim_due(deployment, Dial.mediafile.is_not(None), plays):
        submit_play(partial(dial_one, deployment, job))


def dial_now(deployment: Deployment, connection: Connection, call_id: str) -> None:
    """Dials what this process has claimed (`keep_request`), for whoever waits for the answer."""
    with deployment.database.read() as db:
        row = db.execute(_DUE.where(Dial.call_id == call_id)).first()
    if row is not None:
        dial_one(deployment, _Job(dial=row, connection=connection))


_DUE = select(*Dial.__table__.columns, Call.client_number, Call.crm_call_id).join(Call, Call.id == Dial.call_id)


def give_up_late(deployment: Deployment) -> None:
    """Ends calls that were asked for and whose start has not come in time."""
    with deployment.database.read() as db:
        late = db.execute(_late()).all()
    for row in late:
        connection = deployment.connections.by_id(row.connection_id)
        if connection is None:
            continue
        disposition = _said(row) if row.mediafile and row.state == DialState.ACCEPTED else None
        reason = "no_start" if row.state != DialState.PENDING else "unreachable"
        if row.state == DialState.SENT and row.origin == DialOrigin.API:
            reason = "unclear"  # a program that repeats its request is told so again
        if disposition is not None:
            reason = "refused" if disposition is Disposition.FAILED else str(disposition)
        with deployment.database.write() as db:
            ends_as = disposition or Disposition.FAILED
            if end_dial(db, connection, row.call_id, reason, at=now(), disposition=ends_as):
                level = logging.INFO if row.mediafile and disposition is not None else logging.WARNING
                logger.log(level, "a call that was asked for had no events: %s", reason, extra=about(row.call_id))
                deployment.database.wake_workers(db)


def _said(row: Any) -> Disposition | None:
    """How a played message ended by Evrotel's answer: `good` says so to a campaign, to others that it was taken."""
    good = row.origin == DialOrigin.CAMPAIGN and (row.answer or "").strip().lower() == "good"
    return Disposition.ANSWERED if good else played(row.answer or "")


def _late() -> Any:
    return select(Dial.call_id, Dial.connection_id, Dial.state, Dial.mediafile, Dial.answer, Dial.origin).where(
        Dial.state.in_([DialState.PENDING, DialState.SENT, DialState.ACCEPTED]), Dial.expires_at <= now()
    )


def _claim_due(deployment: Deployment, which: ColumnElement[bool], most: int | None) -> list[_Job]:
    at = now()
    due = (
        which,
        Dial.state == DialState.PENDING,
        Dial.due_at <= at,
        or_(Dial.claimed_until.is_(None), Dial.claimed_until <= at),
    )
    with deployment.database.read() as db:
        if most == 0 or db.execute(select(Dial.id).where(*due).limit(1)).first() is None:
            return []
    with deployment.database.write() as db:
        oldest = select(Dial.id).where(*due).order_by(Dial.due_at).limit(most)
        ids = db.execute(oldest.with_for_update(skip_locked=True)).scalars().all()
        db.execute(update(Dial).where(Dial.id.in_(ids)).values(claimed_until=at + CLAIM))
        rows = db.execute(_DUE.where(Dial.id.in_(ids))).all()
    connections = {row.connection_id: deployment.connections.by_id(row.connection_id) for row in rows}
    return [_Job(dial=row, connection=found) for row in rows if (found := connections[row.connection_id])]


def dial_one(deployment: Deployment, job: _Job) -> None:
    """Finds whose phone is to ring, has Evrotel dial, and writes down what it said."""
    dial, connection = job.dial, job.connection
    if reason := _hopeless(connection, dial):
        _fail(deployment, job, reason)
        return
    extensions: list[str] = list(dial.extensions)  # named by whoever asked, or known since it was tried before
    if not dial.mediafile and (not extensions or dial.origin == DialOrigin.SITE):
        user_id, extensions = (None, extensions) if extensions else _phones(deployment, connection, dial)
        if not extensions:
            _fail(deployment, job, "no_extension")
            return
        _keep_phones(deployment, job, user_id, extensions)
    if not _mark_sent(deployment, dial):
        return
    client = EvrotelClient(deployment.settings, connection)
    if dial.mediafile:
        _played(deployment, job, client.play(dial.mediafile, dial.client_number))
    else:
        _called(deployment, job, client.call(extensions, dial.client_number, dial.routing or connection.get("routing")))


def _hopeless(connection: Connection, dial: Any) -> str:
    """Why Evrotel need not be asked; empty where it is to be."""
    if not connection.get("evrotel_billcode"):
        return "no_billcode"
    waited = now() - dial.created_at
    is_late = waited > PLAY_WITHIN if dial.mediafile else dial.origin in _SURPRISES and waited > OF_USE
    return "too_late" if is_late else ""


def _phones(deployment: Deployment, connection: Connection, dial: Any) -> tuple[str | None, list[str]]:
    """The CRM user and the extensions that are to ring, the first that is known: whoever asked, the responsible, the
    connection's extensions for call-backs, the default user's, all there are."""
    user_id = dial.user_id
    if user_id is None:
        try:
            user_id = deployment.adapter(connection).responsible(dial.client_number, seconds=ASKING_SECONDS)
        except AdapterError as error:
            logger.warning("the responsible is not known: %s", error, extra=about(dial.call_id))
    extension = extension_of(deployment, connection, user_id, ASKING_SECONDS)
    if extension:
        return user_id, [extension]
    if dial.user_id is not None:
        return user_id, []
    named = [each.strip() for each in connection.get("callback_extensions").split(",") if each.strip()]
    if named:
        return user_id, named
    default = extension_of(deployment, connection, connection.get("default_user"), ASKING_SECONDS)
    if default:
        return connection.get("default_user"), [default]
    known = sorted(filter(is_extension, users_by_extension(deployment, connection)))
    return user_id, known[:MOST_EXTENSIONS]


def _keep_phones(deployment: Deployment, job: _Job, user_id: str | None, extensions: list[str]) -> None:
    """Who will ring stands in the call; a call-back is registered at once, so that its start finds the CRM's ID."""
    dial, connection, at = job.dial, job.connection, now()
    changes: dict[str, Any] = {"crm_user_id": user_id} if user_id else {}
    if len(extensions) == 1:
        changes["extension"] = extensions[0]
    with deployment.database.write() as db:
        if changes:
            db.execute(update(Call).where(Call.id == dial.call_id, Call.expected.is_(True)).values(changes))
        db.execute(update(Dial).where(Dial.id == dial.id).values(extensions=extensions))
        if dial.origin in _REGISTERED_AT_ONCE and connection.can(Capability.CALL_ID):
            row = delivery_row(dial.call_id, connection.id, DeliveryKind.START, at, expires_at=dial.expires_at)
            db.execute(insert_or_ignore(db, Delivery, ["call_id", "kind"]), row)
            deployment.database.wake_workers(db)


def _mark_sent(deployment: Deployment, dial: Any) -> bool:
    """Whether it is ours to send: from now on nobody sends it again, whatever happens."""
    lasts = {"expires_at": now() + PLAY_LASTS} if dial.mediafile else {}
    with deployment.database.write() as db:
        sent = db.execute(
            update(Dial)
            .where(Dial.id == dial.id, Dial.state == DialState.PENDING)
            .values(state=DialState.SENT, claimed_until=None, **lasts)
        )
    return bool(sent.rowcount)


def _called(deployment: Deployment, job: _Job, answer: DialAnswer) -> None:
    logger.info("Evrotel was asked to dial: %s %s", answer.verdict, answer.text, extra=about(job.dial.call_id))
    match answer.verdict:
        case Verdict.ACCEPTED:
            _note(deployment, job, DialState.ACCEPTED, answer)
        case Verdict.UNREACHABLE if job.dial.origin not in _ANSWERED_AT_ONCE and _of_use(job.dial):
            _again(deployment, job, answer, ASK_AGAIN)
        case Verdict.UNREACHABLE:
            _fail(deployment, job, "unreachable", answer)
        case Verdict.UNCLEAR:
            _note(deployment, job, DialState.SENT, answer)  # the start tells whether it was heard
        case _:
            _fail(deployment, job, "refused", answer)


def _of_use(dial: Any) -> bool:
    return bool(now() - dial.created_at < OF_USE - ASK_AGAIN)


def _played(deployment: Deployment, job: _Job, answer: DialAnswer) -> None:
    logger.info("Evrotel was asked to play: %s %s", answer.verdict, answer.text, extra=about(job.dial.call_id))
    if answer.verdict is Verdict.UNREACHABLE:
        _again(deployment, job, answer, PLAY_AGAIN)
    elif answer.verdict is Verdict.TOO_SOON:
        _again(deployment, job, answer, TOO_SOON_WAIT)
    elif answer.verdict is Verdict.REFUSED:
        _fail(deployment, job, "refused", answer)
    elif answer.disposition is None:
        _note(deployment, job, DialState.ACCEPTED, answer)
    else:
        _note(deployment, job, DialState.ACCEPTED, answer, expires_at=now() + EVENTS_FOLLOW)


def _again(deployment: Deployment, job: _Job, answer: DialAnswer, wait: timedelta) -> None:
    within = {"expires_at": job.dial.created_at + PLAY_WITHIN} if job.dial.mediafile else {}
    changes = {"state": DialState.PENDING, "due_at": now() + wait, "answer": answer.text}
    with deployment.database.write() as db:
        db.execute(_of_open(job.dial).values(changes | within))


def _note(deployment: Deployment, job: _Job, state: DialState, answer: DialAnswer, **changes: Any) -> None:
    with deployment.database.write() as db:
        db.execute(_of_open(job.dial).values(state=state, answer=answer.text, **changes))


def _of_open(dial: Any) -> Any:
    """The dial as long as neither its start has come nor it was given up."""
    return update(Dial).where(Dial.id == dial.id, Dial.state.in_([DialState.SENT, DialState.PENDING]))


def _fail(deployment: Deployment, job: _Job, reason: str, answer: DialAnswer | None = None) -> None:
    text = answer.text if answer else None
    with deployment.database.write() as db:
        if end_dial(db, job.connection, job.dial.call_id, reason, at=now(), answer=text):
            logger.warning("a call was not dialled: %s", reason, extra=about(job.dial.call_id))
        deployment.database.wake_workers(db)
