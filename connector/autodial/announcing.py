"""What own CRMs are told of campaigns."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection as SQLConnection

from connector.autodial.counting import counted
from connector.connections.store import Connection
from connector.delivery.announcements import CAMPAIGN_FINISHED, announce
from connector.models import CampaignStatus


def announce_end(
    db: SQLConnection, connection: Connection, campaign: Any, status: CampaignStatus, at: datetime
) -> None:
    """Queues `autodial.campaign.finished`. One that goes on after its end, for numbers unclear, ends once more."""
    data = {
        "id": campaign.id,
        "name": campaign.name,
        "status": status,
        "mediafile": campaign.mediafile,
        "started_at": campaign.started_at and connection.local(campaign.started_at),
        "finished_at": connection.local(at),
        "counts": counted(db, campaign.id),
    }
    announce(db, connection, CAMPAIGN_FINISHED, data, key=f"{campaign.id}:{at.timestamp():.6f}", at=at)
