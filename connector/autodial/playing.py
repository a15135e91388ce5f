"""Plays campaigns' messages: a worker's threads take number after number, as many at once as each campaign allows."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy import Connection as SQLConnection

from connector.autodial.answers import Outcome, is_tried_again, outcome_of
from connector.autodial.claiming import LEASE, Try, claim_next, claim_test
from connector.connections.store import Connection
from connector.db import Unavailable, now
from connector.deployment import Deployment
from connector.evrotel.client import DialAnswer, EvrotelClient, Verdict
from connector.log import about
from connector.models import Call, Campaign, CampaignNumber, CampaignNumberState, CampaignStatus, Dial, DialState

logger = logging.getLogger(__name__)

PLAYS_AT_ONCE = 100
"""Calls that one worker has going at the same time, of all campaigns: a thread each."""
TOO_SOON_WAIT = timedelta(seconds=61)
TOO_SOON_IN_A_ROW = 3
"""Evrotel's limit is one number's, as far as is known; where so many say so, it is the account's, and all wait."""
UNREACHABLE_WAIT = timedelta(seconds=10)
EVENTS_FOLLOW = timedelta(seconds=10)
"""So long after Evrotel's answer the events of the call may come; they tell the CRM better."""
SETTLE_WAITS = (0.5, 1, 2, 4, 8, 15, 30)
REFUSALS_IN_A_ROW = 20
"""So many calls refused and none made: it is not the numbers."""
IS_CALLING = CampaignNumber.state == CampaignNumberState.CALLING


Guard = Callable[[Callable[[], object]], Callable[[], None]]
"""Makes a job of which no error ends the thread."""


