"""What CRMs hear besides calls."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection as SQLConnection
from sqlalchemy import insert

from connector.connections.store import Connection
from connector.db import insert_or_ignore
from connector.delivery.outbox import delivery_row
from connector.models import Announcement, Delivery, DeliveryKind
from crm_adapters.contract import Capability

CALLBACK_REQUESTED, CALLBACK_FINISHED = "callback.requested", "callback.finished"
CAMPAIGN_FINISHED = "autodial.campaign.finished"


def announce(
    db: SQLConnection, connection: Connection, name: str, data: Mapping[str, Any], *, key: str, at: datetime
) -> None:
    """Queues what has happened, in the transaction that makes it so: once for each `key`. `data` are JSON values.

    Nothing where the CRM does not hear announcements.
    """
    if not connection.can(Capability.ANNOUNCEMENTS):
        return
    row = {"connection_id": connection.id, "name": name, "key": key, "data": dict(data), "created_at": at}
    statement = insert_or_ignore(db, Announcement, ["connection_id", "name", "key"]).returning(Announcement.id)
    made = db.execute(statement, row).first()
    if made is not None:
        delivery = delivery_row(None, connection.id, DeliveryKind.ANNOUNCEMENT, at, announcement_id=made.id)
        db.execute(insert(Delivery).values(delivery))
