"""Where limits are counted: a table of the shared database, or Redis where REDIS_URL names one."""

from __future__ import annotations

import time
from typing import cast

from limits.storage import Storage, storage_from_string
from sqlalchemy import case, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from connector.db import Database
from connector.models import LimitWindow
from connector.settings import Settings

PREFIX = "evrotel-connector"


def open_counting(settings: Settings, database: Database) -> Storage:
    """Where all processes of this deployment count. The package redis is imported only for an address of Redis."""
    if not settings.redis_url:
        return DatabaseStorage(database)
    found = storage_from_string(
        settings.redis_url, wrap_exceptions=True, key_prefix=PREFIX, socket_timeout=3, socket_connect_timeout=3
    )
    return cast(Storage, found)  # only `async+redis://` gives another kind


class DatabaseStorage(Storage):
    """Windows in rows: each count is one statement, exact on both engines. Times are Unix seconds."""

    STORAGE_SCHEME = None

    def __init__(self, database: Database) -> None:
        super().__init__(wrap_exceptions=True)
        self._database = database

    @property
    def base_exceptions(self) -> type[Exception]:
        return SQLAlchemyError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Adds to the window, or begins one of `expiry` seconds; what it holds then."""
        moment = time.time()
        dialect = sqlite if self._database.is_sqlite else postgresql
        statement = dialect.insert(LimitWindow).values(key=key, count=amount, until=moment + expiry)
        goes_on = LimitWindow.until > moment
        statement = statement.on_conflict_do_update(
            index_elements=["key"],
            set_={
                "count": case((goes_on, LimitWindow.count + amount), else_=amount),
                "until": case((goes_on, LimitWindow.until), else_=moment + expiry),
            },
        )
        with self._database.write() as db:
            return int(db.execute(statement.returning(LimitWindow.count)).scalar_one())

    def get(self, key: str) -> int:
        """What the window holds, 0 where there is none any more."""
        query = select(LimitWindow.count).where(LimitWindow.key == key, LimitWindow.until > time.time())
        with self._database.read() as db:
            return int(db.execute(query).scalar() or 0)

    def get_expiry(self, key: str) -> float:
        """When the window ends."""
        with self._database.read() as db:
            return float(db.execute(select(LimitWindow.until).where(LimitWindow.key == key)).scalar() or time.time())

    def check(self) -> bool:
        self.get("")
        return True

    def reset(self) -> int:
        """Forgets the windows that are over."""
        with self._database.write() as db:
            return int(db.execute(delete(LimitWindow).where(LimitWindow.until < time.time())).rowcount)

    def clear(self, key: str) -> None:
        with self._database.write() as db:
            db.execute(delete(LimitWindow).where(LimitWindow.key == key))
