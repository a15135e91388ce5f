"""Trouble to order: what networks, proxies and overloaded portals do, for all methods or for one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.emulators.bitrix24.errors import SYSTEM, RestError
from tests.emulators.http import Dropped, Response

BAD_GATEWAY = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>nginx</body>\r\n</html>\r\n"
GATEWAY_TIMEOUT = BAD_GATEWAY.replace(b"502 Bad Gateway", b"504 Gateway Time-out")
Answer = Callable[[], Response]


@dataclass
class Fault:
    """One kind of trouble, as often as `times` says (None: until cleared); as a context manager it clears itself."""

    kind: str
    method: str | None = None
    times: int | None = None
    seconds: float = 0.0
    effect: bool = False
    error: RestError | None = None
    hits: int = 0
    cleared: threading.Event = field(default_factory=threading.Event)

    def clear(self) -> None:
        """Ends the trouble, also for the requests that it holds at this moment."""
        self.cleared.set()

    def concerns(self, methods: Iterable[str]) -> bool:
        """Whether it is still to happen to one of these methods."""
        spent = self.cleared.is_set() or (self.times is not None and self.hits >= self.times)
        return not spent and (self.method is None or self.method.lower() in [each.lower() for each in methods])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.clear()


class Faults:
    """The troubles of one server. The newest one that concerns a request wins."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def html_502(self, method: str | None = None, times: int | None = None) -> Fault:
        """A proxy's HTML page instead of an answer, without the effect."""
        return self._add(Fault("html_502", method, times))

    def page(self, method: str | None = None, times: int | None = None) -> Fault:
        """A page with the status of a success instead of an answer, without the effect."""
        return self._add(Fault("page", method, times))

    def slow(
        self, seconds: float, *, effect: bool = True, method: str | None = None, times: int | None = None
    ) -> Fault:
        """A late answer. The effect is done at once; with `effect=False` never, and a proxy's 504 comes instead."""
        return self._add(Fault("slow", method, times, seconds, effect))

    def reset_before(self, method: str | None = None, times: int | None = None) -> Fault:
        """The connection is reset and nothing has been done."""
        return self._add(Fault("reset", method, times, effect=False))

    def reset_after(self, method: str | None = None, times: int | None = None) -> Fault:
        """The connection is reset although everything has been done."""
        return self._add(Fault("reset", method, times, effect=True))

    def silence(self, *, effect: bool = False, method: str | None = None, times: int | None = None) -> Fault:
        """No answer at all until the fault is cleared; then the connection is reset."""
        return self._add(Fault("silence", method, times, effect=effect))

    def error(
        self,
        code: str,
        status: int | None = None,
        description: str | None = None,
        *,
        method: str | None = None,
        times: int | None = None,
    ) -> Fault:
        """An error in Bitrix24's own form, inside batches too; texts and statuses of known codes need not be given."""
        known_status, known_text = SYSTEM.get(code, (400, ""))
        chosen = known_text if description is None else description
        return self._add(Fault("error", method, times, error=RestError(code, chosen, status or known_status)))

    def clear(self) -> None:
        """Ends all troubles."""
        with self._lock:
            for fault in self._faults:
                fault.clear()
            self._faults.clear()

    def refusal(self, method: str) -> RestError | None:
        """The ordered error for a method call."""
        fault = self._take(["error"], [method])
        return fault.error if fault else None

    def around(self, methods: Iterable[str], answer: Answer) -> Response:
        """Answers a request that is about these methods, or lets the trouble happen."""
        fault = self._take(["html_502", "page", "slow", "reset", "silence"], methods)
        if fault is None:
            return answer()
        response = answer() if fault.effect else Response(BAD_GATEWAY, 502, "text/html")
        if fault.kind == "html_502":
            return response
        if fault.kind == "page":
            return Response(BAD_GATEWAY, 200, "text/html")
        if fault.kind == "slow":
            fault.cleared.wait(fault.seconds)
            return response if fault.effect else Response(GATEWAY_TIMEOUT, 504, "text/html")
        if fault.kind == "silence":
            fault.cleared.wait()
        raise Dropped(fault.kind)

    def _add(self, fault: Fault) -> Fault:
        with self._lock:
            self._faults.insert(0, fault)
        return fault

    def _take(self, kinds: list[str], methods: Iterable[str]) -> Fault | None:
        asked = list(methods)
        with self._lock:
            for fault in self._faults:
                if fault.kind in kinds and fault.concerns(asked):
                    fault.hits += 1
                    return fault
        return None
