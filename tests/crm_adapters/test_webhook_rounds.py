"""A round of events for a receiver that takes its time."""

from __future__ import annotations

import time
from typing import Any

import pytest

from crm_adapters.contract import Priority, Telling
from crm_adapters.errors import NotSent
from crm_adapters.events import CallEnded
from crm_adapters.webhook import adapter as webhook
from crm_adapters.webhook.sending import Sent
from tests.crm_adapters.fakes import make_account
from tests.crm_adapters.samples import event_of


def test_no_event_is_begun_that_might_be_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []

    def slow_receiver(_account: Any, message: Any, _deadline: float) -> Sent:
        begun.append(message)
        time.sleep(0.3)
        return Sent(exchange=None)

    monkeypatch.setattr(webhook, "send", slow_receiver)
    tellings = [Telling(event=event_of(CallEnded, "")) for _ in range(3 * webhook.AT_ONCE)]
    webhook.Adapter(make_account({"webhook_url": "https://crm.example/"})).tell(
        tellings, save=lambda _: None, priority=Priority.BACKGROUND, seconds=0.5
    )
    waiting = [telling for telling in tellings if telling.error is not None]
    assert 0 < len(begun) <= webhook.AT_ONCE
    assert len(begun) + len(waiting) == len(tellings)
    assert {type(telling.error) for telling in waiting} == {NotSent}
