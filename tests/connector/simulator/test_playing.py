"""Calls are played in order, at the pace asked for, and each end brings its callid home."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from connector.simulator.playing import Pace, Playing, pace_of
from connector.simulator.traffic import SimulatedCall, calls
from connector.simulator.transmitter import Transmitter
from tests.connector.simulator.receiver import Receiver, as_agreed

KYIV = ZoneInfo("Europe/Kyiv")
SOME = list(islice(calls(5, per_hour=60), 40))


def playing(receiver: Receiver, pace: Pace, *, recordings: bool = True) -> Playing:
    return Playing(Transmitter(receiver.url, "TOK"), pace, recordings=recordings, stop=threading.Event())


def one_call(after: float = 0.0) -> SimulatedCall:
    return SimulatedCall(
        after=after,
        direction="i",
        number_a="0987858227",
        number_b="0443334401",
        answered_by="101",
        ring_seconds=5,
        talk_seconds=40,
        disposition="ANSWERED",
    )


def test_each_end_brings_home_what_its_start_was_answered_with() -> None:
    with Receiver() as receiver:
        tally = playing(receiver, pace_of(SOME, 0, KYIV)).play(SOME)
    assert (tally.started, tally.ended, tally.failed) == (40, 40, 0)
    assert sorted(end["callid"] for end in receiver.ends) == sorted(as_agreed(start)[1] for start in receiver.starts)
    assert all(("recfile" in end) == (end["disposition"] == "ANSWERED") for end in receiver.ends)


def test_calls_played_at_once_are_dated_in_the_past_hours() -> None:
    with Receiver() as receiver:
        playing(receiver, pace_of(SOME, 0, KYIV)).play(SOME)
    now = datetime.now(KYIV)
    dates = [
        datetime.strptime(event["calldate"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=KYIV) for event in receiver.events
    ]
    span = timedelta(seconds=max(call.ends_after for call in SOME))
    assert max(dates) <= now
    assert timedelta(seconds=-5) < now - min(dates) - span < timedelta(seconds=30)


def test_a_minute_passes_in_a_second_at_speed_60() -> None:
    began = time.monotonic()
    with Receiver() as receiver:
        playing(receiver, pace_of([one_call()], 60, KYIV)).play([one_call()])
    assert 0.7 < time.monotonic() - began < 5  # 45 simulated seconds


def test_an_end_without_its_starts_answer_goes_without_a_callid() -> None:
    with Receiver(lambda fields: (503, "") if fields["callstatus"] == "start" else (200, "OK")) as receiver:
        tally = playing(receiver, pace_of([one_call()], 0, KYIV)).play([one_call()])
    assert (tally.started, tally.ended, tally.failed) == (0, 1, 1)
    (end,) = receiver.ends
    assert "callid" not in end
    assert (end["numberA"], end["numberB"]) == ("0987858227", "101")


def test_a_clock_that_runs_fast_never_shows_a_time_to_come() -> None:
    pace = Pace(begins=datetime.now(KYIV), speed=60)
    assert pace.at(3600) <= datetime.now(KYIV)


def test_nothing_more_is_sent_once_a_stop_is_asked_for() -> None:
    stop = threading.Event()
    with Receiver() as receiver:
        run = Playing(Transmitter(receiver.url, "TOK"), pace_of([], 1, KYIV), recordings=False, stop=stop)
        thread = threading.Thread(target=run.play, args=([one_call(), one_call(after=3600)],))
        thread.start()
        while not receiver.starts:
            time.sleep(0.01)
        stop.set()
        thread.join(5)
    assert not thread.is_alive()
    assert len(receiver.events) == 1
