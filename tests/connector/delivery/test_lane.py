"""What a CRM hears, in which order, and what becomes of it when something goes wrong."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from connector.db import now
from connector.delivery import lanes
from connector.delivery.admin import failed, give_up, retry
from connector.deployment import Deployment
from connector.models import Attempt, Call, Connection, Delivery, Lane
from crm_adapters.contract import Telling
from crm_adapters.errors import AdapterError, NotSent, Refused, SignInRefused, TryAgain, Unreachable
from tests.connector.delivery.scripted import Stage


@pytest.fixture
def stage(deployment: Deployment) -> Stage:
    return Stage(deployment)


def due(stage: Stage) -> list[int]:
    with stage.deployment.database.read() as db:
        return list(lanes.due(db, now()))


def test_the_steps_of_a_call_are_told_in_order(stage: Stage) -> None:
    call_id = stage.start()
    stage.work()
    stage.end(call_id, recfile="/wav/1.wav")
    stage.work()
    assert stage.crm.groups == [[("CallStarted", call_id)], [("CallEnded", call_id)]]
    assert stage.deliveries() == [("start", "done", 1), ("finish", "done", 1), ("recording", "waiting", 0)]
    with stage.deployment.database.read() as db:
        assert db.execute(select(Call.crm_call_id)).scalar_one() == f"crm.{call_id}"


def test_up_to_50_are_told_at_once_the_oldest_call_first(stage: Stage) -> None:
    calls = [stage.start(number) for number in range(70)]
    stage.work()
    assert [len(group) for group in stage.crm.groups] == [50, 20]
    assert [call for group in stage.crm.groups for _, call in group] == calls


def test_a_call_that_ended_before_its_start_was_told_is_told_whole(stage: Stage) -> None:
    call_id = stage.start()
    stage.end(call_id)
    stage.work()
    assert stage.crm.groups == [[("CallEnded", call_id)]]
    assert [state for _, state, _ in stage.deliveries()] == ["expired", "done"]


def test_a_card_that_would_come_too_late_is_not_shown(stage: Stage) -> None:
    stage.start()
    with stage.deployment.database.write() as db:
        db.execute(update(Delivery).values(expires_at=now()))
    stage.work()
    assert stage.crm.groups == []
    assert stage.deliveries() == [("start", "expired", 0)]


def test_trouble_of_the_account_uses_no_tries_and_one_probe_asks_for_all(stage: Stage) -> None:
    for number in range(5):
        stage.end(stage.start(number))
    stage.crm.plan = lambda _: Unreachable("connection refused")
    stage.work()
    assert due(stage) == []
    assert stage.lane().probes == 1
    assert stage.deployment.connections.by_id(stage.connection.id).trouble  # type: ignore[union-attr]  # it is there
    stage.let_time_pass()
    stage.work()
    assert [len(group) for group in stage.crm.groups] == [5, 1]
    assert {attempts for kind, _, attempts in stage.deliveries()} == {0}
    stage.crm.plan = lambda _: None
    stage.let_time_pass()
    stage.work()
    assert [len(group) for group in stage.crm.groups] == [5, 1, 1, 4]
    assert stage.lane().trouble is None
    assert {state for kind, state, _ in stage.deliveries() if kind == "finish"} == {"done"}


def test_one_failing_delivery_holds_up_nobody_else(stage: Stage) -> None:
    bad, good = stage.start(1), stage.start(2)

    def plan(telling: Telling) -> AdapterError | None:
        return TryAgain("not now") if telling.event.call_id == bad else None

    stage.crm.plan = plan
    stage.end(bad)
    stage.end(good)
    stage.work()
    states = [(state, attempts) for kind, state, attempts in stage.deliveries() if kind == "finish"]
    assert states == [("pending", 1), ("done", 1)]
    assert due(stage) == []
    [row] = failed(stage.deployment.database)
    assert (row.call_id, row.error) == (bad, "not now")


def test_one_call_that_the_crm_chokes_on_stops_nobody_else(stage: Stage) -> None:
    """Every request that carries it fails whole, as a batch does."""
    poison = stage.start(0)
    stage.end(poison)

    def told(calls: list[tuple[str, str]]) -> AdapterError | None:
        return Unreachable("502", maybe_done=True) if poison in {call for _, call in calls} else None

    stage.crm.plan = lambda _: told(stage.crm.groups[-1])
    for round_ in range(1, 13):
        stage.end(stage.start(round_))
        stage.work()
        stage.let_probe_be_due()
    stage.work()
    finishes = [(state, attempts) for kind, state, attempts in stage.deliveries() if kind == "finish"]
    assert sum(state == "done" for state, _ in finishes) >= 10
    assert finishes[0][0] == "pending"
    assert finishes[0][1] > 0


def test_a_delivery_that_can_t_be_read_is_put_off_alone(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = stage.start(1), stage.start(2)
    stage.end(bad)
    stage.end(good)
    with stage.deployment.database.write() as db:
        db.execute(update(Call).where(Call.id == bad).values(disposition="unheard of"))
    stage.work()
    states = [(state, attempts) for kind, state, attempts in stage.deliveries() if kind == "finish"]
    assert states == [("pending", 1), ("done", 1)]


def test_a_telling_without_its_turn_goes_again_with_all_its_tries(stage: Stage) -> None:
    stage.end(stage.start())
    stage.crm.plan = lambda _: NotSent("no time left") if len(stage.crm.groups) == 1 else None
    stage.work()
    assert ("finish", "done", 1) in stage.deliveries()
    assert len(stage.crm.groups) == 2


def test_a_refused_delivery_is_dead_at_once_and_can_be_retried_or_given_up(stage: Stage) -> None:
    stage.end(stage.start(1), recfile="/wav/1.wav")
    stage.crm.plan = lambda _: Refused("unknown user")
    stage.work()
    assert ("finish", "dead", 1) in stage.deliveries()
    [row] = failed(stage.deployment.database)
    assert retry(stage.deployment.database, [row.id]) == 1
    stage.crm.plan = lambda _: None
    stage.work()
    assert ("finish", "done", 1) in stage.deliveries()
    assert give_up(stage.deployment.database, [row.id]) == 0


def test_a_refused_sign_in_pauses_and_resuming_tells_everything(stage: Stage) -> None:
    for number in range(3):
        stage.end(stage.start(number))
    stage.crm.plan = lambda _: SignInRefused("open the application again")
    stage.work()
    connection = stage.deployment.connections.by_id(stage.connection.id)
    assert connection
    assert (connection.paused_by, connection.paused_reason) == ("connector", "open the application again")
    stage.let_time_pass()
    assert due(stage) == []
    stage.work()
    assert len(stage.crm.groups) == 1
    stage.crm.plan = lambda _: None
    stage.deployment.connections.resume(stage.connection.id)
    assert due(stage) == [stage.connection.id]
    stage.work()
    assert {state for kind, state, _ in stage.deliveries() if kind == "finish"} == {"done"}
    assert {attempts for kind, _, attempts in stage.deliveries() if kind == "finish"} == {1}


def test_a_lane_is_one_worker_s(stage: Stage) -> None:
    stage.start()
    with stage.deployment.database.write() as db:
        assert lanes.lease(db, stage.connection.id, "other", now())
    stage.work()
    assert stage.crm.groups == []
    assert due(stage) == []


def test_who_lost_the_lane_settles_nothing(stage: Stage) -> None:
    stage.start()

    def taken_over() -> None:
        with stage.deployment.database.write() as db:
            db.execute(update(Lane).values(owner="other"))

    stage.crm.before = taken_over
    stage.work()
    assert len(stage.crm.groups) == 1
    assert stage.deliveries() == [("start", "pending", 0)]


def test_an_adapter_that_raises_loses_nothing(stage: Stage) -> None:
    stage.end(stage.start())

    def broken() -> None:
        raise KeyError("a bug")

    stage.crm.before = broken
    stage.work()
    assert ("finish", "pending", 1) in stage.deliveries()


def test_attempts_are_kept(stage: Stage) -> None:
    stage.end(stage.start())
    stage.crm.plan = lambda _: TryAgain("not now")
    stage.work()
    stage.crm.plan = lambda _: None
    stage.let_time_pass()
    stage.work()
    with stage.deployment.database.read() as db:
        outcomes = db.execute(select(Attempt.outcome, Attempt.error).order_by(Attempt.id)).all()
    assert outcomes == [("TryAgain", "not now"), ("done", None)]


def test_a_paused_connection_still_takes_calls_in(stage: Stage) -> None:
    stage.deployment.connections.pause(stage.connection.id, by="admin", reason="holidays")
    stage.end(stage.start())
    stage.work()
    assert stage.crm.groups == []
    with stage.deployment.database.read() as db:
        assert db.execute(select(Connection.paused_by)).scalar_one() == "admin"
        assert db.execute(select(Call.state)).scalar_one() == "ended"
