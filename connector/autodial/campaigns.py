"""Campaigns as people see them: made, started, paused, stopped, and what has become of each number."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection as SQLConnection
from sqlalchemy import Row, Select, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from connector.autodial.announcing import announce_end
from connector.autodial.answers import REDIALLED
from connector.autodial.counting import counted
from connector.calls.arrivals import new_call_id
from connector.connections.store import Connection
from connector.db import now
from connector.deployment import Deployment
from connector.evrotel.client import EvrotelClient, Verdict
from connector.models import Campaign, CampaignNumber, CampaignNumberState, CampaignStatus, DoNotCall

AT_ONCE = 500
"""Rows of one INSERT."""
MOST_AT_ONCE = 50
"""The most calls of a campaign at the same time."""
DO_NOT_CALL, STOPPED, TOO_LATE = "do_not_call", "stopped", "too_late"
"""Why a number was skipped."""
ASKED_WITHIN = timedelta(seconds=15)
"""So long the request that has Evrotel begin with its own list may take."""
UNCLEAR = "Evrotel gave no clear answer: {said}"


class NotNow(ValueError):
    """The campaign is not in a state for this; the message says why, for people."""


class Refused(Exception):
    """Evrotel has not started its own list, or has not said so; the message says why, for people."""


class OtherCampaign(Exception):
    """The idempotency key was used before, for another campaign."""


@dataclass(frozen=True, kw_only=True)
class NewCampaign:
    """A campaign to be made. `numbers` are E.164, each once; empty: Evrotel's own list. Times are aware.

    `key` is the idempotency key, None where there is none. `by` is who makes it.
    """

    name: str
    mediafile: str
    by: str
    numbers: Sequence[str] = ()
    chnum: int = 3
    attempts: int = 3
    retry_seconds: int = 300
    redial: Sequence[str] = tuple(str(each) for each in REDIALLED)
    pause_seconds: int = 0
    quiet_hours: str | None = None
    holidays: Sequence[date] = ()
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    test_number: str | None = None
    key: str | None = None
    status: CampaignStatus = CampaignStatus.RUNNING
    consent_by: str | None = None
    skipped: Sequence[str] = field(default_factory=tuple)
    """Numbers of the list that are on the do-not-call list: kept as skipped."""


def make_campaign(deployment: Deployment, connection: Connection, wanted: NewCampaign) -> str:
    """Writes a campaign with its numbers, in one transaction; its ID. One of the same key is the same one.

    Raises OtherCampaign, and Refused where Evrotel does not start its own list.
    """
    row = _row(connection, wanted)
    if not (wanted.numbers or wanted.skipped):
        return _start_evrotels(deployment, connection, wanted, row)
    try:
        with deployment.database.write() as db:
            db.execute(insert(Campaign).values(row))
            _insert_numbers(db, row["id"], wanted)
            deployment.database.wake_workers(db)
    except IntegrityError:
        return _earlier(deployment, connection, wanted)
    return str(row["id"])


def _insert_numbers(db: SQLConnection, campaign_id: str, wanted: NewCampaign) -> None:
    at = now()
    common = {"campaign_id": campaign_id, "tries": 0, "due_at": at, "updated_at": at}
    waiting = common | {"state": CampaignNumberState.WAITING, "result": None}
    skipped = common | {"state": CampaignNumberState.SKIPPED, "result": DO_NOT_CALL}
    rows = [waiting | {"number": number} for number in wanted.numbers]
    rows += [skipped | {"number": number} for number in wanted.skipped]
    for begin in range(0, len(rows), AT_ONCE):
        db.execute(insert(CampaignNumber), rows[begin : begin + AT_ONCE])


def _row(connection: Connection, wanted: NewCampaign) -> dict[str, Any]:
    at = now()
    runs = wanted.status is CampaignStatus.RUNNING
    return {
        "id": new_call_id(),
        "connection_id": connection.id,
        "key": wanted.key,
        "name": wanted.name,
        "by_evrotel": not (wanted.numbers or wanted.skipped),
        "mediafile": wanted.mediafile,
        "status": wanted.status,
        "chnum": wanted.chnum,
        "attempts": wanted.attempts,
        "retry_seconds": wanted.retry_seconds,
        "redial": list(wanted.redial),
        "pause_seconds": wanted.pause_seconds,
        "quiet_hours": wanted.quiet_hours,
        "holidays": [day.isoformat() for day in wanted.holidays],
        "starts_at": wanted.starts_at,
        "ends_at": wanted.ends_at,
        "test_number": wanted.test_number,
        "test_state": "due" if wanted.test_number and runs else None,
        "created_by": wanted.by,
        "started_by": wanted.by if runs else None,
        "started_at": at if runs else None,
        "consent_by": wanted.consent_by,
        "consent_at": at if wanted.consent_by else None,
        "created_at": at,
    }


def _earlier(deployment: Deployment, connection: Connection, wanted: NewCampaign) -> str:
    row = _answered(deployment, connection, wanted)
    numbers = select(CampaignNumber.number).order_by(CampaignNumber.id)
    with deployment.database.read() as db:
        kept = db.execute(numbers.where(CampaignNumber.campaign_id == row.id)).scalars().all()
    if (row.mediafile, row.chnum, set(kept)) != (wanted.mediafile, wanted.chnum, {*wanted.numbers, *wanted.skipped}):
        raise OtherCampaign
    if row.by_evrotel and row.error:
        raise Refused(row.error)
    return str(row.id)


def _answered(deployment: Deployment, connection: Connection, wanted: NewCampaign) -> Row[Any]:
    """The campaign of the same key; where Evrotel is just being asked to begin, as soon as it has answered."""
    give_up = time.monotonic() + ASKED_WITHIN.total_seconds()
    while True:
        with deployment.database.read() as db:
            row = db.execute(_mine(connection).where(Campaign.key == wanted.key)).first()
        if row is None:
            raise Refused("Evrotel did not start its list: another request of the same key was refused")
        if not (row.by_evrotel and row.status == CampaignStatus.DRAFT) or time.monotonic() > give_up:
            return row
        time.sleep(0.2)


def end_lost_starts(deployment: Deployment) -> None:
    """Evrotel may have begun with its own list where the process that asked it is gone."""
    lost = (
        Campaign.by_evrotel,
        Campaign.status == CampaignStatus.DRAFT,
        Campaign.created_at < now() - 4 * ASKED_WITHIN,
    )
    with deployment.database.read() as db:
        if db.execute(select(Campaign.id).where(*lost)).first() is None:
            return
    unclear = {"status": CampaignStatus.RUNNING, "error": UNCLEAR.format(said="nothing")}
    with deployment.database.write() as db:
        db.execute(update(Campaign).where(*lost).values(unclear))


def _start_evrotels(deployment: Deployment, connection: Connection, wanted: NewCampaign, row: dict[str, Any]) -> str:
    """Asks Evrotel once to call the list in its own cabinet: the row is there before, so that a repeat asks nothing."""
    row |= {"status": CampaignStatus.DRAFT}
    try:
        with deployment.database.write() as db:
            db.execute(insert(Campaign).values(row))
    except IntegrityError:
        return _earlier(deployment, connection, wanted)
    answer = EvrotelClient(deployment.settings, connection).start_autodial(wanted.mediafile, wanted.chnum)
    mine, unclear = Campaign.id == row["id"], None
    with deployment.database.write() as db:
        if answer.verdict in {Verdict.REFUSED, Verdict.UNREACHABLE, Verdict.TOO_SOON}:
            db.execute(delete(Campaign).where(mine))
        else:
            unclear = None if answer.verdict is Verdict.ACCEPTED else UNCLEAR.format(said=answer.text)
            db.execute(update(Campaign).where(mine).values(status=CampaignStatus.RUNNING, error=unclear))
    if answer.verdict is Verdict.UNREACHABLE:
        raise Refused("Evrotel could not be reached: try again later")
    if answer.verdict in {Verdict.REFUSED, Verdict.TOO_SOON}:
        raise Refused(f"Evrotel did not start its list, it said: {answer.text[:100]}")
    if unclear:  # the campaign stays, with this: Evrotel may be calling
        raise Refused(unclear)
    return str(row["id"])


def start(deployment: Deployment, connection: Connection, campaign_id: str, by: str) -> None:
    """Starts a draft whose test call was answered. Raises LookupError, NotNow."""
    row = campaign(deployment, connection, campaign_id)
    if row.status != CampaignStatus.DRAFT:
        raise NotNow("this campaign was started before")
    if row.test_state != "answered":
        raise NotNow("call a phone of your own first: nobody is called before somebody has heard the message")
    at = now()
    changes = {"started_by": by, "started_at": at, "consent_by": by, "consent_at": at}
    _change(deployment, row.id, [CampaignStatus.DRAFT], status=CampaignStatus.RUNNING, **changes)


def ask_for_test(deployment: Deployment, connection: Connection, campaign_id: str, number: str) -> None:
    """Has a draft's message played to a phone of one's own. Raises LookupError, NotNow."""
    row = campaign(deployment, connection, campaign_id)
    if row.status != CampaignStatus.DRAFT:
        raise NotNow("this campaign was started before")
    if row.test_state in {"due", "calling"}:
        raise NotNow("the test call goes on")
    _change(deployment, row.id, [CampaignStatus.DRAFT], test_number=number, test_state="due", error=None)


def pause(deployment: Deployment, connection: Connection, campaign_id: str) -> None:
    """No further call begins; those placed end by themselves. Raises LookupError, NotNow."""
    row = _ours(deployment, connection, campaign_id)
    if row.status not in {CampaignStatus.RUNNING, CampaignStatus.PAUSED}:
        raise NotNow(f"the campaign is {row.status}")
    _change(deployment, row.id, [CampaignStatus.RUNNING], status=CampaignStatus.PAUSED)


def resume(deployment: Deployment, connection: Connection, campaign_id: str) -> None:
    """Goes on after a pause; a test call that failed is made again. Raises LookupError, NotNow."""
    row = _ours(deployment, connection, campaign_id)
    if row.status not in {CampaignStatus.RUNNING, CampaignStatus.PAUSED}:
        raise NotNow(f"the campaign is {row.status}")
    again = {"test_state": "due"} if row.test_state == "failed" else {}
    changes: dict[str, Any] = {"status": CampaignStatus.RUNNING, "error": None, "next_call_at": None, **again}
    _change(deployment, row.id, [CampaignStatus.PAUSED], **changes)


_ALIVE = (CampaignStatus.DRAFT, CampaignStatus.RUNNING, CampaignStatus.PAUSED)


def stop(deployment: Deployment, connection: Connection, campaign_id: str) -> None:
    """Ends it for good: who was not called yet is not called. Raises LookupError, NotNow."""
    row = _ours(deployment, connection, campaign_id)
    if row.status == CampaignStatus.FINISHED:
        raise NotNow("the campaign has finished")
    at = now()
    ends = Campaign.id == row.id, Campaign.status.in_([*_ALIVE])
    with deployment.database.write() as db:
        stopped = db.execute(update(Campaign).where(*ends).values(status=CampaignStatus.STOPPED, finished_at=at))
        db.execute(
            update(CampaignNumber)
            .where(CampaignNumber.campaign_id == row.id, CampaignNumber.state == CampaignNumberState.WAITING)
            .values(
                state=CampaignNumberState.SKIPPED,
                result=func.coalesce(CampaignNumber.result, STOPPED),
                updated_at=at,
            )
        )
        if stopped.rowcount:
            announce_end(db, connection, row, CampaignStatus.STOPPED, at)
        deployment.database.wake_workers(db)


def redial_unclear(deployment: Deployment, connection: Connection, campaign_id: str) -> int:
    """Calls those again of whom nobody knows whether they were called; how many. Raises LookupError, NotNow."""
    row = _ours(deployment, connection, campaign_id)
    if row.status == CampaignStatus.STOPPED:
        raise NotNow("the campaign was stopped")
    with deployment.database.write() as db:
        changed = db.execute(
            update(CampaignNumber)
            .where(
                CampaignNumber.campaign_id == row.id,
                CampaignNumber.result == "unclear",
                CampaignNumber.state == CampaignNumberState.DONE,  # not one that is called again already
            )
            .values(state=CampaignNumberState.WAITING, due_at=now(), updated_at=now())
        )
        if changed.rowcount and row.status == CampaignStatus.FINISHED:
            again = {"status": CampaignStatus.RUNNING, "finished_at": None}
            db.execute(update(Campaign).where(Campaign.id == row.id).values(again))
        deployment.database.wake_workers(db)
    return int(changed.rowcount)


def _ours(deployment: Deployment, connection: Connection, campaign_id: str) -> Row[Any]:
    """A campaign that we steer. Raises LookupError, NotNow."""
    row = campaign(deployment, connection, campaign_id)
    if row.by_evrotel:
        raise NotNow("Evrotel calls its own list: it can be stopped in Evrotel's cabinet only")
    return row


def _change(deployment: Deployment, campaign_id: str, from_status: Sequence[str], **changes: Any) -> None:
    with deployment.database.write() as db:
        db.execute(update(Campaign).where(Campaign.id == campaign_id, Campaign.status.in_(from_status)).values(changes))
        deployment.database.wake_workers(db)


def campaign(deployment: Deployment, connection: Connection, campaign_id: str) -> Row[Any]:
    """The campaign's row. Raises LookupError where the connection has none of this ID."""
    with deployment.database.read() as db:
        row = db.execute(_mine(connection).where(Campaign.id == campaign_id)).first()
    if row is None:
        raise LookupError(campaign_id)
    return row


