"""Batches as large as the portal's pace allows, also where its network is slow."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from crm_adapters.bitrix24.pace import Pace

ROUND = 20.0


def after(*, request: float, command: float, rounds: int, waiting: int) -> list[int]:
    """How many commands each request carried, to a portal of that pace, starting with a single one."""
    pace, carried = Pace().measured(1, request + command), []
    for _ in range(rounds):
        count = min(waiting, pace.fitting(50, ROUND))
        carried.append(count)
        took = request + command * count
        pace = pace.not_answered(count, ROUND) if took > ROUND else pace.measured(count, took)
    return carried


def test_nothing_known_goes_as_one_batch() -> None:
    assert Pace().fitting(50, ROUND) == 50


def test_a_slow_way_to_the_portal_makes_no_small_batches() -> None:
    assert after(request=10, command=0.05, rounds=10, waiting=50)[-1] > 40


def test_slow_commands_make_small_batches() -> None:
    carried = after(request=0.1, command=4, rounds=10, waiting=50)
    assert 1 <= carried[-1] <= 4


def test_a_quick_portal_gets_full_batches_again_after_a_hang() -> None:
    pace = Pace().measured(1, 0.05).not_answered(50, ROUND)
    for _ in range(12):
        pace = pace.measured(pace.fitting(50, ROUND), 0.5)
    assert pace.fitting(50, ROUND) == 50


@given(st.lists(st.tuples(st.integers(1, 50), st.floats(0, 60), st.booleans()), max_size=30), st.floats(0, 60))
def test_at_least_one_command_goes_whatever_was_measured(measured: list[tuple[int, float, bool]], left: float) -> None:
    pace = Pace()
    for count, seconds, answered in measured:
        pace = pace.measured(count, seconds) if answered else pace.not_answered(count, seconds)
    assert 1 <= pace.fitting(50, left) <= 50
    assert pace.takes(1) > 0
