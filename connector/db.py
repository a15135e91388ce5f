"""The database: SQLite for one machine, PostgreSQL for more, the same SQL on both.

Measured reasons: SQLite in WAL with `synchronous=FULL` loses nothing, and is as fast as with NORMAL when waiting
writers share one commit; a transaction that reads before it writes must begin IMMEDIATE or fail at once with "database
is locked"; a small PostgreSQL pool is faster than one as large as the number of threads.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

from sqlalchemy import (
    Connection,
    Engine,
    Executable,
    Integer,
    cast,
    create_engine,
    event,
    func,
    make_url,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase

Item = TypeVar("Item")
Result = TypeVar("Result")

DELIVERIES_CHANNEL = "connector_deliveries"

Unavailable = (OperationalError, PoolTimeout)
"""What is raised where the database can't be reached or written."""


WRITE_SECONDS = 10.0
"""How long a write waits for its turn, and then for a program that locks SQLite's file."""
MOST_TRIES = 3
_CONFLICTS = frozenset({"40001", "40P01", "23505"})
"""Serialization, deadlock, unique violation: https://www.postgresql.org/docs/current/errcodes-appendix.html."""


def now() -> datetime:
    """The present moment, aware UTC."""
    return datetime.now(UTC)


class Database:
    """One engine of this process. `read()` and `write()` give a connection in a transaction."""

    def __init__(self, url: str) -> None:
        self.engine = _sqlite_engine(url) if url.startswith("sqlite") else _postgresql_engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        # SQLite's own waiting is unfair and sleeps; among the threads of a process a lock is both fair and quick.
        self._writing = threading.Lock() if self.is_sqlite else None
        self._turns = _turns(self.engine) if self.is_sqlite else None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes; committed when the block ends well."""
        if self._writing is None:
            with self.engine.begin() as connection:
                yield connection
            return
        with (
            _in_line(self._writing, self._turns),
            self.engine.connect().execution_options(immediate=True) as connection,
            connection.begin(),
        ):
            yield connection

    def wake_workers(self, connection: Connection) -> None:
        """Tells the workers, when this transaction commits, that there is work. (On SQLite they look by themselves.)"""
        if not self.is_sqlite:
            connection.execute(_NOTIFY)

    def dispose(self) -> None:
        self.engine.dispose()
        if self._turns is not None:
            os.close(self._turns)
            self._turns = None


_NOTIFY: Executable = text(f"NOTIFY {DELIVERIES_CHANNEL}")


def wait_for_turn(connection: Connection, connection_ids: Iterable[int], *, among_others: bool = False) -> None:
    """Keeps apart those who look for a connection's call before they write it: until this transaction ends no other
    goes on from here, unless both are there `among_others`. On SQLite one writes at a time anyway.

    It has to come before the looking: a statement sees what was committed when it began.
    """
    if connection.dialect.name != "postgresql":
        return
    lock = func.pg_advisory_xact_lock_shared if among_others else func.pg_advisory_xact_lock
    keys = [lock(cast(_TURNS_OF_CALLS, Integer), cast(each, Integer)) for each in sorted(set(connection_ids))]
    connection.execute(select(*keys))


_TURNS_OF_CALLS = 1
"""The first half of such a lock's key: others may lock other things by a connection's ID."""


def insert_or_ignore(connection: Connection, model: type[DeclarativeBase], keys: Sequence[str]) -> Any:
    """An INSERT that leaves out rows whose `keys` are there already; add `.returning(...)` to learn which went in."""
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    return dialect.insert(model).on_conflict_do_nothing(index_elements=list(keys))


def upsert(connection: Connection, model: type[DeclarativeBase], keys: Sequence[str], values: dict[str, Any]) -> None:
    """Inserts one row, or sets its other columns where a row with these `keys` is there."""
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(model).values(values)
    others = {name: statement.excluded[name] for name in values if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=list(keys), set_=others))


class GroupCommit(Generic[Item, Result]):
    """Writes what many threads bring at the same time in one transaction.

    `write(connection, items)` returns one result for each item. Whoever holds the lock writes for all that wait; with
    nobody waiting an item costs what it would cost alone. Where a group fails, each is written alone, so that one bad
    item never sinks the others.
    """

    def __init__(
        self, database: Database, write: Callable[[Connection, Sequence[Item]], Sequence[Result]], most: int = 100
    ) -> None:
        self._database = database
        self._write = write
        self._most = most
        self._joining = threading.Lock()
        self._led = False
        self._waiting: list[_Waiting[Item, Result]] = []

    def submit(self, item: Item) -> Result:
        """Returns when the item is committed. Raises what writing it raised."""
        entry: _Waiting[Item, Result] = _Waiting(item)
        with self._joining:
            self._waiting.append(entry)
            leads, self._led = not self._led, True
        if not leads:
            entry.woken.acquire()  # once: either it is written, or it is the first that waits and leads from now on
        if not entry.finished:
            self._lead()
        if entry.error is not None:
            raise entry.error
        return entry.results[0]

    def _lead(self) -> None:
        """Writes all that wait, this thread's own item first; hands over before the others are told."""
        with self._joining:
            group = self._waiting[: self._most]
            del self._waiting[: self._most]
        try:
            self._try(group)
        finally:
            for entry in group:
                if not entry.finished:  # this thread itself was ended
                    entry.fail(RuntimeError("the group's writer was broken off"))
            with self._joining:
                following = self._waiting[0] if self._waiting else None
                self._led = following is not None
            if following is not None:
                following.woken.release()
            for entry in group[1:]:
                entry.woken.release()

    def _try(self, group: Sequence[_Waiting[Item, Result]], tries: int = MOST_TRIES) -> None:
        try:
            self._commit(group)
        except Exception as error:  # noqa: BLE001 - carried to the threads that brought the items and raised there
            met = met_another(error)
            if len(group) > 1 and (met or not isinstance(error, Unavailable)):
                for entry in group:
                    self._try([entry])
            elif met and tries > 1:
                self._try(group, tries - 1)
            else:
                for entry in group:
                    entry.fail(error)

    def _commit(self, group: Sequence[_Waiting[Item, Result]]) -> None:
        with self._database.write() as connection:
            results = self._write(connection, [entry.item for entry in group])
        for entry, result in zip(group, results, strict=True):
            entry.results = [result]
            entry.finished = True


