"""How many requests of a process may wait for others at once."""

from __future__ import annotations

import threading


class Places:
    """So many may be inside at once; some threads always stay free to answer."""

    def __init__(self, most: int) -> None:
        self._places = threading.BoundedSemaphore(most)

    def enter(self) -> bool:
        return self._places.acquire(blocking=False)

    def leave(self) -> None:
        self._places.release()
