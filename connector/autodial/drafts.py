"""Campaigns that are being prepared: when they will call is still changed, and they can be thrown away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import delete, update

from connector.autodial.campaigns import NotNow, campaign
from connector.connections.store import Connection
from connector.deployment import Deployment
from connector.models import Campaign, CampaignStatus

PROPOSED_QUIET_HOURS = "20:00-09:00"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """When and how often a campaign calls, as `NewCampaign` has it. Times are aware."""

    chnum: int
    attempts: int
    retry_seconds: int
    redial: Sequence[str]
    pause_seconds: int
    quiet_hours: str | None
    holidays: Sequence[date]
    starts_at: datetime | None
    ends_at: datetime | None


def replan(deployment: Deployment, connection: Connection, campaign_id: str, plan: Plan) -> None:
    """Changes when a draft will call. Raises LookupError, NotNow."""
    values: dict[str, Any] = vars(plan) | {
        "redial": list(plan.redial),
        "holidays": [day.isoformat() for day in plan.holidays],
    }
    row = campaign(deployment, connection, campaign_id)
    with deployment.database.write() as db:
        draft = update(Campaign).where(Campaign.id == row.id, Campaign.status == CampaignStatus.DRAFT)
        if not db.execute(draft.values(values)).rowcount:
            raise NotNow("this campaign was started before")


def discard(deployment: Deployment, connection: Connection, campaign_id: str) -> None:
    """Throws a draft away with its numbers. Raises LookupError, NotNow."""
    row = campaign(deployment, connection, campaign_id)
    with deployment.database.write() as db:
        draft = delete(Campaign).where(Campaign.id == row.id, Campaign.status == CampaignStatus.DRAFT)
        if not db.execute(draft).rowcount:
            raise NotNow("this campaign was started before")
