"""What a start is answered with, while the CRM is quick, slow, silent or in trouble."""

from __future__ import annotations

import dataclasses
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select

from connector.app import create_app
from connector.deployment import Deployment
from connector.models import Attempt, Call
from crm_adapters.contract import Telling
from crm_adapters.errors import AdapterError, Held, Limited, SignInRefused, Unreachable
from tests.conftest import MakeDeployment
from tests.connector.delivery.scripted import Stage

PATIENCE = 1.0


@pytest.fixture
def stage(make_deployment: MakeDeployment) -> Stage:
    stage = Stage(make_deployment(start_answer_seconds=PATIENCE, web_threads=8))
    stage.app = create_app(stage.deployment.settings, stage.deployment)
    return stage


def ring(stage: Stage, number: str = "0987858227") -> tuple[int, str, float]:
    """Status, body and seconds of a start's answer."""
    token = stage.connection.get("evrotel_token")
    body = f"callstatus=start&calldate=2026-11-23+10:00:00&numberA={number}&numberB=101&direction=i"
    began = time.monotonic()
    answer = stage.app.test_client().post("/evrotel/acme/events", data=body, headers={"Authorization": token})
    return answer.status_code, answer.text, time.monotonic() - began


def calls(deployment: Deployment) -> list[Any]:
    with deployment.database.read() as db:
        return list(db.execute(select(Call.id, Call.callid, Call.crm_call_id)))


def test_the_crm_s_id_is_the_answer(stage: Stage) -> None:
    _, callid, _ = ring(stage)
    [call] = calls(stage.deployment)
    assert callid == call.callid == call.crm_call_id == f"crm.{call.id}"
    assert stage.deliveries() == [("start", "done", 1)]


def test_an_id_that_another_call_has_is_no_callid(stage: Stage) -> None:
    stage.crm.named = lambda _: "OK"
    first, second = ring(stage)[1], ring(stage, "0501112233")[1]
    ids = {call.callid: (call.id, call.crm_call_id) for call in calls(stage.deployment)}
    assert first == "OK"
    assert ids[second] == (second, "OK")


def test_50_identical_starts_register_once_and_are_answered_alike(stage: Stage) -> None:
    stage.crm.before = lambda: time.sleep(0.1)
    patient = dataclasses.replace(stage.deployment.settings, start_answer_seconds=20.0)  # a busy machine is no slow CRM
    stage.deployment.settings = patient
    with ThreadPoolExecutor(50) as pool:
        answers = {answer[:2] for answer in pool.map(lambda _: ring(stage), range(50))}
    [call] = calls(stage.deployment)
    assert answers == {(200, f"crm.{call.id}")}
    assert len(stage.crm.groups) == 1


def test_a_crm_without_an_answer_in_time_leaves_the_start_to_the_lane(stage: Stage) -> None:
    def slow(_: Telling) -> AdapterError:
        time.sleep(PATIENCE)
        return Unreachable("no answer in time", maybe_done=True)

    stage.crm.plan = slow
    status, callid, seconds = ring(stage)
    [call] = calls(stage.deployment)
    assert (status, callid) == (200, call.id)
    assert seconds < PATIENCE + 1
    assert stage.deployment.connections.get("acme").trouble is None
    stage.crm.plan = lambda _: None
    stage.work()
    [call] = calls(stage.deployment)
    assert (call.callid, call.crm_call_id) == (callid, f"crm.{call.id}")


def test_a_start_that_is_told_late_holds_up_its_call_no_longer(stage: Stage) -> None:
    late = Held("no answer yet", retry_after=600)
    stage.crm.plan = lambda _: late
    _, callid, _ = ring(stage)
    stage.crm.plan = lambda _: None
    stage.work()
    assert stage.deliveries() == [("start", "pending", 0)]
    stage.crm.later()  # such as a first step: the wait goes on
    stage.work()
    assert stage.deliveries() == [("start", "pending", 0)]
    late.retry_after = 0.0
    stage.crm.later()
    stage.work()
    assert stage.deliveries() == [("start", "done", 1)]
    assert calls(stage.deployment)[0].callid == callid


def test_a_limit_leaves_the_start_to_the_lane_without_calling_it_trouble(stage: Stage) -> None:
    stage.crm.plan = lambda _: Limited("slowly")
    _, callid, _ = ring(stage)
    assert callid == calls(stage.deployment)[0].id
    assert stage.deployment.connections.by_id(stage.connection.id).trouble is None  # type: ignore[union-attr]  # it is there
    stage.crm.plan = lambda _: None
    stage.work()
    assert stage.deliveries() == [("start", "done", 1)]


def test_while_the_budget_is_spent_no_other_start_tries(stage: Stage) -> None:
    stage.crm.plan = lambda _: Limited("slowly", retry_after=60)
    ring(stage)
    _, callid, _ = ring(stage, "0501112233")
    assert callid in {call.id for call in calls(stage.deployment)}
    assert len(stage.crm.groups) == 1
    stage.crm.plan = lambda _: None
    stage.work()
    assert [state for _, state, _ in stage.deliveries()] == ["done", "done"]
    stage.deployment.no_try_before.clear()  # as when the time is over
    ring(stage, "0501112244")
    assert len(stage.crm.groups) > 2


def test_while_the_account_is_in_trouble_nobody_waits_for_it(stage: Stage) -> None:
    stage.crm.plan = lambda _: Unreachable("connection refused")
    ring(stage)
    stage.deployment.connections._kept.clear()
    stage.crm.before = lambda: time.sleep(PATIENCE)
    _, callid, seconds = ring(stage, "0501112233")
    assert seconds < PATIENCE
    assert callid in {call.id for call in calls(stage.deployment)}
    assert len(stage.crm.groups) == 1


def test_a_start_can_pause_the_connection(stage: Stage) -> None:
    stage.crm.plan = lambda _: SignInRefused("revoked")
    status, _, _ = ring(stage)
    assert status == 200
    assert stage.deployment.connections.by_id(stage.connection.id).paused_reason == "revoked"  # type: ignore[union-attr]  # as above


def test_most_threads_may_wait_for_a_crm_but_not_all(stage: Stage) -> None:
    entered = threading.Semaphore(0)
    go_on = threading.Event()

    def wait() -> None:
        entered.release()
        go_on.wait(5)

    stage.crm.before = wait
    with ThreadPoolExecutor(6) as pool:
        waiting = [pool.submit(ring, stage, f"050111220{number}") for number in range(6)]
        for _ in waiting:
            entered.acquire(timeout=5)
        _, callid, seconds = ring(stage, "0501112299")
        go_on.set()
    assert seconds < PATIENCE
    assert not callid.startswith("crm.")


def test_the_try_is_kept(stage: Stage) -> None:
    ring(stage)
    with stage.deployment.database.read() as db:
        assert db.execute(select(func.count(Attempt.id))).scalar_one() == 1
