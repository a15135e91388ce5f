"""Which lanes get a worker's threads."""

from __future__ import annotations

import pytest

from connector.delivery.turns import QUICK_LANES, SLOW_LANES, SLOW_SECONDS, Turns

SLOW, QUICK = list(range(100)), [1001, 1002, 1003]


class Clock:
    """Time as the test wants it."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def turns(clock: Clock) -> Turns:
    """The threads of a worker that knows which lanes are slow."""
    turns = Turns(clock)
    for lane in SLOW:
        turns.take([lane])
        turns.end(lane, SLOW_SECONDS + 1)
    return turns


def test_slow_lanes_leave_threads_to_the_others(turns: Turns) -> None:
    assert turns.take(SLOW) == SLOW[:SLOW_LANES]
    assert turns.take([*SLOW, *QUICK]) == QUICK


def test_slow_lanes_take_turns(turns: Turns, clock: Clock) -> None:
    clock.seconds += 1
    for lane in (first := turns.take(SLOW)):
        turns.end(lane, 12.0)
    assert not set(turns.take(SLOW)) & set(first)


def test_lanes_that_turn_out_to_be_slow_leave_the_threads_of_quick_ones_while_they_hang(clock: Clock) -> None:
    turns = Turns(clock)
    assert turns.take(SLOW) == SLOW[:QUICK_LANES]
    assert turns.take(QUICK) == []
    clock.seconds += SLOW_SECONDS + 1
    assert turns.take(QUICK) == QUICK


def test_a_lane_is_quick_again_after_a_quick_go(turns: Turns) -> None:
    turns.take(SLOW)
    turns.end(0, None)
    assert turns.take([0, 99]) == [0]  # a slow one's place, and nothing new is known
    turns.end(0, 0.1)
    turns.take([99])
    assert turns.take([0]) == [0]


def test_no_more_lanes_than_threads(clock: Clock) -> None:
    turns, taken = Turns(clock), 0
    for _ in range(5):
        clock.seconds += SLOW_SECONDS + 1
        taken += len(turns.take(SLOW))
    assert taken == len(turns.working) == QUICK_LANES + SLOW_LANES
