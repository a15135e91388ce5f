"""A signal stops a process whatever its main thread is just doing."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

BUSY = """
import signal
from connector.serve.stopping import stop_on
stop = stop_on(signal.SIGTERM, signal.SIGINT)
print("ready", flush=True)
while not stop.wait(0):  # most of the time it holds the event's lock
    pass
"""


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT] * 3)
def test_a_signal_is_heard_by_a_main_thread_that_holds_the_event_s_lock(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        try:
            assert process.wait(20) == 0
        finally:
            process.kill()
