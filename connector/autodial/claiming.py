"""Takes a campaign's next number: never more at once than `chnum`, never when the client or the campaign must rest.

All of it is one transaction under the campaign's row, so that any number of workers share one campaign. The call is
there as `sent` when it commits: from then on nobody else calls this number, whatever happens to this process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection as SQLConnection
from sqlalchemy import func, or_, select, update

from connector.autodial.campaigns import DO_NOT_CALL, TOO_LATE
from connector.autodial.hours import next_allowed, parse_holidays, parse_quiet_hours, zones_of
from connector.click_to_call.dial_requests import DialRequest, keep_request
from connector.connections.store import Connection
from connector.models import (
    Campaign,
    CampaignNumber,
    CampaignNumberState,
    CampaignStatus,
    Dial,
    DialOrigin,
    DialState,
    DoNotCall,
    Media,
)

LOOKED_AT = 50
"""Numbers looked at in one go for one that may be called now."""
RINGS = timedelta(seconds=20)
"""How long a phone rings before a message begins, where nobody is left to say more."""
UNKNOWN_LENGTH = timedelta(seconds=25)
LEASE = timedelta(seconds=12)
"""So long after its worker's last sign a call's outcome is for others to find out; a worker gives one each 3 s."""
LASTS_AT_MOST = timedelta(minutes=6)
"""No call of a campaign waits longer for its events."""


@dataclass(frozen=True, kw_only=True)
class Try:
    """A number to be called now, once; its call is there already. `number_id` is None for a campaign's test call,
    `message` is how long the file plays where that is known."""

    connection: Connection
    campaign_id: str
    number_id: int | None
    call_id: str
    number: str
    mediafile: str
    message: timedelta | None


def claim_next(db: SQLConnection, connection: Connection, campaign_id: str, at: datetime) -> Try | None:
    """The campaign's next number, None where there is none to be called at this moment."""
    campaign = db.execute(
        select(*Campaign.__table__.columns).where(Campaign.id == campaign_id).with_for_update()
    ).first()
    if campaign is None or campaign.status != CampaignStatus.RUNNING or not _may_begin(db, campaign, at):
        return None
    if campaign.test_state not in {None, "answered"}:
        return _claim_test(db, connection, campaign, at) if campaign.test_state == "due" else None
    if _busy(db, campaign_id, at) >= campaign.chnum:
        return None
    number = _first_allowed(db, connection, campaign, at)
    if number is None:
        return None
    tries = number.tries + 1
    call_id = _place(db, connection, campaign, at, number)
    message = _message(db, connection, campaign.mediafile)
    busy_until = at + RINGS + (UNKNOWN_LENGTH if message is None else message)
    values = {"call_id": call_id, "tries": tries, "busy_until": busy_until, "leased_until": at + LEASE, "billsec": None}
    _set(db, number.id, at, state=CampaignNumberState.CALLING, **values)
    if campaign.pause_seconds:
        later = at + timedelta(seconds=campaign.pause_seconds)
        db.execute(update(Campaign).where(Campaign.id == campaign_id).values(next_call_at=later))
    return Try(
        connection=connection,
        campaign_id=campaign_id,
        number_id=number.id,
        call_id=call_id,
        number=number.number,
        mediafile=campaign.mediafile,
        message=message,
    )


def claim_test(db: SQLConnection, connection: Connection, campaign_id: str, at: datetime) -> Try | None:
    """A draft's test call, where one is due."""
    due = select(*Campaign.__table__.columns).where(Campaign.id == campaign_id, Campaign.test_state == "due")
    campaign = db.execute(due.with_for_update()).first()
    return None if campaign is None else _claim_test(db, connection, campaign, at)


def _claim_test(db: SQLConnection, connection: Connection, campaign: Any, at: datetime) -> Try:
    """A phone of one's own rings at any hour."""
    call_id = _place(db, connection, campaign, at)
    values = {"test_state": "calling", "test_call_id": call_id, "test_until": at + LASTS_AT_MOST, "error": None}
    db.execute(update(Campaign).where(Campaign.id == campaign.id).values(values))
    return Try(
        connection=connection,
        campaign_id=campaign.id,
        number_id=None,
        call_id=call_id,
        number=campaign.test_number,
        mediafile=campaign.mediafile,
        message=_message(db, connection, campaign.mediafile),
    )


