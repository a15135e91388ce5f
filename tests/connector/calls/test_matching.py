"""An end without its callid finds the call that ended, and never somebody else's."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from connector.calls.matching import LONGEST_WAIT, EndedCall, OpenCall, ended_call, match_end
from connector.calls.numbers import Parties
from connector.evrotel.parser import EndEvent
from crm_adapters.events import Direction, Disposition

KYIV = ZoneInfo("Europe/Kyiv")
NOON = datetime(2024, 5, 6, 12, 0, tzinfo=UTC)
CALL = OpenCall(
    id="a",
    direction=Direction.INCOMING,
    parties=Parties(client_number="+380987858227", line="+380443334455", extension=None),
    started_at=NOON,
    arrived_at=NOON,
)
END = EndEvent(
    callid=None,
    number_a="0987858227",
    number_b="0443334455",
    direction=Direction.INCOMING,
    date="2024-05-06 15:02:00",
    disposition=Disposition.ANSWERED,
    billsec=60,
    recfile=None,
)


def ended(after: timedelta = timedelta(minutes=2), **changes: Any) -> EndedCall:
    """An end that arrives so long after noon; `changes` are fields of EndEvent."""
    return ended_call(replace(END, **changes), KYIV, "UA", NOON + after)


def call(call_id: str = "a", minutes: float = 0, **changes: Any) -> OpenCall:
    """A call that began and arrived some minutes after noon; `changes` are fields of OpenCall."""
    at = NOON + timedelta(minutes=minutes)
    times = {"started_at": at, "arrived_at": at}
    return replace(CALL, id=call_id, **(times | changes))


def test_an_end_finds_its_call() -> None:
    assert match_end(ended(), [call()]) == call()
    assert match_end(ended(), []) is None


def test_what_an_end_says() -> None:
    assert ended().ended_at == NOON + timedelta(minutes=2)
    assert ended(date=None).ended_at is None
    assert ended(date="soon").ended_at is None
    assert set(ended().parties) == {Direction.INCOMING}
    both = ended(direction=None).parties
    assert both[Direction.INCOMING].client_number == both[Direction.OUTGOING].line == "+380987858227"


@pytest.mark.parametrize(
    "changes",
    [
        {"direction": None},
        {"number_a": "380987858227"},
        {"number_b": "101"},  # the start named the line, the end says who took the call
        {"number_b": ""},
        {"date": None},
        {"date": "2024-05-06 15:00:00"},  # the end may name the start's time
        {"date": "2024-05-06 14:58:00"},
    ],
)
def test_what_may_differ(changes: dict[str, Any]) -> None:
    assert match_end(ended(**changes), [call()]) == call()


@pytest.mark.parametrize(
    "changes",
    [
        {"direction": Direction.OUTGOING},
        {"number_a": "0501112233"},
        {"number_a": ""},
        {"number_b": "0443334456"},
        {"number_a": "", "number_b": ""},
        {"number_a": "", "number_b": "", "direction": None},
        {"date": "2024-05-06 14:57:59"},  # the call began more than 120 seconds later
    ],
)
def test_what_must_not_differ(changes: dict[str, Any]) -> None:
    assert match_end(ended(**changes), [call()]) is None


def test_our_extension_must_be_the_same_where_both_name_it() -> None:
    dialled = call(direction=Direction.OUTGOING, parties=replace(CALL.parties, line=None, extension="101"))
    end: dict[str, Any] = {"number_a": "101", "number_b": "0987858227"}
    assert match_end(ended(direction=Direction.OUTGOING, **end), [dialled]) == dialled
    assert match_end(ended(direction=None, **end), [dialled]) == dialled
    assert match_end(ended(direction=None, **end | {"number_a": "102"}), [dialled]) is None


def test_a_withheld_number_matches_only_at_the_same_place_of_ours() -> None:
    withheld = call(parties=replace(CALL.parties, client_number=None))
    assert match_end(ended(number_a="anonymous"), [withheld]) == withheld
    assert match_end(ended(number_a="anonymous", number_b="101"), [withheld]) is None
    assert match_end(ended(number_a="", number_b=""), [withheld]) is None
    assert match_end(ended(number_a="anonymous"), [call()]) is None


def test_a_call_that_is_open_much_longer_than_was_talked_has_lost_its_end() -> None:
    longest = LONGEST_WAIT + timedelta(seconds=ended(LONGEST_WAIT).billsec)
    assert match_end(ended(longest), [call()]) == call()
    assert match_end(ended(longest + timedelta(seconds=1)), [call()]) is None


def test_a_call_that_came_after_the_end_is_another_one() -> None:
    assert match_end(ended(timedelta(seconds=-6)), [call()]) is None


def test_a_start_and_its_end_may_come_together() -> None:
    """They are written one after the other, but bear the times at which each arrived, at one machine or two."""
    assert match_end(ended(timedelta(seconds=-1)), [call()]) == call()


def best(end: EndedCall, *calls: OpenCall) -> str:
    """The match's ID, the same in whatever order the calls come."""
    found = {match.id for order in permutations(calls) if (match := match_end(end, order))}
    assert len(found) == 1
    return found.pop()


def test_the_call_that_began_at_the_end_s_date_is_preferred() -> None:
    assert best(ended(date="2024-05-06 15:00:00"), call("a", 0), call("b", 1), call("c", -1)) == "a"


def test_then_one_that_is_old_enough_for_the_talk_time() -> None:
    later = timedelta(minutes=10)
    assert best(ended(later, date=None, billsec=580), call("a", 0), call("b", 9)) == "a"
    assert best(ended(later, date=None, billsec=900), call("a", 0), call("b", 9)) == "b"  # neither is: the latest


def test_then_the_latest() -> None:
    assert best(ended(), call("a", 0), call("b", 1), call("c", 0.5)) == "b"
    assert best(ended(), call("a"), call("b", arrived_at=NOON + timedelta(seconds=1)), call("c")) == "b"
    assert best(ended(), call("a"), call("b"), call("c")) == "c"
