"""What every CRM has to keep, whoever wrote its adapter. None can opt out: the list is the registry."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connector.connections.keys import ALL_FIELDS, clean_values
from crm_adapters.contract import Capability, CRMAdapter, FindingStatus, Priority, Telling
from crm_adapters.door_answers import DoorRefused, DoorRequest
from crm_adapters.errors import AccountTrouble, AdapterError, NotSupported, SignInRefused, TryAgain
from crm_adapters.events import CallEnded, CallMissed, CallReturned, CallStarted, Direction, Disposition
from crm_adapters.registry import DESCRIPTIONS, adapter_class
from tests.crm_adapters.fakes import Saving, make_account
from tests.crm_adapters.stages import STAGES, Stage

NUMBER = "+380671234567"
BY_METHOD: dict[Capability, str] = {Capability.USERS: "users", Capability.TEST_EVENT: "test_event"}
"""Capabilities that are a method of their own; the others are events that `tell` gets."""


@pytest.fixture(params=sorted(DESCRIPTIONS))
def slug(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def stage(slug: str) -> Iterator[Stage]:
    with STAGES[slug]() as stage:
        yield stage


def facts(stage: Stage, **changes: Any) -> dict[str, Any]:
    return {
        "call_id": "0198f6d2c5e07a51a8d9a6e0b7f1c2d3",
        "crm_call_id": None,
        "direction": Direction.INCOMING,
        "client_number": NUMBER,
        "line": "+380441112233",
        "extension": "101",
        "user_id": stage.user_id,
        "fallback_user_id": stage.user_id,
        "started_at": datetime.now(UTC) - timedelta(seconds=60),
        "create_customer": True,
        **changes,
    }


def ended(stage: Stage, **changes: Any) -> Telling:
    """The end of an answered call."""
    more: dict[str, Any] = {"ended_at": datetime.now(UTC), "disposition": Disposition.ANSWERED, "billsec": 30}
    return Telling(event=CallEnded(**facts(stage, **changes), **more))


def told(adapter: CRMAdapter, *tellings: Telling) -> list[AdapterError | None]:
    adapter.tell(tellings, save=Saving(), priority=Priority.BACKGROUND, seconds=10.0)
    return [telling.error for telling in tellings]


def test_each_crm_has_a_stage() -> None:
    assert set(STAGES) == set(DESCRIPTIONS)


def test_what_is_declared_is_there_and_the_rest_fails_loudly(slug: str) -> None:
    description, made = DESCRIPTIONS[slug], adapter_class(slug)
    for capability, name in BY_METHOD.items():
        has = getattr(made, name) is not getattr(CRMAdapter, name)
        assert has == (capability in description.capabilities), capability
    assert (made.open_door is not CRMAdapter.open_door) == bool(description.doors)
    assert (made.consent_url is not CRMAdapter.consent_url) == bool(description.consent_sites)
    assert (made.widget is not CRMAdapter.widget) == bool(description.widget)
    assert (made.sign_in is not CRMAdapter.sign_in) == description.signs_in_by_settings
    adapter = made(make_account({}))
    undeclared: list[Callable[[], Any]] = []
    undeclared += [] if Capability.USERS in description.capabilities else [adapter.users]
    undeclared += [] if Capability.TEST_EVENT in description.capabilities else [adapter.test_event]
    undeclared += [] if description.widget else [lambda: adapter.widget(datetime.now(UTC))]
    undeclared += [] if description.consent_sites else [lambda: adapter.consent_url("state", "")]
    for ask in undeclared:
        with pytest.raises(NotSupported):
            ask()


def test_no_door_opens_to_a_stranger(stage: Stage, slug: str) -> None:
    adapter = stage.adapter()
    before = stage.writes()
    for name, door in DESCRIPTIONS[slug].doors.items():
        assert door.lock
        for method in door.methods:
            form = {"cmd": "makeCall", "phone": NUMBER, "user": "101"}
            request = DoorRequest(door=name, method=method, query={}, form=form, headers={}, body=b"{}")
            try:
                assert isinstance(adapter.open_door(request), DoorRefused)
            except AdapterError:
                pass
    assert stage.writes() == before


def test_settings_are_kept_as_they_are_given(slug: str) -> None:
    for field in DESCRIPTIONS[slug].fields:
        assert ALL_FIELDS[field.key] is field
        assert field.clean("") == ""
        assert field.clean(field.default) == field.default
        assert not field.choices or field.default in field.choices
        for value in filter(None, (field.default, field.make() if field.make else "")):
            cleaned = clean_values({field.key: value})
            assert clean_values(cleaned) == cleaned
        assert re.fullmatch(rf"{slug}_[a-z0-9_]+", field.key)
        is_named_so = re.search(r"secret|password|token|key$", field.key)
        assert field.secret or not is_named_so, field.key


def test_an_event_that_comes_twice_is_one_call(stage: Stage) -> None:
    adapter = stage.adapter()
    telling = ended(stage)
    assert told(adapter, telling) == [None]
    again = ended(stage, crm_call_id=telling.crm_call_id)
    again.progress.update(telling.progress)
    told(adapter, again)
    assert stage.logged() == 1


def test_a_whole_call_is_taken_event_by_event(stage: Stage) -> None:
    adapter = stage.adapter()
    start = Telling(event=CallStarted(**facts(stage)))
    assert told(adapter, start) == [None]
    end = ended(stage, crm_call_id=start.crm_call_id)
    end.notes.update(start.notes)
    assert told(adapter, end) == [None]
    if Capability.TASK in adapter.description.capabilities:
        texts: dict[str, Any] = {
            "notice": "n",
            "title": "t",
            "text": "t",
            "deadline": datetime.now(UTC) + timedelta(minutes=15),
        }
        missed = Telling(event=CallMissed(**facts(stage, call_id="0198f6d2c5e07a51a8d9a6e0b7f1c2d4"), **texts))
        assert told(adapter, missed) == [None]
        task_id = missed.progress.get("task_id")
        returned = CallReturned(call_id=missed.event.call_id, crm_call_id=None, task_id=task_id, result="r")
        assert told(adapter, Telling(event=returned)) == [None]
    assert stage.logged() == 1


def test_trouble_is_told_apart(stage: Stage, slug: str) -> None:
    """The account is away: nothing of the telling's own. A person has to act: said so. Neither raises."""
    if slug == "journal":
        pytest.skip("there is nobody who could refuse")
    adapter = stage.adapter()
    stage.crm.go_down()
    [away] = told(adapter, ended(stage))
    assert isinstance(away, AccountTrouble)
    stage.crm.come_up()
    stage.revoke()
    [refused] = told(adapter, ended(stage))
    assert isinstance(refused, SignInRefused)
    assert len(str(refused)) > 20  # it says what to do
    assert stage.logged() == 0


