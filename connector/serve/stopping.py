"""Stopping when a signal asks for it, without a signal handler.

Python runs handlers in the main thread between two steps of its own code. One that sets an event waits for ever where
the main thread is just holding that event's lock, and is not run at all where the signal came a moment before the main
thread began to wait without end: both were seen on busy machines, as workers that did not stop on SIGTERM.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stop_on(*signals: signal.Signals) -> Iterator[threading.Event]:
    """An event that is set when one of these signals comes.

    To be entered by the main thread before it starts others: the signals are blocked, in all threads to come too, and
    one thread waits for them. Processes that are started meanwhile are deaf to them as well; the end lifts the block.
    """
    stop, left = threading.Event(), threading.Event()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    leaving = threading.Lock()
    waiting = threading.Thread(target=_wait, args=(signals, stop, left, leaving), name="signals", daemon=True)
    waiting.start()
    try:
        yield stop
    finally:
        with leaving:
            signal.pthread_kill(waiting.ident or 0, signals[0])
            left.set()
        waiting.join()
        while signal.sigtimedwait(signals, 0):  # they were for what has just ended
            pass
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _wait(
    signals: tuple[signal.Signals, ...], stop: threading.Event, left: threading.Event, leaving: threading.Lock
) -> None:
    while not left.is_set():
        signal.sigwait(signals)
        stop.set()
        with leaving:  # the signal that ends this thread comes a moment before it is said to be that
            pass
