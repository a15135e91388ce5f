"""What nobody waits for: outcomes of calls whose worker is gone, what events say that come later, campaigns' ends."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update

from connector.autodial.announcing import announce_end
from connector.autodial.answers import Outcome
from connector.autodial.playing import locked, write_outcome
from connector.connections.store import Connection
from connector.db import now
from connector.deployment import Deployment
from connector.evrotel.client import EvrotelClient, Verdict
from connector.evrotel.records import CallRecord, call_records
from connector.models import Call, CallState, Campaign, CampaignNumber, CampaignNumberState, CampaignStatus, Dial
from crm_adapters.events import Direction, Disposition

logger = logging.getLogger(__name__)

PATIENCE = timedelta(seconds=30)
"""So long after it must be over a call may still leave a trace: then one that left none was not made."""
RECORDS_EACH = timedelta(seconds=5)
APART = timedelta(seconds=90)
"""So far may a record's time be from the moment when we asked."""
HALF_A_SECOND = timedelta(seconds=0.5)
LOOKED_BACK = timedelta(minutes=15)
MADE = (Outcome.ANSWERED, Outcome.BUSY, Outcome.NO_ANSWER, Outcome.CONGESTION)
WITNESSES = 20
"""So many of a campaign's last calls are looked for in the records before these are believed to lack one."""


@dataclass(frozen=True, kw_only=True)
class _Unknown:
    """A try whose answer came to nobody. `asked_at` is when Evrotel was asked, `asked_before` when for the try before
    this one, `over_at` when it must be over; `goes_on` where its start has come and its end has not."""

    number_id: int
    number: str
    tries: int
    call_id: str
    asked_at: datetime
    asked_before: datetime | None
    over_at: datetime
    goes_on: bool

    @property
    def is_late(self) -> bool:
        """Whether nothing will come any more."""
        return now() - self.over_at >= PATIENCE

    @property
    def still(self) -> tuple[ColumnElement[bool], ...]:
        """What must hold when its outcome is written: it is the same try, and its worker has not come back."""
        return (
            CampaignNumber.call_id == self.call_id if self.call_id else CampaignNumber.call_id.is_(None),
            CampaignNumber.state == CampaignNumberState.CALLING,
            _unattended(now()),
        )

    def is_near(self, record: CallRecord) -> bool:
        """Whether the record is of a call to this number about then."""
        to_it = record.direction is Direction.OUTGOING and record.parties.client_number == self.number
        return to_it and abs(record.started_at - self.asked_at) <= APART

    def is_nearest(self, record: CallRecord) -> bool:
        """Whether it is not rather the record of the try before. Records tell whole seconds."""
        if self.asked_before is None:
            return True
        return record.started_at >= self.asked_before + (self.asked_at - self.asked_before) / 2 - HALF_A_SECOND