def _place(db: SQLConnection, connection: Connection, campaign: Any, at: datetime, number: Any = None) -> str:
    """The call that is to be made now, and its request as sent; without a `number` it is the test call."""
    which = number.id if number is not None else "test"
    wanted = DialRequest(
        key=f"campaign:{campaign.id}:{which}:{at.timestamp():.6f}",
        origin=DialOrigin.CAMPAIGN,
        number=number.number if number is not None else campaign.test_number,
        mediafile=campaign.mediafile,
        asked_by=campaign.name,
        campaign_number_id=number.id if number is not None else None,
    )
    call_id = keep_request(db, connection, wanted, at)
    db.execute(update(Dial).where(Dial.call_id == call_id).values(state=DialState.SENT, expires_at=at + LASTS_AT_MOST))
    return call_id


def _may_begin(db: SQLConnection, campaign: Any, at: datetime) -> bool:
    if campaign.ends_at is not None and at >= campaign.ends_at:
        late = {"state": CampaignNumberState.SKIPPED, "result": func.coalesce(CampaignNumber.result, TOO_LATE)}
        db.execute(
            update(CampaignNumber)
            .where(CampaignNumber.campaign_id == campaign.id, CampaignNumber.state == CampaignNumberState.WAITING)
            .values(updated_at=at, **late)
        )
        return False
    begun = campaign.starts_at is None or at >= campaign.starts_at
    return begun and (campaign.next_call_at is None or at >= campaign.next_call_at)


def _busy(db: SQLConnection, campaign_id: str, at: datetime) -> int:
    """How many calls go on, also those of workers that are gone, as long as these may last."""
    query = select(func.count()).select_from(CampaignNumber)
    calling = CampaignNumber.state == CampaignNumberState.CALLING
    return db.execute(
        query.where(
            CampaignNumber.campaign_id == campaign_id,
            calling,
            or_(CampaignNumber.busy_until > at, CampaignNumber.leased_until > at),
        )
    ).scalar_one()


def _first_allowed(db: SQLConnection, connection: Connection, campaign: Any, at: datetime) -> Any:
    """The number that has been due for longest and may be called now; those that may not are put off or skipped."""
    quiet, holidays = parse_quiet_hours(campaign.quiet_hours), parse_holidays(campaign.holidays)
    while rows := _due(db, campaign.id, at):
        refused = _on_the_list(db, connection, [row.number for row in rows])
        for row in rows:
            if row.number in refused:
                _set(db, row.id, at, state=CampaignNumberState.SKIPPED, result=DO_NOT_CALL)
                continue
            allowed = next_allowed(at, zones_of(row.number, str(connection.zone)), quiet, holidays)
            if allowed is not None and allowed <= at:
                return row
            if allowed is None:
                _set(db, row.id, at, state=CampaignNumberState.SKIPPED, result=TOO_LATE)
            else:
                _set(db, row.id, at, due_at=allowed)
    return None


def _due(db: SQLConnection, campaign_id: str, at: datetime) -> Sequence[Any]:
    query = select(CampaignNumber.id, CampaignNumber.number, CampaignNumber.tries).where(
        CampaignNumber.campaign_id == campaign_id,
        CampaignNumber.state == CampaignNumberState.WAITING,
        CampaignNumber.due_at <= at,
    )
    return db.execute(query.order_by(CampaignNumber.due_at, CampaignNumber.id).limit(LOOKED_AT)).all()


def _on_the_list(db: SQLConnection, connection: Connection, numbers: Sequence[str]) -> set[str]:
    query = select(DoNotCall.number).where(DoNotCall.connection_id == connection.id, DoNotCall.number.in_(numbers))
    return set(db.execute(query).scalars())


def _set(db: SQLConnection, number_id: int, at: datetime, **values: Any) -> None:
    db.execute(update(CampaignNumber).where(CampaignNumber.id == number_id).values(updated_at=at, **values))


def _message(db: SQLConnection, connection: Connection, mediafile: str) -> timedelta | None:
    query = select(Media.milliseconds).where(Media.connection_id == connection.id, Media.mediafile == mediafile)
    milliseconds = db.execute(query.limit(1)).scalar_one_or_none()
    return None if milliseconds is None else timedelta(milliseconds=milliseconds)
