"""The simulated company: the same seed gives the same calls, and they are possible ones."""

from __future__ import annotations

from collections import Counter
from itertools import islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.simulator.traffic import EXTENSIONS, LINES, SimulatedCall, calls

seeds = st.integers(0, 2**32 - 1)


def some(seed: int, count: int = 150, per_hour: float = 60.0) -> list[SimulatedCall]:
    return list(islice(calls(seed, per_hour=per_hour), count))


def client_of(call: SimulatedCall) -> str:
    number = call.number_a if call.direction == "i" else call.number_b
    return number.removeprefix("38")


@settings(max_examples=25)
@given(seeds)
def test_the_same_seed_gives_the_same_calls(seed: int) -> None:
    assert some(seed) == some(seed)


def test_another_seed_gives_other_calls() -> None:
    assert some(1) != some(2)


@settings(max_examples=25)
@given(seeds, st.sampled_from([10.0, 60.0, 600.0]))
def test_calls_come_in_the_order_of_their_starts(seed: int, per_hour: float) -> None:
    assert all(one.after <= next_one.after for one, next_one in pairwise(some(seed, per_hour=per_hour)))


@settings(max_examples=25)
@given(seeds)
def test_nobody_is_in_two_answered_calls_at_once(seed: int) -> None:
    until: dict[str, float] = {}
    for call in some(seed, per_hour=300):
        if call.disposition != "ANSWERED":
            continue
        employee = call.answered_by or (call.number_b if call.direction == "i" else call.number_a)
        for number in (client_of(call), employee):
            if number != "anonymous":
                assert until.get(number, -1.0) < call.after
                until[number] = call.ends_after


@settings(max_examples=25)
@given(seeds)
def test_each_call_is_one_that_evrotel_could_send(seed: int) -> None:
    for call in some(seed):
        assert (call.talk_seconds > 0) == (call.disposition == "ANSWERED")
        assert call.ring_seconds > 0
        ours = call.number_b if call.direction == "i" else call.number_a
        assert ours in EXTENSIONS or (call.direction == "i" and ours in LINES)
        assert (call.answered_by is not None) == (ours in LINES and call.disposition == "ANSWERED")


def test_the_mix_is_a_companys() -> None:
    played = some(7, 2000)
    mix = Counter((call.direction, call.disposition) for call in played)
    assert mix["i", "ANSWERED"] > mix["o", "ANSWERED"] > mix["i", "NO ANSWER"] > 100
    assert mix["i", "BUSY"] > 20
    repeats = Counter(client_of(call) for call in played)
    assert 60 < len(repeats) <= 121
    assert repeats.most_common(1)[0][1] > 20
    assert {call.number_a for call in played if call.direction == "o"} == set(EXTENSIONS)


@pytest.mark.parametrize("per_hour", [20.0, 60.0, 120.0])
def test_the_rate_is_about_what_was_asked(per_hour: float) -> None:
    hours = some(3, 3000, per_hour)[-1].after / 3600
    assert 3000 / hours == pytest.approx(per_hour, rel=0.2)
