"""Dialling for somebody who waits for the answer: a program by the HTTP API, a person on the page of a link.

The request is kept before Evrotel is asked, so that a process that dies in between loses nothing: a worker takes it up
while it is still of use. A repeat with the same idempotency key is answered with what became of the first one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection as SQLConnection
from sqlalchemy import select, update

from connector.click_to_call.dial_requests import AskedBefore, DialRequest, in_turn, is_kept, keep_request
from connector.click_to_call.dialling import CLAIM, dial_now
from connector.connections.store import Connection
from connector.db import now
from connector.deployment import Deployment
from connector.models import Call, CallState, Dial, DialState

SAME_NUMBER = timedelta(seconds=15)
"""Who asks for the same number again within this has mostly clicked twice."""


class NoBillcode(Exception):
    """Evrotel can't be asked: the connection's billcode is not set."""


class AskedLately(Exception):
    """This phone was to call this number a moment ago."""


class OtherRequest(Exception):
    """The idempotency key was used before, for another request."""


@dataclass(frozen=True, kw_only=True)
class DialStatus:
    """What has become of a request to dial. `call_id` is its call's ID, which names the request too.

    `reason` is a key of `texts.DIAL_REASONS` where it failed, `answer` what Evrotel said.
    """

    call_id: str
    number: str | None
    extensions: tuple[str, ...]
    routing: str | None
    state: DialState
    reason: str | None
    answer: str | None
    asked_at: datetime
    is_claimed: bool
    """Whether a process has taken it to dial it now."""
    is_over: bool
    """Whether the call has ended."""

    @property
    def goes_on(self) -> bool:
        """Whether another request is just having it dialled."""
        asking = self.state is DialState.SENT or (self.state is DialState.PENDING and self.is_claimed)
        return asking and self.answer is None and now() - self.asked_at < CLAIM

    @property
    def is_unclear(self) -> bool:
        """Whether Evrotel was asked and gave no clear answer: the phone may ring or not."""
        return self.state is DialState.SENT


def dial_at_once(
    deployment: Deployment, connection: Connection, wanted: DialRequest, *, unless_lately: bool = False
) -> DialStatus:
    """Keeps the request, has Evrotel dial, and tells what it said; a repeat of `wanted.key` dials nothing.

    A key whose request never reached Evrotel may be used again. Where so many of this process wait for Evrotel that its
    events would have to wait too, a worker dials. Raises NoBillcode, OtherRequest, AskedLately where that is asked for,
    and what the database raises.
    """
    if not connection.get("evrotel_billcode"):
        raise NoBillcode
    if not deployment.waiting_dials.enter():
        return _kept(deployment, connection, wanted, here=False, unless_lately=unless_lately)
    try:
        return _kept(deployment, connection, wanted, here=True, unless_lately=unless_lately)
    finally:
        deployment.waiting_dials.leave()


def _kept(
    deployment: Deployment, connection: Connection, wanted: DialRequest, *, here: bool, unless_lately: bool
) -> DialStatus:
    """Keeps the request, and dials it `here` and now or leaves it to a worker."""
    at = now()
    try:
        with deployment.database.write() as db:
            _free_key(db, connection, wanted.key)
            if unless_lately:
                _refuse_lately(db, connection, wanted, at)
            call_id = keep_request(db, connection, wanted, at, claimed_until=at + CLAIM if here else None)
            if not here:
                deployment.database.wake_workers(db)
    except AskedBefore:
        return _earlier(deployment, connection, wanted)
    if here:
        dial_now(deployment, connection, call_id)
    return _status(deployment, connection, Dial.call_id == call_id)


def asked_before(deployment: Deployment, connection: Connection, key: str) -> DialStatus | None:
    """What became of the request with this idempotency key, None where there was none."""
    return _found(deployment, connection, Dial.key == key)


def status_of(deployment: Deployment, connection: Connection, call_id: str) -> DialStatus | None:
    """What has become of the request for this call, None where there is none."""
    return _found(deployment, connection, Dial.call_id == call_id)


def _refuse_lately(db: SQLConnection, connection: Connection, wanted: DialRequest, at: datetime) -> None:
    """Two clicks at once come as two requests, each with a key of its own: looked at one after the other."""
    in_turn(db, connection)
    lately = (
        select(Dial.id)
        .join(Call, Call.id == Dial.call_id)
        .where(
            Call.connection_id == connection.id,
            Call.client_number == wanted.number,
            Call.extension == wanted.extensions[0],
            Call.created_at >= at - SAME_NUMBER,
            Dial.state != DialState.FAILED,
        )
    )
    if not is_kept(db, connection, wanted.key) and db.execute(lately.limit(1)).first() is not None:
        raise AskedLately


def _free_key(db: SQLConnection, connection: Connection, key: str) -> None:
    """Nothing was dialled for a request that never reached Evrotel: whoever repeats it wants it made now."""
    db.execute(
        update(Dial)
        .where(
            Dial.connection_id == connection.id,
            Dial.key == key,
            Dial.state == DialState.FAILED,
            Dial.reason == "unreachable",
        )
        .values(key=Dial.key + ":" + Dial.id)
    )


def _earlier(deployment: Deployment, connection: Connection, wanted: DialRequest) -> DialStatus:
    found = _status(deployment, connection, Dial.key == wanted.key)
    same = (found.number, found.extensions, found.routing) == (
        wanted.number,
        wanted.extensions,
        wanted.routing or None,
    )
    if not same:
        raise OtherRequest
    return found


def _status(deployment: Deployment, connection: Connection, which: object) -> DialStatus:
    found = _found(deployment, connection, which)
    if found is None:
        raise LookupError("the request is gone")  # somebody has removed the connection meanwhile
    return found


def _found(deployment: Deployment, connection: Connection, which: object) -> DialStatus | None:
    query = (
        select(Dial.call_id, Dial.extensions, Dial.routing, Dial.state, Dial.reason, Dial.answer)
        .add_columns(Dial.created_at, Dial.claimed_until, Call.client_number, Call.state.label("call_state"))
        .join(Call, Call.id == Dial.call_id)
        .where(Dial.connection_id == connection.id, which)  # type: ignore[arg-type]  # a condition of SQLAlchemy's
    )
    with deployment.database.read() as db:
        row = db.execute(query).first()
    if row is None:
        return None
    return DialStatus(
        call_id=row.call_id,
        number=row.client_number,
        extensions=tuple(row.extensions),
        routing=row.routing,
        state=DialState(row.state),
        reason=row.reason,
        answer=row.answer,
        asked_at=row.created_at,
        is_claimed=row.claimed_until is not None,
        is_over=row.call_state == CallState.ENDED,
    )
