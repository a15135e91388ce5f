"""How long a base may take."""

from __future__ import annotations

import time
from typing import Any

import pytest

from crm_adapters.asking import Reply
from crm_adapters.errors import Misconfigured
from crm_adapters.onec.client import Base
from tests.crm_adapters.fakes import make_account


def test_reading_what_a_base_publishes_gives_the_round_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    left = []

    def exchange(base: Base, *_: Any) -> Reply:
        left.append(base._deadline - time.monotonic())
        return Reply(status=200, content=b"no metadata", retry_after=None)

    monkeypatch.setattr(Base, "_exchange", exchange)
    base = Base(make_account({"onec_url": "https://1c.example/base"}), 12.0)
    with pytest.raises(Misconfigured):
        base.schema()
    assert left[0] > 60.0
    assert base._deadline - time.monotonic() <= 12.0
