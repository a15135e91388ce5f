"""A process that must not outlive another: it watches a pipe that only the other one holds open."""

from __future__ import annotations

import os
import threading


def die_with(pipe: int) -> None:
    """Ends this process at once when nobody holds the other end of `pipe` (a reading end) any more.

    A kill -9 of the other process closes its end too. What was in flight is as safe as after a kill -9 of this one.
    """
    threading.Thread(target=_watch, args=(pipe,), name="lifeline", daemon=True).start()


def _watch(pipe: int) -> None:
    while os.read(pipe, 1):  # nobody writes: this returns at the pipe's end only
        pass
    os._exit(1)
