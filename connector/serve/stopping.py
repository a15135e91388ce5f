"""Stopping when a signal asks for it, without a signal handler.

Python runs handlers in the main thread between two steps of its own code. One that sets an event waits for ever where
the main thread is just holding that event's lock, and is not run at all where the signal came a moment before the main
thread began to wait without end: both were seen on busy machines, as workers that did not stop on SIGTERM.
"""

from __future__ import annotations

import signal
import threading


def stop_on(*signals: signal.Signals) -> threading.Event:
    """An event that is set when one of these signals comes.

    To be called by the main thread before it starts others: the signals are blocked, in all threads to come too, and
    one thread waits for them.
    """
    stop = threading.Event()
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    threading.Thread(target=_wait, args=(signals, stop), name="signals", daemon=True).start()
    return stop


def _wait(signals: tuple[signal.Signals, ...], stop: threading.Event) -> None:
    signal.sigwait(signals)
    stop.set()