class Players:
    """One worker's calls of campaigns. Safe in threads."""

    def __init__(
        self, deployment: Deployment, stop: threading.Event, guarded: Callable[..., Callable[[], None]]
    ) -> None:
        self._deployment = deployment
        self._stop = stop
        self._guarded = guarded
        self._pool = ThreadPoolExecutor(PLAYS_AT_ONCE, thread_name_prefix="campaign")
        self._counting = threading.Lock()
        self._threads = 0
        self._going_on: dict[str, int | None] = {}
        """Call ID to the ID of its number."""
        self._too_soon: Counter[str] = Counter()
        """By campaign, how many of its numbers one after the other were asked for too soon."""

    def feed(self) -> None:
        """Gives threads to the campaigns that have somebody to call."""
        for campaign_id, connection in running_campaigns(self._deployment):
            while self._has_place() and (first := self._claim(connection, campaign_id)):
                self._submit(first)

    def renew(self) -> None:
        """Says that this worker's calls go on."""
        with self._counting:
            ids = [number_id for number_id in self._going_on.values() if number_id is not None]
        if not ids:
            return
        until = now() + LEASE
        mine = and_(CampaignNumber.id.in_(ids), IS_CALLING)
        with self._deployment.database.write() as db:
            db.execute(update(CampaignNumber).where(mine).values(leased_until=until))

    def finish(self, give_up: float) -> None:
        """Waits until `give_up` (monotonic seconds) for calls that go on: their answers come to this process alone."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        while self._going_on and time.monotonic() < give_up:
            time.sleep(0.05)

    def _has_place(self) -> bool:
        return not self._stop.is_set() and self._threads < PLAYS_AT_ONCE

    def _claim(self, connection: Connection, campaign_id: str) -> Try | None:
        at = now()
        with self._deployment.database.write() as db:
            return claim_test(db, connection, campaign_id, at) or claim_next(db, connection, campaign_id, at)

    def _submit(self, first: Try) -> None:
        with self._counting:
            self._threads += 1
            self._going_on[first.call_id] = first.number_id
        self._pool.submit(self._guarded(lambda: self._play_on(first)))

    def _play_on(self, first: Try) -> None:
        """Plays to one number after the other, as long as there is one and no other campaign waits for the thread."""
        following: Try | None = first
        try:
            while following is not None:
                self._play(following)
                crowded = self._threads >= PLAYS_AT_ONCE or self._stop.is_set()
                following = None if crowded else self._claim(following.connection, following.campaign_id)
                if following is not None:
                    with self._counting:
                        self._going_on[following.call_id] = following.number_id
        finally:
            with self._counting:
                self._threads -= 1

    def _play(self, tried: Try) -> None:
        try:
            client = EvrotelClient(self._deployment.settings, tried.connection)
            self._settle(tried, client.play(tried.mediafile, tried.number, tried.message))
        finally:
            with self._counting:
                self._going_on.pop(tried.call_id, None)

    def _settle(self, tried: Try, answer: DialAnswer) -> None:
        """This process alone knows the answer: a database that is away for a while must not cost it."""
        with self._counting:
            self._too_soon[tried.campaign_id] += 1
            if answer.verdict is not Verdict.TOO_SOON:
                del self._too_soon[tried.campaign_id]
            all_wait = self._too_soon[tried.campaign_id] >= TOO_SOON_IN_A_ROW
        for wait in SETTLE_WAITS:
            try:
                settle(self._deployment, tried, answer, all_wait=all_wait)
                return
            except Unavailable as error:
                why = type(error).__name__
                logger.warning("an outcome waits for the database: %s", why, extra=about(tried.call_id))
                self._stop.wait(wait)
        settle(self._deployment, tried, answer, all_wait=all_wait)


def running_campaigns(deployment: Deployment) -> list[tuple[str, Connection]]:
    """Campaigns that run, and drafts whose test call is due; the least busy first does not matter, so by age."""
    which = or_(
        and_(Campaign.status == CampaignStatus.RUNNING, Campaign.by_evrotel.is_(False)),
        and_(Campaign.status == CampaignStatus.DRAFT, Campaign.test_state == "due"),
    )
    with deployment.database.read() as db:
        rows = db.execute(select(Campaign.id, Campaign.connection_id).where(which).order_by(Campaign.created_at)).all()
    found = [(row.id, deployment.connections.by_id(row.connection_id)) for row in rows]
    return [(campaign_id, connection) for campaign_id, connection in found if connection]


def locked(db: SQLConnection, campaign_id: str) -> Any:
    """The campaign as it is now: until this transaction ends nobody claims a number of it or writes another outcome."""
    query = select(*Campaign.__table__.columns).where(Campaign.id == campaign_id)
    return db.execute(query.with_for_update()).first()


def settle(deployment: Deployment, tried: Try, answer: DialAnswer, *, all_wait: bool = False) -> None:
    """Writes down what Evrotel said of a call, in one transaction. `all_wait`: it is too soon for all the campaign."""
    outcome = outcome_of(answer)
    logger.info("a campaign's call: %s, %s", outcome, answer.text[:100], extra=about(tried.call_id))
    with deployment.database.write() as db:
        campaign = locked(db, tried.campaign_id)
        if campaign is None:
            return
        if outcome is Outcome.NOT_MADE:
            _not_made(db, tried, campaign, answer, all_wait=all_wait)
        else:
            _answered(db, tried, campaign, outcome, answer)
        deployment.database.wake_workers(db)


def _not_made(db: SQLConnection, tried: Try, campaign: Any, answer: DialAnswer, *, all_wait: bool) -> None:
    """Nothing was dialled: there is no call, and no try. The number waits; where Evrotel does not answer, all wait."""
    at = now()
    db.execute(delete(Call).where(Call.id == tried.call_id, Call.expected.is_(True)))
    wait = TOO_SOON_WAIT if answer.wait_seconds is None else timedelta(seconds=min(answer.wait_seconds, 3600) + 0.2)
    if answer.verdict is Verdict.UNREACHABLE:
        wait = UNREACHABLE_WAIT
        error = f"Evrotel can't be reached: {answer.text}"
        db.execute(update(Campaign).where(Campaign.id == campaign.id).values(error=error, next_call_at=at + wait))
    elif all_wait:
        db.execute(update(Campaign).where(Campaign.id == campaign.id).values(next_call_at=at + wait))
    if tried.number_id is None:
        _test_ended(db, campaign, "failed", f"The test call was not made: {answer.text}", at)
        return
    number = CampaignNumber.id == tried.number_id, CampaignNumber.call_id == tried.call_id, IS_CALLING
    changes = {"state": _back(campaign), "tries": CampaignNumber.tries - 1, "due_at": at + wait, "call_id": None}
    db.execute(update(CampaignNumber).where(*number).values(busy_until=None, updated_at=at, **changes))


def _back(campaign: Any) -> CampaignNumberState:
    """Where a number goes that is not done: a stopped campaign calls nobody any more."""
    stopped = campaign.status == CampaignStatus.STOPPED
    return CampaignNumberState.SKIPPED if stopped else CampaignNumberState.WAITING


def _answered(db: SQLConnection, tried: Try, campaign: Any, outcome: Outcome, answer: DialAnswer) -> None:
    at, dial = now(), update(Dial).where(Dial.call_id == tried.call_id)
    db.execute(dial.values(answer=answer.text))
    if outcome is not Outcome.UNCLEAR:
        accepted = {"state": DialState.ACCEPTED, "expires_at": at + EVENTS_FOLLOW}
        db.execute(dial.where(Dial.state == DialState.SENT).values(accepted))
    if tried.number_id is None:
        heard = outcome is Outcome.ANSWERED
        why = None if heard else f"The test call was not answered: {answer.text}"
        _test_ended(db, campaign, "answered" if heard else "failed", why, at)
        return
    mine = CampaignNumber.id == tried.number_id
    ours = mine, CampaignNumber.call_id == tried.call_id, IS_CALLING
    if outcome is Outcome.UNCLEAR:
        # the number stays `calling`: its events or the records may tell (autodial/finding_out.py), from now on
        db.execute(update(CampaignNumber).where(*ours).values(leased_until=None))
        return
    tries = db.execute(select(CampaignNumber.tries).where(mine)).scalar_one()
    if not write_outcome(db, campaign, tried.number_id, outcome, *ours, tries=tries):
        # it took so long that others have found out; but who was answered is not called again
        if outcome is Outcome.ANSWERED:
            write_outcome(db, campaign, tried.number_id, outcome, ~IS_CALLING, tries=tries)
        return
    if outcome is Outcome.FAILED:
        _look_at_refusals(db, campaign, answer)
    elif campaign.error and campaign.status == CampaignStatus.RUNNING:
        db.execute(update(Campaign).where(Campaign.id == campaign.id).values(error=None))


def write_outcome(
    db: SQLConnection,
    campaign: Any,
    number_id: int,
    outcome: Outcome,
    *still: ColumnElement[bool],
    tries: int,
    billsec: int | None = None,
) -> bool:
    """The outcome of a number's last try: done, or once more later. False where `still` does not hold any more of the
    number: then it is left as it is. The transaction has the campaign `locked`."""
    at = now()
    again = is_tried_again(outcome, tries, campaign.attempts, campaign.redial)
    changes: dict[str, Any] = {"state": CampaignNumberState.DONE}
    if again and campaign.status != CampaignStatus.STOPPED:
        changes = {
            "state": CampaignNumberState.WAITING,
            "due_at": at + timedelta(seconds=campaign.retry_seconds),
        }
    written = db.execute(
        update(CampaignNumber)
        .where(CampaignNumber.id == number_id, *still)
        .values(result=outcome, billsec=billsec, busy_until=None, updated_at=at, **changes)
    )
    return bool(written.rowcount)


def _test_ended(db: SQLConnection, campaign: Any, state: str, error: str | None, at: datetime) -> None:
    """A test that failed ends what waits for it."""
    values: dict[str, Any] = {"test_state": state, "error": error, "test_until": None}
    if state == "answered":
        values["tested_at"] = at
    elif campaign.status == CampaignStatus.RUNNING:
        values["status"] = CampaignStatus.PAUSED
    db.execute(update(Campaign).where(Campaign.id == campaign.id, Campaign.test_state == "calling").values(values))


def _look_at_refusals(db: SQLConnection, campaign: Any, answer: DialAnswer) -> None:
    """Where Evrotel refuses one after the other, the fault is the audio's or the account's: nobody else is tried."""
    done = CampaignNumber.campaign_id == campaign.id, CampaignNumber.result.is_not(None)
    results = db.execute(
        select(CampaignNumber.result).where(*done).order_by(CampaignNumber.updated_at.desc()).limit(REFUSALS_IN_A_ROW)
    ).scalars()
    last = list(results)
    if len(last) < REFUSALS_IN_A_ROW or set(last) != {Outcome.FAILED.value}:
        return
    error = (
        f"Evrotel refuses every call, it says: {answer.text[:100]}. Check the audio file and the account, then resume"
    )
    db.execute(
        update(Campaign)
        .where(Campaign.id == campaign.id, Campaign.status == CampaignStatus.RUNNING)
        .values(status=CampaignStatus.PAUSED, error=error)
    )
