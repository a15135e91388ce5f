"""Retry decisions as tables of numbers: no clock, no database."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.delivery.retry import DELIVERY_WAITS, LONGEST_RETRY_AFTER, Verdict, decide, probe_wait
from crm_adapters.errors import (
    AdapterError,
    Limited,
    NotSent,
    NotSupported,
    Refused,
    SignInRefused,
    TryAgain,
    Unreachable,
)


@pytest.mark.parametrize(
    ("error", "attempts", "verdict"),
    [
        (SignInRefused("revoked"), 1, Verdict.PAUSE),
        (Unreachable("refused"), 1, Verdict.ACCOUNT),
        (Unreachable("silence", maybe_done=True), 99, Verdict.ACCOUNT),
        (Limited("slowly"), 1, Verdict.ACCOUNT),
        (Refused("unknown user"), 1, Verdict.DEAD),
        (NotSupported("no recordings"), 1, Verdict.DEAD),
        (NotSent("no time left"), 99, Verdict.AGAIN),
        (TryAgain("not finished yet"), 1, Verdict.LATER),
        (TryAgain("not finished yet"), len(DELIVERY_WAITS), Verdict.LATER),
        (TryAgain("not finished yet"), len(DELIVERY_WAITS) + 1, Verdict.DEAD),
    ],
)
def test_what_follows_from_an_error(error: AdapterError, attempts: int, verdict: Verdict) -> None:
    assert decide(error, attempts, 0).verdict is verdict


def test_trouble_that_one_delivery_makes_is_its_own() -> None:
    assert decide(Unreachable("502", maybe_done=True), 1, 0, own_fault=True).verdict is Verdict.LATER


def test_one_delivery_is_tried_from_2_seconds_to_24_hours_over_5_days() -> None:
    waits = [decide(TryAgain("later"), attempts, 0).wait for attempts in range(1, len(DELIVERY_WAITS) + 1)]
    assert (waits[0], waits[-1]) == (timedelta(seconds=2), timedelta(hours=24))
    assert waits == sorted(waits)
    assert timedelta(days=5) <= sum(waits, timedelta()) < timedelta(days=6)


@pytest.mark.parametrize(
    ("probes", "lasted", "seconds"),
    [
        (0, 0, 1),
        (1, 1, 2),
        (2, 3, 5),
        (3, 8, 10),
        (4, 18, 15),
        (40, 590, 15),
        (50, 601, 60),
        (99, 4100, 60),
        (120, 4201, 300),
        (9999, 10**6, 300),
    ],
)
def test_an_account_in_trouble_is_probed(probes: int, lasted: int, seconds: int) -> None:
    assert probe_wait(probes, timedelta(seconds=lasted), None, 0) == timedelta(seconds=seconds)


def test_a_retry_after_is_respected_within_bounds() -> None:
    assert probe_wait(0, timedelta(), 30, 0) == timedelta(seconds=30)
    assert probe_wait(0, timedelta(), 0.1, 0) == timedelta(seconds=1)
    assert probe_wait(0, timedelta(), 10**6, 0) == timedelta(seconds=LONGEST_RETRY_AFTER)


@given(st.integers(0, 10**6), st.floats(0, 10**7), st.none() | st.floats(0, 10**9), st.floats(-1, 1))
def test_no_probe_comes_at_once_or_never(probes: int, lasted: float, retry_after: float | None, jitter: float) -> None:
    wait = probe_wait(probes, timedelta(seconds=lasted), retry_after, jitter).total_seconds()
    assert 0.8 <= wait <= max(360, LONGEST_RETRY_AFTER)