def met_another(error: Exception) -> bool:
    """Whether the transaction only met another one: nothing of it is kept; tried again it sees the other's rows."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) in _CONFLICTS


class _Waiting(Generic[Item, Result]):
    def __init__(self, item: Item) -> None:
        self.item = item
        self.results: list[Result] = []
        self.error: Exception | None = None
        self.finished = False
        self.woken = threading.Lock()
        self.woken.acquire()

    def fail(self, error: Exception) -> None:
        self.error = error
        self.finished = True


def _turns(engine: Engine) -> int | None:
    """A descriptor whose lock puts the writing processes in line; None for a database in memory."""
    path = engine.url.database
    if not path or path == ":memory:":
        return None
    return os.open(f"{path}-turns", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


@contextmanager
def _in_line(writing: threading.Lock, turns: int | None) -> Iterator[None]:
    """This thread's turn to write. Raises OperationalError where it does not come within WRITE_SECONDS.

    While another program locks the file each that has its turn waits for it in vain: without an end to the waiting
    for turns those waits would add up, and hold all threads.
    """
    give_up = time.monotonic() + WRITE_SECONDS
    if not writing.acquire(timeout=WRITE_SECONDS):
        raise _locked()
    try:
        with _turn(turns):
            if time.monotonic() > give_up:
                raise _locked()
            yield
    finally:
        writing.release()


def _locked() -> OperationalError:
    return OperationalError("BEGIN IMMEDIATE", None, sqlite3.OperationalError("database is locked"))


@contextmanager
def _turn(turns: int | None) -> Iterator[None]:
    """This process's turn to write. SQLite's own waiting sleeps up to 100 ms at a time; a file's lock wakes at once.

    It only spares the sleeping: what keeps writers apart is still SQLite's lock. The kernel frees it when we die.
    """
    if turns is None:
        yield
        return
    fcntl.flock(turns, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(turns, fcntl.LOCK_UN)


def _sqlite_engine(url: str) -> Engine:
    path = make_url(url).database
    if path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, pool_size=10, max_overflow=20, pool_timeout=5, connect_args={"timeout": WRITE_SECONDS})

    @event.listens_for(engine, "connect")
    def prepare(dbapi_connection: Any, _: Any) -> None:
        dbapi_connection.isolation_level = None  # we begin transactions ourselves
        _use_wal(dbapi_connection)
        for pragma in (
            "synchronous=FULL",
            f"busy_timeout={WRITE_SECONDS * 1000:.0f}",
            "foreign_keys=ON",
        ):
            dbapi_connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("immediate")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def _use_wal(dbapi_connection: Any) -> None:
    """Two that open a new file at once get in each other's way here, and SQLite does not wait by itself: it sees a
    deadlock (https://www.sqlite.org/c3ref/busy_handler.html)."""
    give_up = time.monotonic() + WRITE_SECONDS
    while True:
        try:
            dbapi_connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.02)
        else:
            return


def _postgresql_engine(url: str) -> Engine:
    return create_engine(
        url,
        pool_size=6,  # two web processes, a worker and its listener fit into the 20 connections of a small plan
        max_overflow=0,
        pool_timeout=5,
        pool_use_lifo=True,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": 3,
            "keepalives_idle": 30,
            "application_name": "connector",
            "options": "-c statement_timeout=10000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=30000",
        },
    )


def answers(database: Database) -> bool:
    """Whether the database can be read now."""
    try:
        with database.read() as connection:
            connection.execute(select(1))
    except SQLAlchemyError:
        return False
    return True