class FindingOut:
    """One worker's look at what nobody waits for."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._asked: dict[int, datetime] = {}
        """By connection, when its records were last asked for."""

    def tick(self) -> None:
        """Once in a second or two. Harmless in two workers at once."""
        for campaign, connection in self._campaigns():
            self._take_events(campaign)
            unknown = self._unknown(campaign)
            if unknown:
                self._settle(campaign, connection, unknown)
            self._finish(campaign, connection)

    def _campaigns(self) -> list[tuple[Any, Connection]]:
        """Those that run or have ended a moment ago."""
        lately = Campaign.finished_at >= now() - LOOKED_BACK
        alive = Campaign.status.in_([CampaignStatus.RUNNING, CampaignStatus.PAUSED, CampaignStatus.DRAFT])
        query = select(*Campaign.__table__.columns).where(Campaign.by_evrotel.is_(False), or_(alive, lately))
        with self._deployment.database.read() as db:
            rows = db.execute(query).all()
        found = [(row, self._deployment.connections.by_id(row.connection_id)) for row in rows]
        return [(row, connection) for row, connection in found if connection]

    def _take_events(self, campaign: Any) -> None:
        """Where the call's own end has come it says better how it went: who was answered is not called again."""
        at = now()
        query = (
            select(CampaignNumber.id, CampaignNumber.tries, CampaignNumber.state, CampaignNumber.result)
            .add_columns(CampaignNumber.call_id, Call.disposition, Call.billsec)
            .join(Call, Call.id == CampaignNumber.call_id)
            .where(
                CampaignNumber.campaign_id == campaign.id,
                CampaignNumber.billsec.is_(None),
                CampaignNumber.updated_at >= at - LOOKED_BACK,
                # Evrotel's connection may be open a moment longer: until then the call has its place among `chnum`
                or_(CampaignNumber.state != CampaignNumberState.CALLING, _unattended(at)),
                Call.state == CallState.ENDED,
                or_(Call.end_key.is_not(None), Call.linkedid.is_not(None)),
            )
        )
        with self._deployment.database.read() as db:
            rows = db.execute(query).all()
        for row in rows:
            outcome = Outcome(row.disposition)
            if row.result == Outcome.ANSWERED and outcome is not Outcome.ANSWERED:
                outcome = Outcome.ANSWERED  # the answer said so: once more would be once too often
            still = (
                CampaignNumber.call_id == row.call_id,
                CampaignNumber.state == row.state,
                CampaignNumber.billsec.is_(None),
            )
            self._write(campaign.id, row.id, outcome, *still, tries=row.tries, billsec=row.billsec)

    def _write(
        self,
        campaign_id: str,
        number_id: int,
        outcome: Outcome,
        *still: ColumnElement[bool],
        tries: int,
        billsec: int | None,
    ) -> None:
        """An outcome, unless something has become of the number since it was looked at: another worker may have found
        out too, and its next try may go on already."""
        with self._deployment.database.write() as db:
            campaign = locked(db, campaign_id)
            if campaign is not None:
                write_outcome(db, campaign, number_id, outcome, *still, tries=tries, billsec=billsec)

    def _unknown(self, campaign: Any) -> Sequence[_Unknown]:
        """Tries whose worker is gone: nobody says any more that they go on, and no event how they ended."""
        before = select(func.max(Dial.created_at)).where(
            Dial.campaign_number_id == CampaignNumber.id, Dial.call_id != CampaignNumber.call_id
        )
        goes_on = and_(Call.id.is_not(None), Call.expected.is_(False), Call.state == CallState.OPEN)
        query = (
            select(CampaignNumber.id, CampaignNumber.number, CampaignNumber.tries, CampaignNumber.call_id)
            .add_columns(CampaignNumber.updated_at, CampaignNumber.busy_until)
            .add_columns(before.scalar_subquery().label("asked_before"), goes_on.label("goes_on"))
            .outerjoin(Call, Call.id == CampaignNumber.call_id)
            .where(
                CampaignNumber.campaign_id == campaign.id,
                CampaignNumber.state == CampaignNumberState.CALLING,
                _unattended(now()),
            )
        )
        with self._deployment.database.read() as db:
            rows = db.execute(query).all()
        return [
            _Unknown(
                number_id=row.id,
                number=row.number,
                tries=row.tries,
                call_id=row.call_id or "",
                asked_at=row.updated_at,
                asked_before=row.asked_before,
                over_at=row.busy_until or row.updated_at,
                goes_on=bool(row.goes_on),
            )
            for row in rows
        ]

    def _settle(self, campaign: Any, connection: Connection, unknown: Sequence[_Unknown]) -> None:
        if not self._records_may_be_asked(connection):
            return
        records = self._records(connection, min(each.asked_at for each in unknown))
        for each in unknown:
            outcome, billsec = _by_records(each, records or ())
            if outcome is None and not each.is_late:
                continue
            if outcome is None and records is not None and not each.goes_on:
                lacking = self._is_lacking(campaign, each, records)
                if lacking is None:
                    continue
                if lacking:
                    self._not_made(campaign, each)
                    continue
            outcome = outcome or Outcome.UNCLEAR
            self._write(campaign.id, each.number_id, outcome, *each.still, tries=each.tries, billsec=billsec)
            logger.info("a campaign's call whose answer was lost: %s", outcome)

    def _is_lacking(self, campaign: Any, each: _Unknown, records: Sequence[CallRecord]) -> bool | None:
        """Whether a try that is not in the records was not made; None: others are called first, and will tell.

        Records that are empty, or late, lack every call: they are believed where they have another one that we know of.
        """
        others = CampaignNumber.campaign_id == campaign.id, CampaignNumber.id != each.number_id
        made = select(CampaignNumber.number).where(*others, CampaignNumber.result.in_(MADE))
        waiting = select(CampaignNumber.id).where(*others, CampaignNumber.state == CampaignNumberState.WAITING)
        with self._deployment.database.read() as db:
            known = set(db.execute(made.order_by(CampaignNumber.updated_at.desc()).limit(WITNESSES)).scalars())
            will_tell = not known and db.execute(waiting.limit(1)).first() is not None
        if known:
            return any(record.parties.client_number in known for record in records)
        return None if will_tell else bool(records)

    def _not_made(self, campaign: Any, each: _Unknown) -> None:
        """Evrotel's records know of no such call: the request never reached it, so the number is called again."""
        at = now()
        with self._deployment.database.write() as db:
            fresh = locked(db, campaign.id)
            stopped = fresh is None or fresh.status == CampaignStatus.STOPPED
            state = CampaignNumberState.SKIPPED if stopped else CampaignNumberState.WAITING
            back = db.execute(
                update(CampaignNumber)
                .where(CampaignNumber.id == each.number_id, *each.still)
                .values(state=state, tries=each.tries - 1, due_at=at, busy_until=None, updated_at=at, call_id=None)
            )
            if not back.rowcount:
                return
            db.execute(delete(Call).where(Call.id == each.call_id, Call.expected.is_(True)))
            self._deployment.database.wake_workers(db)
        logger.info("a campaign's call was not made: it is made again")

    def _records_may_be_asked(self, connection: Connection) -> bool:
        at = now()
        if at - self._asked.get(connection.id, at - RECORDS_EACH) < RECORDS_EACH:
            return False
        self._asked[connection.id] = at
        return True

    def _records(self, connection: Connection, since: datetime) -> Sequence[CallRecord] | None:
        """The records of these days, None where they can't be read."""
        at = now()
        client = EvrotelClient(self._deployment.settings, connection)
        rows: list[Any] = []
        for day in sorted({since.astimezone(connection.zone).date(), at.astimezone(connection.zone).date()}):
            for auto in (True, False):
                answer = client.records(day, auto=auto)
                if answer.verdict is not Verdict.ACCEPTED and auto:
                    return None
                rows += answer.rows
        return call_records(rows, connection.zone, connection.get("phone_region"), at)[0]

    def _finish(self, campaign: Any, connection: Connection) -> None:
        """A campaign with nobody left to call has finished."""
        left = select(CampaignNumber.id).where(
            CampaignNumber.campaign_id == Campaign.id,
            CampaignNumber.state.in_([CampaignNumberState.WAITING, CampaignNumberState.CALLING]),
        )
        with self._deployment.database.read() as db:
            done = select(Campaign.id).where(
                Campaign.id == campaign.id, Campaign.status == CampaignStatus.RUNNING, ~left.exists()
            )
            if campaign.status != CampaignStatus.RUNNING or db.execute(done).first() is None:
                return
        at = now()
        with self._deployment.database.write() as db:
            finished = db.execute(
                update(Campaign)
                .where(Campaign.id == campaign.id, Campaign.status == CampaignStatus.RUNNING, ~left.exists())
                .values(status=CampaignStatus.FINISHED, finished_at=at, error=None)
            )
            if finished.rowcount:
                announce_end(db, connection, campaign, CampaignStatus.FINISHED, at)
                self._deployment.database.wake_workers(db)


