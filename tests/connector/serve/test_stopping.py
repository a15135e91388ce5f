"""A signal stops a process whatever its main thread is just doing."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

BUSY = """
import signal
from connector.serve.stopping import stop_on
with stop_on(signal.SIGTERM, signal.SIGINT) as stop:
    print("ready", flush=True)
    while not stop.wait(0):  # most of the time it holds the event's lock
        pass
"""

LEFT = """
import os, signal, threading
from connector.serve.stopping import stop_on
before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
for times in (0, 1, 2):  # the second signal is as harmless as the first
    with stop_on(signal.SIGTERM, signal.SIGINT) as stop:
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop.wait(10)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
    assert threading.active_count() == 1
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


def test_signals_are_blocked_no_longer_than_they_are_waited_for() -> None:
    """Processes inherit what is blocked: a web process that was started afterwards was deaf to SIGTERM."""
    subprocess.run([sys.executable, "-c", LEFT], timeout=20, check=True)
