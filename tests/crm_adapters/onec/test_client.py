"""How long a base may take."""

from __future__ import annotations

import time
from typing import Any

import pytest

from crm_adapters.asking import Reply
from crm_adapters.contract import Telling
from crm_adapters.errors import Misconfigured, NotSent
from crm_adapters.events import CallEnded
from crm_adapters.onec import documents
from crm_adapters.onec.client import Base
from crm_adapters.onec.profiles import PROFILES
from tests.crm_adapters.fakes import make_account
from tests.crm_adapters.samples import event_of

ACCOUNT = make_account({"onec_url": "https://1c.example/base"})


def test_reading_what_a_base_publishes_gives_the_round_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    left = []

    def exchange(base: Base, *_: Any) -> Reply:
        left.append(base._deadline - time.monotonic())
        return Reply(status=200, content=b"no metadata", retry_after=None)

    monkeypatch.setattr(Base, "_exchange", exchange)
    base = Base(ACCOUNT, 12.0)
    with pytest.raises(Misconfigured):
        base.schema()
    assert left[0] > 60.0
    assert base._deadline - time.monotonic() <= 12.0


def test_a_base_that_is_never_done_with_looking_gets_the_call_without_a_contact(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_time(*_: Any) -> None:
        raise NotSent("no time was left")

    monkeypatch.setattr(documents, "find_contact", no_time)
    event: CallEnded = event_of(CallEnded, "")
    asked = (Base(ACCOUNT, 12.0), PROFILES["bsp"], Telling(event=event), event)
    for _ in range(documents.MOST_ROUNDS):
        with pytest.raises(NotSent):
            documents._contact(*asked)
    assert documents._contact(*asked) is None


def test_a_document_that_was_not_sent_for_want_of_time_is_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_time(*_: Any, **__: Any) -> None:
        raise NotSent("no time was left")

    monkeypatch.setattr(documents, "find_contact", lambda *_: None)
    monkeypatch.setattr(Base, "create", no_time)
    event: CallEnded = event_of(CallEnded, "")
    telling = Telling(event=event)
    for before in (False, True):
        telling.progress[documents.SENT] = before
        monkeypatch.setattr(documents, "_written", lambda *_: None)
        with pytest.raises(NotSent):
            documents.write_document(Base(ACCOUNT, 12.0), PROFILES["bsp"], telling, event, lambda: None)
        assert telling.progress[documents.SENT] is False