def _by_records(each: _Unknown, records: Sequence[CallRecord]) -> tuple[Outcome | None, int | None]:
    """What the records say of a try, None where they know of no such call. Who was answered is not called again,
    whichever try that was: Evrotel's clock may be some seconds off."""
    near = [record for record in records if each.is_near(record)]
    answered = (record for record in near if record.disposition is Disposition.ANSWERED)
    record = next(answered, None) or next(filter(each.is_nearest, reversed(near)), None)
    return (None, None) if record is None else (Outcome(record.disposition), record.billsec)


def _unattended(at: datetime) -> ColumnElement[bool]:
    """Of a number that is being called: no worker says that it waits for the answer."""
    return or_(CampaignNumber.leased_until.is_(None), CampaignNumber.leased_until <= at)


def end_lost_tests(deployment: Deployment) -> None:
    """A test call whose worker is gone has failed, for all that anybody knows."""
    at = now()
    lost = (Campaign.test_state == "calling", Campaign.test_until < at)
    with deployment.database.read() as db:
        if db.execute(select(Campaign.id).where(*lost)).first() is None:
            return
    why = "Nobody knows what became of the test call: call once more"
    with deployment.database.write() as db:
        running = update(Campaign).where(*lost, Campaign.status == CampaignStatus.RUNNING)
        db.execute(running.values(status=CampaignStatus.PAUSED))
        db.execute(update(Campaign).where(*lost).values(test_state="failed", error=why, test_until=None))
