"""Recordings are fetched once by whoever claims them, on a schedule, and the CRM is told when they are there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from connector.db import now
from connector.deployment import Deployment
from connector.models import DeliveryState, RecordingState
from connector.recordings import files, jobs
from connector.recordings.forgetting import purge_number, revoke
from tests.conftest import MakeDeployment
from tests.connector.recordings.doors import fetch_due
from tests.connector.recordings.rows import (
    RECFILE,
    add_connection,
    add_recording,
    change,
    delivery_of,
    recording_of,
    url_of,
)
from tests.emulators.evrotel import Recordings, wav


def test_the_schedule_is_close_at_first_and_ends_after_a_day() -> None:
    waits = [jobs.wait_after(attempts) for attempts in range(1, 35)]
    assert [wait.total_seconds() for wait in waits[:10] if wait] == [2, 5, 10, 20, 40, 60, 120, 300, 900, 3600]
    assert sum((wait for wait in waits if wait), timedelta()) > timedelta(days=1)
    assert waits[-1] is None


def test_a_recording_that_comes_is_kept_and_told(deployment: Deployment, host: Recordings) -> None:
    content = host.add(RECFILE)
    connection = add_connection(deployment, evrotel_recordings_url=host.url)
    call_id = add_recording(deployment, connection)
    fetch_due(deployment)
    recording, delivery = recording_of(deployment, call_id), delivery_of(deployment, call_id)
    assert (recording.state, recording.content_type, recording.size) == ("ready", "audio/wav", len(content))
    assert (deployment.settings.instance / recording.path).read_bytes() == content
    assert (recording.owner, recording.leased_until) == (None, None)
    assert delivery.state == DeliveryState.PENDING
    assert delivery.due_at <= now()


def test_a_recording_that_is_late_is_asked_for_again(deployment: Deployment, host: Recordings) -> None:
    host.add(RECFILE, absent_requests=1)
    connection = add_connection(deployment, evrotel_recordings_url=host.url)
    call_id = add_recording(deployment, connection)
    fetch_due(deployment)
    late = recording_of(deployment, call_id)
    assert (late.state, late.attempts, late.error) == ("pending", 1, "the recordings host answered 404")
    assert timedelta(seconds=1) < late.due_at - now() <= timedelta(seconds=2)
    assert delivery_of(deployment, call_id).state == DeliveryState.WAITING
    fetch_due(deployment)
    assert host.request_count() == 1
    change(deployment, call_id, due_at=now())
    fetch_due(deployment)
    assert recording_of(deployment, call_id).state == "ready"


def test_a_file_whose_writer_died_is_taken_when_it_grows_no_more(deployment: Deployment, host: Recordings) -> None:
    connection = add_connection(deployment, evrotel_recordings_url=host.url)
    call_id = add_recording(deployment, connection)
    for size in (1000, 1200, 1200, 1400):
        host.add(RECFILE, wav()[:size])
        fetch_due(deployment)
        recording = recording_of(deployment, call_id)
        assert (recording.state, recording.size) == ("pending", size)
        assert "still being written" in recording.error
        change(deployment, call_id, due_at=now())
    fetch_due(deployment)
    assert (recording_of(deployment, call_id).state, recording_of(deployment, call_id).attempts) == ("ready", 4)


def test_a_withdrawn_link_is_given_to_no_crm(deployment: Deployment) -> None:
    call_id = add_recording(deployment, add_connection(deployment))
    assert revoke(deployment.database, [call_id]) == 1
    assert delivery_of(deployment, call_id).state == DeliveryState.GIVEN_UP


@pytest.mark.parametrize(("recfile", "attempts"), [(RECFILE, 33), ("http://evil.example/a.wav", 0)])
def test_what_never_comes_is_said_to_be_missing(
    deployment: Deployment, host: Recordings, recfile: str, attempts: int
) -> None:
    connection = add_connection(deployment, evrotel_recordings_url=host.url)
    call_id = add_recording(deployment, connection, recfile, attempts=attempts)
    fetch_due(deployment)
    assert recording_of(deployment, call_id).state == RecordingState.MISSING
    delivery = delivery_of(deployment, call_id)
    assert delivery.state == DeliveryState.DEAD
    assert delivery.error.startswith("no recording")
    assert url_of(deployment, call_id) is None


def test_each_recording_is_claimed_by_one(make_deployment: MakeDeployment) -> None:
    machines = [make_deployment() for _ in range(3)]
    connection = add_connection(machines[0])
    wanted = {add_recording(machines[0], connection) for _ in range(20)}
    claimed: list[str] = []
    together = threading.Barrier(3)

    def claim(number: int) -> None:
        together.wait()
        for _ in range(10):
            taken = jobs.claim_due(machines[number].database, f"worker {number}")
            claimed.extend(job.call_id for job in taken)

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == 20
    assert set(claimed) == wanted


def test_a_dead_worker_loses_its_lease_and_what_it_still_does(deployment: Deployment, host: Recordings) -> None:
    host.add(RECFILE)
    connection = add_connection(deployment, evrotel_recordings_url=host.url)
    call_id = add_recording(deployment, connection)
    [late] = jobs.claim_due(deployment.database, "hung")
    assert jobs.claim_due(deployment.database, "other") == []
    change(deployment, call_id, leased_until=now() - timedelta(seconds=1))
    [_] = jobs.claim_due(deployment.database, "other")
    host.remove(RECFILE)
    jobs.work_one(deployment, late)
    recording = recording_of(deployment, call_id)
    assert (recording.owner, recording.attempts) == ("other", 0)


def test_a_worker_that_stops_gives_back_what_it_claimed(deployment: Deployment) -> None:
    call_id = add_recording(deployment, add_connection(deployment))
    jobs.work_recordings(deployment, "stopping", lambda _: None)
    assert jobs.release(deployment.database, "stopping") == 1
    assert [job.call_id for job in jobs.claim_due(deployment.database, "other")] == [call_id]


def test_one_connection_takes_only_its_share_and_goes_on(deployment: Deployment) -> None:
    """Its host may keep us waiting two minutes for each: the recordings of others are fetched all the same."""
    slow, other = add_connection(deployment), add_connection(deployment, "other")
    for _ in range(jobs.MOST_OF_ONE + 2):
        add_recording(deployment, slow, "http://evil.example/a.wav")
    theirs = add_recording(deployment, other)
    held: list[Any] = []
    jobs.work_recordings(deployment, "worker", held.append)
    jobs.work_recordings(deployment, "worker", held.append)
    assert len(held) == jobs.MOST_OF_ONE + 1
    assert held[-1].args[1].call_id == theirs
    held[0]()
    assert len(held) == jobs.MOST_OF_ONE + 2
    jobs.work_recordings(deployment, "another worker", held.append)
    assert len(held) == jobs.MOST_OF_ONE + 3


def test_one_worker_takes_only_so_many_at_once(deployment: Deployment) -> None:
    for number in range(jobs.AT_ONCE // jobs.MOST_OF_ONE + 1):
        connection = add_connection(deployment, f"shop-{number}")
        for _ in range(jobs.MOST_OF_ONE):
            add_recording(deployment, connection)
    held: list[Callable[[], None]] = []
    jobs.work_recordings(deployment, "worker", held.append)
    assert len(held) == jobs.AT_ONCE


def test_a_lease_is_kept_while_its_fetch_lasts_and_no_longer(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    call_id = add_recording(deployment, add_connection(deployment))
    held: list[Callable[[], None]] = []
    jobs.work_recordings(deployment, "worker", held.append)

    def lease_after_renewal() -> object:
        change(deployment, call_id, leased_until=now() + timedelta(seconds=1))
        jobs.renew(deployment.database, "worker")
        return recording_of(deployment, call_id).leased_until - now() > timedelta(seconds=5)

    assert lease_after_renewal()

    def away(*_: object) -> None:
        raise OperationalError("UPDATE", {}, Exception("the database is away"))

    monkeypatch.setattr(jobs, "_settle", away)
    with pytest.raises(OperationalError):
        held[0]()
    assert not lease_after_renewal()


def test_a_bug_costs_one_try_not_the_recording(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(files, "fetch", fail)
    call_id = add_recording(deployment, add_connection(deployment))
    fetch_due(deployment)
    recording = recording_of(deployment, call_id)
    assert (recording.state, recording.attempts, recording.owner) == ("pending", 1, None)


def test_a_person_is_forgotten_wherever_their_recordings_are(deployment: Deployment, host: Recordings) -> None:
    host.add(RECFILE)
    connection = add_connection(deployment, evrotel_recordings_url=host.url)
    kept = add_recording(deployment, connection)
    fetch_due(deployment)
    coming = add_recording(deployment, connection)
    [job] = jobs.claim_due(deployment.database, "worker")
    path = deployment.settings.instance / recording_of(deployment, kept).path
    half = deployment.store.incoming / f"{coming}-0a1b" / "came"  # a worker was killed
    half.parent.mkdir(parents=True)
    half.write_bytes(b"RIFF")
    assert purge_number(deployment, "067 000 00 00").count == 0
    assert path.exists()
    assert purge_number(deployment, "098 785 82 27").count == 2
    assert not half.exists()
    jobs.work_one(deployment, job)
    assert list(path.parent.parent.glob("**/*.wav")) == []
    for call_id in (kept, coming):
        recording = recording_of(deployment, call_id)
        assert (recording.state, recording.path, recording.recfile) == ("forgotten", None, "")
        assert url_of(deployment, call_id) is None
        assert delivery_of(deployment, call_id).state == DeliveryState.GIVEN_UP
    assert purge_number(deployment, "+380987858227").count == 0
