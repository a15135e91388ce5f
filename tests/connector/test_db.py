"""The database: group commits that lose nothing, writers that wait for each other, one SQL for both engines."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter as Tally
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, insert, select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from connector.db import Database, GroupCommit, Unavailable, answers, insert_or_ignore, now, upsert
from connector.deployment import Deployment
from connector.models import RateLimit

THREADS = 64


def _numbers(database: Database) -> list[str]:
    with database.read() as db:
        return sorted(db.execute(select(RateLimit.key)).scalars())


def _write(db: Connection, items: Sequence[str]) -> Sequence[int]:
    db.execute(insert(RateLimit), [{"key": item, "level": 0.0, "at": 0.0} for item in items])
    return [len(items)] * len(items)


def _at_once(jobs: Sequence[Callable[[], object]]) -> list[object]:
    """Runs all jobs at the same moment; results or exceptions in the jobs' order."""
    gate = threading.Barrier(len(jobs))

    def run(job: Callable[[], object]) -> object:
        gate.wait(timeout=30)
        try:
            return job()
        except Exception as error:  # noqa: BLE001 - the tests look at it
            return error

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


def test_what_many_threads_bring_is_all_written(deployment: Deployment) -> None:
    group = GroupCommit(deployment.database, _write)
    sizes = _at_once([lambda item=item: group.submit(f"{item:03d}") for item in range(THREADS)])  # type: ignore[misc]  # binds the loop's value
    assert _numbers(deployment.database) == [f"{item:03d}" for item in range(THREADS)]
    assert all(isinstance(size, int) for size in sizes)
    assert max(size for size in sizes if isinstance(size, int)) > 1, "threads that wait share a commit"


def test_more_than_fit_one_group_are_written_too(deployment: Deployment) -> None:
    group = GroupCommit(deployment.database, _write, most=5)
    sizes = _at_once([lambda item=item: group.submit(f"{item:03d}") for item in range(23)])  # type: ignore[misc]  # as above
    assert len(_numbers(deployment.database)) == 23
    assert Tally(isinstance(size, int) and size <= 5 for size in sizes) == {True: 23}


def test_one_bad_item_fails_alone(deployment: Deployment) -> None:
    group = GroupCommit(deployment.database, _write)
    group.submit("taken")
    items = [*(f"{number:03d}" for number in range(20)), "taken"]
    outcomes = dict(zip(items, _at_once([lambda item=item: group.submit(item) for item in items]), strict=True))  # type: ignore[misc]  # as above
    assert [item for item, outcome in outcomes.items() if isinstance(outcome, Exception)] == ["taken"]
    assert isinstance(outcomes["taken"], IntegrityError)
    assert _numbers(deployment.database) == sorted(items)


def test_an_item_is_there_when_submit_returns(
    deployment: Deployment, make_deployment: Callable[[], Deployment]
) -> None:
    GroupCommit(deployment.database, _write).submit("kept")
    assert _numbers(make_deployment().database) == ["kept"]


def test_a_database_that_is_away_fails_all_quickly() -> None:
    """Each waits for one refused connection at most, not for as many as there are threads."""
    database = Database("postgresql+psycopg://nobody@127.0.0.1:9/nothing")
    group = GroupCommit(database, _write)
    began = time.monotonic()
    outcomes = _at_once([lambda item=item: group.submit(str(item)) for item in range(THREADS)])  # type: ignore[misc]  # as above
    assert time.monotonic() - began < 5
    assert {type(outcome) for outcome in outcomes} == {OperationalError}
    assert not answers(database)
    database.dispose()


def test_the_group_goes_on_after_a_failure(deployment: Deployment) -> None:
    failing = True

    def write(db: Connection, items: Sequence[str]) -> Sequence[int]:
        if failing:
            raise OperationalError("down", None, Exception("down"))
        return _write(db, items)

    group = GroupCommit(deployment.database, write)
    with pytest.raises(Unavailable):
        group.submit("first")
    failing = False
    assert group.submit("second") == 1
    assert _numbers(deployment.database) == ["second"]


