"""What every CRM has to keep of what it is told, whoever wrote its adapter. None can opt out: stages/__init__.py."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import get_args

import pytest

from crm_adapters.contract import CARD, TASK_ID, TOLD_TO, Capability, CRMAdapter, FindingStatus, Priority, Telling
from crm_adapters.errors import (
    AccountTrouble,
    AdapterError,
    NotSupported,
    NotWanted,
    SignInRefused,
    TryAgain,
    Unreachable,
)
from crm_adapters.events import (
    Announced,
    CallEnded,
    CallMissed,
    CallReturned,
    CallStarted,
    Direction,
    EmployeeNotice,
    Event,
    RecordingReady,
    WorkflowAnswer,
)
from tests.crm_adapters.samples import EVENTS
from tests.crm_adapters.stages import EVERY, TALKING
from tests.crm_adapters.stages.stage import Stage, Trouble
from tests.crm_adapters.telling import Died, Kept, afresh, telling_of, told
from tests.emulators.http import Dropped, Loopback, Request, Response

OTHER_ID = "0198f6d2c5e07a51a8d9a6e0b7f1c2d4"
NOBODY_ID = "0198f6d2c5e07a51a8d9a6e0b7f1c2d5"
NOBODY_S = ("user_id", "fallback_user_id", "extension", "line")
"""What is not known of a call to nobody."""
MOST_SAVES, MOST_AT_ONCE = 10, 50
LITTLE_TIME, MUCH_LATER = 0.2, 20.0
MEANS: Mapping[Trouble, type[AdapterError] | tuple[type[AdapterError], ...]] = {
    Trouble.AWAY: Unreachable,
    Trouble.FAILING: Unreachable,
    Trouble.BUSY: AccountTrouble,
    Trouble.NO_ANSWER: (AccountTrouble, TryAgain),
    Trouble.REVOKED: SignInRefused,
}


def declared(slug: str) -> list[type[Event]]:
    """The events that the CRM is told of."""
    return [kind for kind in EVENTS if TOLD_TO[kind] & EVERY[slug].capabilities]


def once(stage: Stage, adapter: CRMAdapter, telling: Telling) -> Telling:
    """Tells it, and sees it in the CRM. Tells it again in another process: after the death of one that had not come to
    write down more than it saved, and after it had written down all. It is still there once."""
    event, kind = telling.event, type(telling.event)
    before, writes, kept = stage.found(kind), stage.writes(), Kept(telling)
    assert told(adapter, telling, save=kept.save) == [None]
    is_shown_here = kind is CallStarted and CARD in telling.notes
    assert stage.writes() > writes or is_shown_here
    made = stage.found(kind) - before
    assert made == 1 or (made == 0 and is_shown_here)
    for again in (kept.again(event), Kept(telling).again(event)):
        [error] = told(afresh(adapter), again)
        assert error is None or isinstance(error, TryAgain)
        assert stage.found(kind) == before + made
    return telling


def _call_id(stage: Stage, adapter: CRMAdapter) -> None:
    start = once(stage, adapter, telling_of(stage, CallStarted))
    assert start.crm_call_id


def _card(stage: Stage, adapter: CRMAdapter, direction: Direction = Direction.INCOMING) -> None:
    before = stage.cards()
    start = telling_of(stage, CallStarted, direction=direction)
    assert told(adapter, start) == [None]
    assert stage.cards() == before + 1 or start.notes.get(CARD)
    once(stage, adapter, telling_of(stage, CallStarted, direction=direction, call_id=OTHER_ID))


def _finish(stage: Stage, adapter: CRMAdapter) -> None:
    """Of a call whose start was never told, of one that is nobody's, and of one whose start was, where starts are."""
    once(stage, adapter, telling_of(stage, CallEnded))
    once(stage, adapter, telling_of(stage, CallEnded, call_id=NOBODY_ID, **dict.fromkeys(NOBODY_S)))
    if CallStarted in declared(stage.slug):
        start = telling_of(stage, CallStarted, call_id=OTHER_ID)
        assert told(adapter, start, telling_of(stage, CallEnded, start)) == [None, None]


def _recording(stage: Stage, adapter: CRMAdapter) -> None:
    end = telling_of(stage, CallEnded)
    assert told(adapter, end) == [None]
    once(stage, adapter, telling_of(stage, RecordingReady, end, url=stage.recording_url))


