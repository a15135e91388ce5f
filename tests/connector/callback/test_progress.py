"""Calls that come later: at the chosen time, when work begins, once more where nobody picked up."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from connector.callback import progress
from connector.callback.progress import work_callbacks
from connector.click_to_call.dialling import give_up_late, work_dials
from connector.db import now
from connector.deployment import Deployment
from connector.models import Call, CallbackRequest, CallbackState, Dial
from tests.connector.callback.conftest import SITE, Button
from tests.running import wait_for

PHONE = "0671234567"


def closed_now(button: Button) -> None:
    """Work begins tomorrow."""
    local = datetime.now(button.deployment.connections.get("acme").zone)
    tomorrow = (local + timedelta(days=1)).strftime("%a")
    button.set(callback_hours=f"{tomorrow} 09:00-18:00")


def due(button: Button, **values: Any) -> None:
    with button.deployment.database.write() as db:
        db.execute(update(CallbackRequest).values({"due_at": now() - timedelta(seconds=1)} | values))


def dial(here: Deployment) -> None:
    """A worker's round, in this thread."""
    work_dials(here, lambda job: job(), lambda job: job(), 0)


def calls(button: Button) -> int:
    with button.deployment.database.read() as db:
        return int(db.execute(select(func.count()).select_from(Dial)).scalar_one())


def test_outside_working_hours_it_is_called_when_they_begin(button: Button) -> None:
    closed_now(button)
    form = button.get("acme/form", lang="en").json()
    assert (form["open"], form["takes"]) == (False, True)
    assert form["slots"][0]["times"][0][0] == "09:00"
    answer = button.ask(PHONE)
    assert (answer.status_code, answer.json()["state"]) == (202, "scheduled")
    assert datetime.fromisoformat(answer.json()["due_at"]).strftime("%H:%M") == "09:00"
    request_id = answer.json()["id"]
    assert button.state(request_id)["state"] == "scheduled"
    work_callbacks(button.deployment)
    assert calls(button) == 0
    due(button)
    work_callbacks(button.deployment)  # its time has come, and still nobody works: it waits for the next opening
    assert calls(button) == 0
    assert datetime.fromisoformat(button.state(request_id)["due_at"]) > now()
    button.set(callback_hours="")
    due(button)
    button.work()
    wait_for(lambda: button.state(request_id)["state"] == "connected")
    assert [each["numberB"] for each in button.dialled()] == ["380671234567"]


def test_a_chosen_time_must_be_a_working_one(button: Button) -> None:
    closed_now(button)
    slot = button.get("acme/form").json()["slots"][0]["times"][3][1]
    unfits: tuple[Any, ...] = ("soon", now().isoformat(), "2020-01-01T09:00", slot.replace(":45", ":50"), {"at": slot})
    for unfit in unfits:
        assert button.ask(PHONE, slot=unfit).json()["error"] == "slot_unfit"
    answer = button.ask(PHONE, slot=slot)
    assert (answer.status_code, answer.json()["due_at"][:16]) == (202, slot[:16])


def test_a_button_that_is_closed_says_so(button: Button) -> None:
    closed_now(button)
    button.set(callback_off_hours="closed")
    assert (button.ask(PHONE).status_code, button.ask(PHONE).json()["error"]) == (409, "closed")
    assert button.get("acme/form").json()["takes"] is False


def test_two_workers_make_one_call_and_not_all_at_once(button: Button, monkeypatch: pytest.MonkeyPatch) -> None:
    closed_now(button)
    for place in range(3):
        assert button.ask(f"067123456{place}").json()["state"] == "scheduled"
    button.set(callback_hours="")
    due(button)
    other = Deployment(button.deployment.settings)
    try:
        for here in (button.deployment, other, button.deployment):
            work_callbacks(here)
        assert calls(button) == 1  # the next one a minute later
        monkeypatch.setattr(progress, "SPACING_SECONDS", 1e-6)
        for here in (other, button.deployment, other):
            work_callbacks(here)
        assert calls(button) == 3
    finally:
        other.database.dispose()


def test_a_connection_with_many_that_wait_does_not_keep_the_others_waiting(
    button: Button, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LOOKED_AT", 1)
    button.deployment.connections.add("other", "journal", {"evrotel_billcode": "20559", "callback_origins": SITE})
    closed_now(button)
    request_id = button.ask(PHONE).json()["id"]
    other_id = button.deployment.connections.get("other").id
    due(button, connection_id=other_id)
    for place in range(2):
        button.ask(f"067123000{place}")
    button.set(callback_hours="")
    due(button)
    with button.deployment.database.write() as db:
        last = CallbackRequest.id == request_id
        db.execute(update(CallbackRequest).where(last).values(due_at=now() - timedelta(milliseconds=1)))
    work_callbacks(button.deployment)
    with button.deployment.database.read() as db:
        begun = db.execute(select(Dial.connection_id)).scalars().all()
    assert sorted(begun) == [button.deployment.connections.get("acme").id, other_id]


def test_where_nobody_picks_up_it_is_tried_once_more_and_the_visitor_knows(
    button: Button, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SPACING_SECONDS", 1e-6)
    button.apps.exchange.nobody.add("380671234567")  # type: ignore[union-attr]  # the fixture gives one
    request_id = button.ask(PHONE).json()["id"]
    for tries in (1, 2):
        dial(button.deployment)
        assert button.state(request_id)["state"] == "calling_operator"
        assert len(button.dialled()) == tries
        with button.deployment.database.write() as db:
            db.execute(update(Dial).values(expires_at=now() - timedelta(seconds=1)))
            db.execute(update(Call).values(created_at=now() - timedelta(minutes=5)))
        give_up_late(button.deployment)
        told = button.state(request_id)
        assert told["state"] == "no_operator"
        if tries == 1:
            assert timedelta(minutes=4) < datetime.fromisoformat(told["due_at"]) - now() < timedelta(minutes=6)
            due(button)
            work_callbacks(button.deployment)
    assert "due_at" not in told
    work_callbacks(button.deployment)
    assert calls(button) == 2


def test_a_worker_that_dies_before_it_dials_leaves_it_to_the_next(button: Button) -> None:
    """The request and its call are one transaction: whatever dies, there are both or none."""
    request_id = button.ask(PHONE).json()["id"]
    with button.deployment.database.read() as db:
        row = db.execute(select(CallbackRequest.state, CallbackRequest.call_id)).one()
        assert db.execute(select(Dial.state).where(Dial.call_id == row.call_id)).scalar_one() == "pending"
    assert row.state == CallbackState.CALLING
    button.work()
    wait_for(lambda: button.state(request_id)["state"] == "connected")
    assert len(button.dialled()) == 1