def test_no_secret_and_no_whole_number_is_logged_and_no_secret_kept(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    adapter = stage.adapter()
    secrets = stage.secrets()
    start, end = Telling(event=CallStarted(**facts(stage))), ended(stage)
    told(adapter, start)
    told(adapter, end)
    adapter.check()
    stage.revoke()
    refused = ended(stage, call_id="0198f6d2c5e07a51a8d9a6e0b7f1c2d5")
    told(adapter, refused)
    kept = "\n".join(f"{each.request}\n{each.answer}" for one in (start, end, refused) for each in one.exchanges)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith(("crm_adapters", "connector"))]
    for secret in secrets:
        assert secret not in kept
        assert secret not in caplog.text
    assert not [line for line in ours if NUMBER[1:] in line or NUMBER[3:] in line]


def test_check_changes_nothing_and_says_something(stage: Stage) -> None:
    adapter = stage.adapter()
    before = stage.writes()
    findings = adapter.check()
    assert stage.writes() == before
    assert findings
    for finding in findings:
        shown = finding.worded()
        assert shown.text
        assert "%(" not in shown.text + shown.fix
        assert finding.status == FindingStatus.OK or finding.fix


def test_an_error_of_the_telling_alone_is_none_of_the_account(stage: Stage, slug: str) -> None:
    """What the CRM will not take as it is fails by itself: others of the same go are told."""
    if slug != "onec":
        pytest.skip("each CRM's own tests have its refusals")
    adapter = stage.adapter()
    bad = ended(stage, call_id="0198f6d2c5e07a51a8d9a6e0b7f1c2d6", client_number="9" * 300)
    good = ended(stage)
    errors = told(adapter, bad, good)
    assert isinstance(errors[0], AdapterError)
    assert not isinstance(errors[0], AccountTrouble | TryAgain)
    assert errors[1] is None
