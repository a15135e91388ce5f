"""The worker as a whole: woken by what is due, stopped politely, and its housekeeping."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from connector.db import now
from connector.delivery import worker as worker_module
from connector.delivery.keepalive import keep_accounts_alive
from connector.delivery.purge import purge
from connector.delivery.wake import watch
from connector.delivery.worker import run_worker
from connector.models import Attempt, Call, Delivery, InboundEvent, Recording
from crm_adapters.errors import SignInRefused
from tests.conftest import MakeDeployment
from tests.connector.delivery.scripted import Stage
from tests.running import wait_for


@pytest.fixture
def stage(make_deployment: MakeDeployment) -> Stage:
    return Stage(make_deployment())


@pytest.fixture
def working(stage: Stage) -> Iterator[Stage]:
    stop = threading.Event()
    worker = threading.Thread(target=run_worker, args=(stage.deployment, stop))
    worker.start()
    yield stage
    stop.set()
    worker.join(20)
    assert not worker.is_alive()


def test_what_is_due_is_told_within_moments(working: Stage) -> None:
    call_id = working.start()
    wait_for(lambda: working.deliveries() == [("start", "done", 1)], 5)
    working.end(call_id)
    wait_for(lambda: ("finish", "done", 1) in working.deliveries(), 5)
    assert [event for group in working.crm.groups for event, _ in group] == ["CallStarted", "CallEnded"]


def test_a_stop_does_not_wait_for_a_crm_that_never_answers(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "IN_FLIGHT_ENDS_WITHIN", 0.2)
    stop, asked, answers = threading.Event(), threading.Event(), threading.Event()

    def never_answers() -> None:
        asked.set()
        answers.wait(60)

    stage.crm.before = never_answers
    worker = threading.Thread(target=run_worker, args=(stage.deployment, stop))
    worker.start()
    stage.start()
    assert asked.wait(10)
    stop.set()
    worker.join(20)
    assert not worker.is_alive()
    answers.set()
    wait_for(lambda: not [each for each in threading.enumerate() if each.name.startswith("lane")])


def test_an_end_wakes_the_workers_without_their_clock(stage: Stage) -> None:
    woken, stop = threading.Event(), threading.Event()
    calls = iter([stage.start(number) for number in range(20)])
    watcher = watch(stage.deployment.database, woken.set, stop)
    if stage.deployment.database.is_sqlite:
        assert woken.wait(5)  # the first look finds the file as it is
        woken.clear()
    for call_id in calls:  # the first may come before the watcher listens
        stage.end(call_id)
        if woken.wait(1):
            break
    stop.set()
    watcher.join(5)
    assert woken.is_set()


def test_two_workers_tell_each_thing_once(working: Stage) -> None:
    stop = threading.Event()
    second = threading.Thread(target=run_worker, args=(working.deployment, stop))
    second.start()
    for number in range(30):
        working.end(working.start(number))
    wait_for(lambda: sum(state == "done" for kind, state, _ in working.deliveries() if kind == "finish") == 30, 10)
    stop.set()
    second.join(20)
    told = [each for group in working.crm.groups for each in group]
    assert len(told) == len(set(told))


def test_what_is_older_than_the_retention_is_forgotten(stage: Stage) -> None:
    stage.end(stage.start(1), recfile="/wav/1.wav")
    stage.work()
    keep = stage.start(2)
    long_ago = now() - timedelta(days=401)
    kept_file = stage.deployment.settings.instance / "recordings" / "1.wav"
    kept_file.parent.mkdir(parents=True)
    kept_file.write_bytes(b"RIFF")
    with stage.deployment.database.write() as db:
        db.execute(update(Call).where(Call.id != keep).values(created_at=long_ago, updated_at=long_ago))
        db.execute(update(InboundEvent).where(InboundEvent.call_id != keep).values(received_at=long_ago))
        db.execute(update(Recording).values(path="recordings/1.wav"))
    assert purge(stage.deployment) == 1
    assert not kept_file.exists()
    with stage.deployment.database.read() as db:
        counts = [
            db.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (Call, InboundEvent, Delivery, Attempt, Recording)
        ]
    assert counts == [1, 1, 1, 0, 0]


def test_a_sign_in_that_can_t_be_renewed_pauses_the_connection(stage: Stage) -> None:
    def refused() -> None:
        raise SignInRefused("open the application again")

    stage.crm.keep_alive = refused  # type: ignore[method-assign]  # the script
    keep_accounts_alive(stage.deployment)
    connection = stage.deployment.connections.by_id(stage.connection.id)
    assert connection
    assert connection.paused_reason == "open the application again"