def campaigns(deployment: Deployment, connection: Connection) -> Sequence[Row[Any]]:
    """The connection's campaigns, the newest first."""
    with deployment.database.read() as db:
        return db.execute(_mine(connection).order_by(Campaign.created_at.desc(), Campaign.id.desc())).all()


def _mine(connection: Connection) -> Select[Any]:
    return select(*Campaign.__table__.columns).where(Campaign.connection_id == connection.id)


def counts(deployment: Deployment, campaign_id: str) -> dict[str, int]:
    """How many numbers there are, by state, and those that are done by result."""
    with deployment.database.read() as db:
        return counted(db, campaign_id)


def numbers_of(deployment: Deployment, campaign_id: str) -> Sequence[Row[Any]]:
    """Each number with what has become of it, in the order of the list."""
    query = select(*CampaignNumber.__table__.columns).where(CampaignNumber.campaign_id == campaign_id)
    with deployment.database.read() as db:
        return db.execute(query.order_by(CampaignNumber.id)).all()


def not_to_be_called(deployment: Deployment, connection: Connection, numbers: Sequence[str]) -> set[str]:
    """Which of these numbers are on the connection's do-not-call list."""
    query = select(DoNotCall.number).where(DoNotCall.connection_id == connection.id)
    with deployment.database.read() as db:
        return set(db.execute(query).scalars()) & set(numbers)
