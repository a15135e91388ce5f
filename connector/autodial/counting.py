"""How far a campaign is."""

from __future__ import annotations

from sqlalchemy import Connection as SQLConnection
from sqlalchemy import func, select

from connector.models import CampaignNumber, CampaignNumberState

COUNTED = ("answered", "busy", "no_answer", "congestion", "failed", "unclear")


def counted(db: SQLConnection, campaign_id: str) -> dict[str, int]:
    """How many numbers there are, by state, and those that are done by result."""
    query = select(CampaignNumber.state, CampaignNumber.result, func.count().label("found"))
    query = query.where(CampaignNumber.campaign_id == campaign_id)
    rows = db.execute(query.group_by(CampaignNumber.state, CampaignNumber.result)).all()
    found = dict.fromkeys(("total", *CampaignNumberState, *COUNTED), 0)
    for row in rows:
        found["total"] += row.found
        found[row.state] += row.found
        if row.state == CampaignNumberState.DONE and row.result in COUNTED:
            found[row.result] += row.found
    return {str(name): number for name, number in found.items()}