def _task(stage: Stage, adapter: CRMAdapter) -> None:
    missed = once(stage, adapter, telling_of(stage, CallMissed))
    if task_id := missed.progress.get(TASK_ID):
        before = stage.found(CallMissed)
        assert told(adapter, telling_of(stage, CallMissed, call_id=OTHER_ID, earlier_task_id=task_id)) == [None]
        assert stage.found(CallMissed) == before  # while it is open it stands for this one too
    once(stage, adapter, telling_of(stage, CallReturned, missed, task_id=missed.progress.get(TASK_ID)))


def _every_event(stage: Stage, adapter: CRMAdapter) -> None:
    """A start after the end of its call."""
    for kind in (CallEnded, CallStarted, CallMissed):
        if kind in declared(stage.slug):
            once(stage, adapter, telling_of(stage, kind))


def _withheld(stage: Stage, adapter: CRMAdapter) -> None:
    for kind in (CallEnded, CallMissed):
        if kind in declared(stage.slug):
            once(stage, adapter, telling_of(stage, kind, client_number=""))
    if CallStarted in declared(stage.slug):
        assert told(adapter, telling_of(stage, CallStarted, client_number="", call_id=OTHER_ID)) == [None]


def _users(stage: Stage, adapter: CRMAdapter) -> None:
    assert stage.user_id in [user.id for user in adapter.users()]


def _test_event(stage: Stage, adapter: CRMAdapter) -> None:
    before = stage.writes()
    assert adapter.test_event().status is FindingStatus.OK
    assert stage.writes() == before


def _of(kind: type[Event]) -> Callable[[Stage, CRMAdapter], object]:
    return lambda stage, adapter: once(stage, adapter, telling_of(stage, kind))


PROOFS: Mapping[Capability, Callable[[Stage, CRMAdapter], object]] = {
    Capability.CALL_ID: _call_id,
    Capability.CARD: _card,
    Capability.OUTGOING_CARD: partial(_card, direction=Direction.OUTGOING),
    Capability.FINISH: _finish,
    Capability.RECORDING: _recording,
    Capability.USERS: _users,
    Capability.TASK: _task,
    Capability.NOTICE: _of(EmployeeNotice),
    Capability.WORKFLOW: _of(WorkflowAnswer),
    Capability.EVERY_EVENT: _every_event,
    Capability.WITHHELD: _withheld,
    Capability.TEST_EVENT: _test_event,
    Capability.ANNOUNCEMENTS: _of(Announced),
}


def test_each_capability_is_proved_and_each_event_has_one() -> None:
    assert set(PROOFS) == set(Capability)
    assert set(EVENTS) == set(TOLD_TO) == set(get_args(Event))


@pytest.mark.parametrize(
    ("slug", "capability"),
    [(slug, each) for slug, description in EVERY.items() for each in sorted(description.capabilities)],
    indirect=["slug"],
)
def test_what_is_declared_is_done_once_however_often_it_is_told(stage: Stage, capability: Capability) -> None:
    PROOFS[capability](stage, stage.adapter())


@pytest.mark.parametrize("slug", TALKING, indirect=True)
@pytest.mark.parametrize("kind", [CallEnded, CallMissed])
def test_a_process_that_dies_as_it_saves_leaves_the_next_to_do_it_once(
    stage: Stage, slug: str, kind: type[Event]
) -> None:
    """What the CRM had not got by then is told by the next, or held back until it is known not to be there. Not so a
    start: its card comes at once or not at all."""
    adapter = stage.adapter()
    for dies_at in range(1, MOST_SAVES) if kind in declared(slug) else ():
        before, telling = stage.found(kind), telling_of(stage, kind, call_id=f"{OTHER_ID[:-1]}{dies_at}")
        kept = Kept(telling, dies_at=dies_at)
        try:
            assert told(adapter, telling, save=kept.save) == [None]
            return  # it was done before so many saves
        except Died:
            [error] = told(afresh(adapter), kept.again(telling.event))
        assert error is None or isinstance(error, TryAgain)
        assert stage.found(kind) - before == 1 or (isinstance(error, TryAgain) and stage.found(kind) == before)
    assert kind not in declared(slug)


@pytest.mark.parametrize("priority", Priority)
def test_what_is_not_declared_is_told_back_and_holds_up_nothing(stage: Stage, slug: str, priority: Priority) -> None:
    adapter, known = stage.adapter(), declared(slug)
    unknown = [telling_of(stage, kind) for kind in EVENTS if kind not in known]
    before = stage.writes()
    # What declares nothing is the journal's like: all that it is told may stay there.
    loud = NotSupported if known else (NotSupported, NotWanted)
    errors = told(adapter, *unknown, priority=priority)
    assert all(isinstance(error, loud) for error in errors), errors
    assert stage.writes() == before
    if known:
        both = [telling_of(stage, unknown[0].event.__class__), telling_of(stage, known[0])] if unknown else []
        assert [error is None for error in told(adapter, *both, priority=priority)] == [False, True][: len(both)]


