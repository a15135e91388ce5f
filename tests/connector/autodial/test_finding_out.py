"""What becomes of a number when several find out at once, or the records are all there is to go by."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from connector.autodial import finding_out, playing
from connector.autodial.campaigns import NewCampaign, make_campaign
from connector.autodial.claiming import Try, claim_next
from connector.autodial.finding_out import FindingOut
from connector.connections.store import Connection
from connector.db import now
from connector.deployment import Deployment
from connector.evrotel.client import DialAnswer, EvrotelClient, RecordsAnswer, Verdict
from connector.models import Call, CampaignNumber, Dial
from tests.connector.recordings.rows import add_connection
from tests.emulators.evrotel import record_row

FIRST, SECOND = "+380671234567", "+380671234568"


class Campaign:
    """One that runs, in a database that no worker looks at; `records` is what Evrotel's say."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.shop: Connection = add_connection(deployment, evrotel_billcode="20558")
        wanted = NewCampaign(name="x", mediafile="x.wav", by="x", numbers=[FIRST, SECOND], chnum=1, retry_seconds=0)
        self.id = make_campaign(deployment, self.shop, wanted)
        self.records: list[dict[str, Any]] = []

    def call(self) -> Try:
        with self.deployment.database.write() as db:
            tried = claim_next(db, self.shop, self.id, now())
        assert tried is not None
        return tried

    def say(self, tried: Try, text: str, verdict: Verdict = Verdict.ACCEPTED) -> None:
        playing.settle(self.deployment, tried, DialAnswer(verdict=verdict, text=text))

    def end_by_event(self, tried: Try, disposition: str) -> None:
        ended = {"state": "ended", "disposition": disposition, "billsec": 1, "end_key": tried.call_id}
        with self.deployment.database.write() as db:
            db.execute(update(Call).where(Call.id == tried.call_id).values(expected=False, ended_at=now(), **ended))

    def keep_record(self, number: str, at: datetime, disposition: str) -> None:
        unique = f"{int(at.timestamp())}.{len(self.records)}"
        calldate = at.astimezone(self.shop.zone).isoformat(timespec="seconds")
        called = {"numberA": "001", "numberB": number[1:], "disposition": disposition, "calldate": calldate}
        self.records.append(record_row(0) | called | {"uniqueid": unique, "linkedid": unique})

    def set(self, **values: Any) -> None:
        """Of the number that is being called."""
        with self.deployment.database.write() as db:
            db.execute(update(CampaignNumber).where(CampaignNumber.state == "calling").values(values))

    def number(self, which: str = FIRST) -> tuple[str, str | None, int]:
        columns = CampaignNumber.state, CampaignNumber.result, CampaignNumber.tries
        with self.deployment.database.read() as db:
            state, result, tries = db.execute(select(*columns).where(CampaignNumber.number == which)).one()
        return state, result, tries

    def find_out(self) -> None:
        FindingOut(self.deployment).tick()


@pytest.fixture
def campaign(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Campaign:
    made = Campaign(deployment)

    def records(_: EvrotelClient, __: object, *, auto: bool = False) -> RecordsAnswer:
        return RecordsAnswer(verdict=Verdict.ACCEPTED, rows=made.records if auto else ())

    monkeypatch.setattr(EvrotelClient, "records", records)
    return made


def test_an_end_that_comes_to_two_workers_does_not_undo_the_next_try(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = campaign.call()
    campaign.say(first, "BUSY")
    campaign.end_by_event(first, "busy")
    nexts: list[Try] = []

    def locked(db: Any, campaign_id: str) -> Any:
        """Meanwhile another worker has found out the same and calls again."""
        if not nexts:
            number = CampaignNumber.number
            db.execute(update(CampaignNumber).where(number == SECOND).values(due_at=now() + timedelta(hours=1)))
            nexts.append(claim_next(db, campaign.shop, campaign_id, now()) or first)
        return playing.locked(db, campaign_id)

    monkeypatch.setattr(finding_out, "locked", locked)
    campaign.find_out()
    assert campaign.number() == ("calling", "busy", 2)
    campaign.say(nexts[0], "ANSWER")
    assert campaign.number() == ("done", "answered", 2)


def test_a_call_has_its_place_until_evrotel_answers(campaign: Campaign) -> None:
    """The event of its end may come before the per-number call's answer."""
    tried = campaign.call()
    campaign.end_by_event(tried, "busy")
    campaign.find_out()
    assert campaign.number() == ("calling", None, 1)
    campaign.set(leased_until=None)  # nobody waits for the answer any more
    campaign.find_out()
    assert campaign.number() == ("waiting", "busy", 1)


def test_who_was_answered_is_done_also_where_the_answer_comes_late(campaign: Campaign) -> None:
    tried = campaign.call()
    campaign.set(leased_until=None)
    campaign.end_by_event(tried, "busy")
    campaign.find_out()
    campaign.say(tried, "BUSY")
    assert campaign.number() == ("waiting", "busy", 1)
    campaign.say(tried, "ANSWER")
    assert campaign.number() == ("done", "answered", 1)


def test_the_record_of_the_try_before_is_not_this_trys(campaign: Campaign) -> None:
    first = campaign.call()
    campaign.say(first, "BUSY")
    begun = now()
    with campaign.deployment.database.write() as db:
        db.execute(update(CampaignNumber).where(CampaignNumber.number == SECOND).values(state="done"))
        db.execute(update(Dial).values(created_at=begun - timedelta(seconds=20)))
    campaign.keep_record(FIRST, begun - timedelta(seconds=20), "BUSY")
    campaign.call()
    campaign.set(leased_until=None)
    campaign.find_out()
    assert campaign.number() == ("calling", "busy", 2)
    campaign.keep_record(FIRST, begun - timedelta(seconds=18), "ANSWERED")  # Evrotel's clock is that far behind
    campaign.find_out()
    assert campaign.number() == ("done", "answered", 2)


def test_records_are_believed_to_lack_a_call_where_they_have_another(campaign: Campaign) -> None:
    over = {"leased_until": None, "busy_until": now() - timedelta(minutes=1)}
    campaign.call()
    campaign.set(**over)
    campaign.find_out()
    assert campaign.number() == ("calling", None, 1)  # the other one will tell
    campaign.say(campaign.call(), "NOANSWER")
    campaign.keep_record(SECOND, now(), "NO ANSWER")
    campaign.find_out()
    assert campaign.number() == ("waiting", None, 0)
    campaign.records.clear()
    campaign.say(campaign.call(), "ANSWER")
    campaign.call()
    campaign.set(**over)
    campaign.find_out()
    assert campaign.number() == ("done", "unclear", 1)
