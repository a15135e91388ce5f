"""Request budgets of CRM accounts: one leaky bucket in the database for each, exact across processes and machines."""

from __future__ import annotations

import time

from sqlalchemy import select, update

from connector.db import Database, insert_or_ignore, upsert
from connector.models import RateLimit


class DatabaseLimiter:
    """Leaky buckets in rows. Times are Unix seconds of this machine; synchronised clocks are near enough."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, key: str, *, burst: float, per_second: float) -> float:
        """Takes one from the bucket where it fits under `burst`: 0. Else the seconds until it would fit."""
        moment = time.time()
        with self._database.write() as db:
            query = select(RateLimit.level, RateLimit.at).where(RateLimit.key == key).with_for_update()
            row = db.execute(query).first()
            if row is None:
                db.execute(insert_or_ignore(db, RateLimit, ["key"]).values(key=key, level=0.0, at=moment))
                row = db.execute(query).one()
            level = max(0.0, row.level - max(0.0, moment - row.at) * per_second)
            if level + 1 > burst:
                return float(level + 1 - burst) / per_second
            db.execute(update(RateLimit).where(RateLimit.key == key).values(level=level + 1, at=moment))
        return 0.0

    def fill(self, key: str, *, burst: float) -> None:
        """The bucket is full as of now."""
        with self._database.write() as db:
            upsert(db, RateLimit, ["key"], {"key": key, "level": float(burst), "at": time.time()})