@pytest.mark.parametrize("slug", TALKING, indirect=True)
@pytest.mark.parametrize("trouble", Trouble)
def test_trouble_of_the_account_is_told_apart(stage: Stage, slug: str, trouble: Trouble) -> None:
    """Nothing of it is the telling's own, and nothing is taken for told. Where a person has to act it says how."""
    adapter, kind = stage.adapter(), max(declared(slug), key=lambda each: each is CallEnded)
    stage.trouble(trouble)
    [error] = told(adapter, telling_of(stage, kind))
    assert isinstance(error, MEANS[trouble])
    assert trouble is not Trouble.REVOKED or len(str(error)) > 20
    assert stage.found(kind) == 0
    if trouble is Trouble.BUSY:
        return  # what follows may wait for its turn
    assert any(finding.status is not FindingStatus.OK for finding in adapter.check())
    if Capability.USERS in adapter.description.capabilities:
        with pytest.raises(MEANS[trouble]):
            adapter.users()


@pytest.mark.parametrize("slug", TALKING, indirect=True)
def test_a_crm_that_keeps_silent_is_given_up_when_the_time_is_over(
    stage: Stage, slug: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the stage says: its emulator takes requests and answers none."""
    adapter, kind = stage.adapter(), max(declared(slug), key=lambda each: each is CallEnded)
    over = threading.Event()

    def keep_silent(_: Loopback, __: Request) -> Response:
        over.wait(MUCH_LATER)
        raise Dropped

    monkeypatch.setattr(Loopback, "_answer", keep_silent)
    began = time.monotonic()
    errors = [
        error for time_left in (0.0, LITTLE_TIME) for error in told(adapter, telling_of(stage, kind), seconds=time_left)
    ]
    if Capability.USERS in adapter.description.capabilities:
        with pytest.raises(AccountTrouble):
            adapter.users(seconds=LITTLE_TIME)
    assert time.monotonic() - began < MUCH_LATER / 2
    over.set()
    assert all(isinstance(error, AccountTrouble | TryAgain) for error in errors), errors


@pytest.mark.parametrize("slug", TALKING, indirect=True)
def test_no_local_address_is_asked_where_none_is_allowed(
    stage: Stage, slug: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One may have been set while they were, or a name may lead there: what asks looks where it goes."""
    allowed, asked = stage.adapter(), list[Request]()

    def note(_: Loopback, request: Request) -> Response:
        asked.append(request)
        return Response()

    monkeypatch.setattr(Loopback, "_answer", note)
    adapter = type(allowed)(replace(allowed.account, allow_local=False))
    kind = max(declared(slug), key=lambda each: each is CallEnded)
    assert isinstance(told(adapter, telling_of(stage, kind))[0], AdapterError)
    assert any(finding.status is not FindingStatus.OK for finding in adapter.check())
    assert not asked


@pytest.mark.parametrize("slug", TALKING, indirect=True)
def test_as_many_as_come_at_once_are_told_or_wait(stage: Stage, slug: str) -> None:
    """Each has its own outcome: none is passed over, none stands for another."""
    adapter, kind = stage.adapter(), max(declared(slug), key=lambda each: each is CallEnded)
    many = [telling_of(stage, kind, call_id=f"{OTHER_ID[:-2]}{number:02}") for number in range(MOST_AT_ONCE)]
    errors = told(adapter, *many)
    assert all(error is None or isinstance(error, AccountTrouble | TryAgain) for error in errors)
    assert stage.found(kind) == errors.count(None) > 0


@pytest.mark.parametrize("slug", TALKING, indirect=True)
def test_an_error_of_the_telling_alone_is_none_of_the_account(stage: Stage, slug: str) -> None:
    """What the CRM will not take as it is fails by itself: others of the same go are told."""
    kind = max(declared(slug), key=lambda each: each is CallEnded)
    adapter, changes = stage.adapter(), stage.refuse_one()
    errors = told(adapter, telling_of(stage, kind, **{"call_id": OTHER_ID, **changes}), telling_of(stage, kind))
    [refused] = [error for error in errors if error is not None]
    assert not isinstance(refused, AccountTrouble | SignInRefused | NotSupported)
    assert stage.found(kind) == 1