def test_a_read_then_a_write_never_meets_a_locked_database(
    deployment: Deployment, make_deployment: Callable[[], Deployment]
) -> None:
    """Writers of several processes that read first wait for each other instead of failing."""
    databases = [deployment.database, *(make_deployment().database for _ in range(3))]
    with deployment.database.write() as db:
        upsert(db, RateLimit, ["key"], {"key": "count", "level": 0.0, "at": 0.0})

    def count(database: Database) -> None:
        for _ in range(10):
            with database.write() as db:
                row = db.execute(select(RateLimit.level).where(RateLimit.key == "count").with_for_update()).one()
                db.execute(RateLimit.__table__.update().values(level=row.level + 1))  # type: ignore[attr-defined]  # a Table has it

    assert _at_once([lambda database=database: count(database) for database in databases]) == [None] * 4  # type: ignore[misc]  # as above
    with deployment.database.read() as db:
        assert db.execute(select(RateLimit.level)).scalar_one() == 40


def test_a_write_that_fails_leaves_nothing(deployment: Deployment) -> None:
    with pytest.raises(IntegrityError), deployment.database.write() as db:
        _ = _write(db, ["half"]), _write(db, ["half"])
    assert _numbers(deployment.database) == []
    with deployment.database.write() as db:  # and nobody holds the database
        _write(db, ["whole"])


def test_insert_or_ignore_and_upsert(deployment: Deployment) -> None:
    with deployment.database.write() as db:
        for level in (1.0, 2.0):
            db.execute(insert_or_ignore(db, RateLimit, ["key"]).values(key="a", level=level, at=0.0))
            upsert(db, RateLimit, ["key"], {"key": "b", "level": level, "at": level})
        rows = db.execute(select(RateLimit.key, RateLimit.level, RateLimit.at).order_by(RateLimit.key)).all()
    assert [tuple(row) for row in rows] == [("a", 1.0, 0.0), ("b", 2.0, 2.0)]


def test_sqlite_survives_a_power_cut(tmp_path: Path) -> None:
    """What was answered to Evrotel is on the disk: WAL with synchronous=FULL (https://www.sqlite.org/pragma.html)."""
    database = Database(f"sqlite:///{tmp_path / 'nested' / 'connector.db'}")
    with database.read() as db:
        assert db.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert db.execute(text("PRAGMA synchronous")).scalar() == 2
        assert db.execute(text("PRAGMA foreign_keys")).scalar() == 1
    database.dispose()


def test_postgresql_waits_for_nobody_for_ever(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    with database.read() as db:
        shown = {name: db.execute(text(f"SHOW {name}")).scalar() for name in ("statement_timeout", "lock_timeout")}
    assert shown == {"statement_timeout": "10s", "lock_timeout": "5s"}
    database.dispose()


def test_now_is_aware_utc() -> None:
    assert now().utcoffset() == timedelta()


def test_reading_does_not_wait_for_a_writer(deployment: Deployment) -> None:
    with deployment.database.write() as db:
        _write(db, ["unfinished"])
        with deployment.database.read() as other:
            assert other.execute(select(func.count()).select_from(RateLimit)).scalar_one() == 0


def test_a_locked_file_holds_nobody_longer_than_one_waits(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each that has its turn waits in vain: those behind it must not wait for all of that and then their own."""
    monkeypatch.setattr("connector.db.WRITE_SECONDS", 0.3)
    database = Database(f"sqlite:///{tmp_path}/locked.db")
    other = sqlite3.connect(tmp_path / "locked.db", isolation_level=None)
    other.execute("CREATE TABLE kept (id INTEGER)")
    other.execute("BEGIN EXCLUSIVE")

    def write(_: int) -> bool:
        try:
            with database.write() as db:
                db.execute(text("INSERT INTO kept VALUES (1)"))
        except OperationalError:
            return False
        return True

    began = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(write, range(20))) == [False] * 20
    assert time.monotonic() - began < 20 * 0.3
    other.execute("ROLLBACK")
    other.close()
    assert write(0)
    database.dispose()
