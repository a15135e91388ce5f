"""What the autodial's pages read page by page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, case, func, select

from connector.connections.store import Connection
from connector.db import Database, now
from connector.models import Campaign, CampaignNumber, CampaignNumberState, DoNotCall
from connector.panel.queries import PAGE, Page

SOON = timedelta(seconds=2)
_ENDED = (CampaignNumberState.DONE, CampaignNumberState.SKIPPED)


def campaigns_page(database: Database, connection: Connection, before: str | None) -> Page:
    """Campaigns, newest first."""
    query = select(*Campaign.__table__.columns).where(Campaign.connection_id == connection.id)
    if before:
        query = query.where(Campaign.id < before)
    with database.read() as db:
        rows = db.execute(query.order_by(Campaign.id.desc()).limit(PAGE + 1)).all()
    return Page(rows=rows[:PAGE], next=rows[PAGE - 1].id if len(rows) > PAGE else None)


def progress_of(database: Database, campaign_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """By campaign, how many numbers are done with and how many there are."""
    ended = func.sum(case((CampaignNumber.state.in_(_ENDED), 1), else_=0))
    query = select(CampaignNumber.campaign_id, ended, func.count()).group_by(CampaignNumber.campaign_id)
    with database.read() as db:
        rows = db.execute(query.where(CampaignNumber.campaign_id.in_(campaign_ids))).all()
    return {row[0]: (int(row[1]), int(row[2])) for row in rows}


def numbers_page(database: Database, campaign_id: str, after: int | None, result: str | None) -> Page:
    """A campaign's numbers in the order of the list, those with one result where given."""
    query = select(*CampaignNumber.__table__.columns).where(CampaignNumber.campaign_id == campaign_id)
    if result:
        query = query.where(CampaignNumber.result == result)
    if after is not None:
        query = query.where(CampaignNumber.id > after)
    with database.read() as db:
        rows = db.execute(query.order_by(CampaignNumber.id).limit(PAGE + 1)).all()
    return Page(rows=rows[:PAGE], next=str(rows[PAGE - 1].id) if len(rows) > PAGE else None)


def next_call_at(database: Database, campaign: Row[Any]) -> datetime | None:
    """When a running campaign may call the next number, None where it may now or has none."""
    waiting = CampaignNumber.campaign_id == campaign.id, CampaignNumber.state == CampaignNumberState.WAITING
    with database.read() as db:
        due = db.execute(
            select(CampaignNumber.due_at).where(*waiting).order_by(CampaignNumber.due_at).limit(1)
        ).scalar()
    if due is None:
        return None
    latest = max(moment for moment in (due, campaign.next_call_at, campaign.starts_at) if moment)
    return latest if latest > now() + SOON else None


def do_not_call_page(database: Database, connection: Connection, found: str, after: str | None) -> Page:
    """The do-not-call list by number; `found`: digits that a number has in it."""
    query = select(*DoNotCall.__table__.columns).where(DoNotCall.connection_id == connection.id)
    if found:
        query = query.where(DoNotCall.number.contains(found, autoescape=True))
    if after:
        query = query.where(DoNotCall.number > after)
    with database.read() as db:
        rows: Sequence[Row[Any]] = db.execute(query.order_by(DoNotCall.number).limit(PAGE + 1)).all()
    return Page(rows=rows[:PAGE], next=rows[PAGE - 1].number if len(rows) > PAGE else None)
