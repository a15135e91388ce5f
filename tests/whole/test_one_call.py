"""The main job over real HTTP: Evrotel's events in, the call in Bitrix24 with its recording."""

from __future__ import annotations

import pytest

from tests.emulators.bitrix24 import Bitrix24
from tests.emulators.evrotel import Recordings
from tests.running import Installation, wait_for

pytestmark = pytest.mark.processes

RECFILE = "/wav/9/2026-04-01/1522566805.1461640-1198614775.wav"


def test_a_call_stands_in_the_portal_with_its_recording(
    running: Installation, portal: Bitrix24, recordings: Recordings
) -> None:
    sound = recordings.add(RECFILE)
    evrotel = running.transmitter()
    start = evrotel.start("0987858227", "101")
    assert start.status == 200
    assert start.content_type.startswith("text/plain")
    [call] = portal.calls
    assert start.body.decode() == call.call_id
    assert (call.user_id, call.phone_number, call.type, call.show) == (2, "+380987858227", 2, True)
    end = evrotel.end(start.callid, billsec="78", disposition="ANSWERED", recfile=RECFILE)
    assert (end.status, end.body) == (200, b"OK")
    wait_for(lambda: call.record)
    assert (call.finished, call.duration, call.status_code, call.finishes_accepted) == (True, 78, "200", 1)
    assert call.record == sound
    assert len(call.activities) == 1
    assert portal.calls == [call]
    assert portal.violations == []


def test_a_missed_call_is_finished_as_missed(running: Installation, portal: Bitrix24) -> None:
    evrotel = running.transmitter()
    start = evrotel.start("0501112233", "0443334455")
    evrotel.end(start.callid, billsec="0", disposition="NO ANSWER", recfile="NULL")
    [call] = portal.calls
    wait_for(lambda: call.finished)
    assert (call.status_code, call.duration, call.line_number, call.user_id) == ("304", 0, "+380443334455", 1)
    assert call.record is None
    assert portal.violations == []


def test_an_end_without_its_start_is_logged_silently(running: Installation, portal: Bitrix24) -> None:
    end = running.transmitter().end(
        None, numberA="101", numberB="0987858227", direction="o", billsec="5", disposition="ANSWERED"
    )
    assert end.status == 200
    [call] = wait_for(portal.finished_calls)
    assert (call.type, call.show, call.duration) == (1, False, 5)
    assert portal.violations == []
