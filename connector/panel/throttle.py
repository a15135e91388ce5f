"""Brakes on guessing: failures are counted in the database for each address and each name from it, never for a name
alone, so that nobody can lock someone else out. An attempt counts as failed before it is checked: a hundred at once
are a hundred.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, select, update

from connector.db import Database, insert_or_ignore, now
from connector.models import SignInFailure
from connector.networks import network_of

FREE_FAILURES = 5
LONGEST_BLOCK = timedelta(minutes=15)
FORGET_AFTER = timedelta(hours=1)
"""Failures count no longer when there was none for this long after the last block ended."""


class Blocked(Exception):
    """Too many failures; `seconds` until the next try."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"blocked for {seconds} s")
        self.seconds = seconds


def address_key(address: str | None, door: str = "sign-in") -> str:
    """The counter of one address at one door."""
    return f"{door}|{network_of(address)}"


def name_key(name: str, address: str | None) -> str:
    """The counter of one name from one address."""
    return f"{address_key(address)}|{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def begin(database: Database, keys: Sequence[str]) -> None:
    """Counts an attempt as failed. Raises Blocked, and counts nothing, while any of the keys is blocked."""
    moment = now()
    with database.write() as db:
        db.execute(delete(SignInFailure).where(SignInFailure.blocked_until < moment - FORGET_AFTER))
        counts = {key: _count(db, key, moment) for key in sorted(keys)}  # one order for all: no deadlock
        for key, count in counts.items():
            _keep(db, key, count + 1, moment + block_after(count + 1))


def succeeded(database: Database, *, cleared: str, uncounted: str) -> None:
    """The attempt was good: `cleared` (the name's) starts anew, `uncounted` (the address's) loses this one only, else
    whoever has one good password could guess others' without end.
    """
    with database.write() as db:
        db.execute(delete(SignInFailure).where(SignInFailure.key == cleared))
        db.execute(
            update(SignInFailure)
            .where(SignInFailure.key == uncounted, SignInFailure.count > 0)
            .values(count=SignInFailure.count - 1, blocked_until=now())
        )


def block_after(failures: int) -> timedelta:
    """None for the first four, then 1 s, 2 s, 4 s ... 15 minutes."""
    if failures < FREE_FAILURES:
        return timedelta()
    return min(LONGEST_BLOCK, timedelta(seconds=2 ** min(failures - FREE_FAILURES, 20)))


def _count(db: Connection, key: str, moment: datetime) -> int:
    db.execute(insert_or_ignore(db, SignInFailure, ["key"]).values(key=key, count=0, blocked_until=moment))
    row = db.execute(
        select(SignInFailure.count.label("failures"), SignInFailure.blocked_until)
        .where(SignInFailure.key == key)
        .with_for_update()
    ).one()
    if row.blocked_until > moment:
        raise Blocked(int((row.blocked_until - moment).total_seconds()) + 1)
    return int(row.failures)


def _keep(db: Connection, key: str, count: int, blocked_until: datetime) -> None:
    db.execute(update(SignInFailure).where(SignInFailure.key == key).values(count=count, blocked_until=blocked_until))
