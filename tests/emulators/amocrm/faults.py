"""Trouble to order: what networks, proxies and overloaded accounts do, for all requests or for one path."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from types import TracebackType
from typing import Any, Self

from tests.emulators.amocrm.errors import FORBIDDEN_PAGE, PROBLEM, TITLES
from tests.emulators.http import Dropped, Response

Answer = Callable[[], Response]


@dataclass(frozen=True)
class Fault:
    """One kind of trouble. `effect`: the work is done all the same, only the answer is not what it should be.

    `before` and `after` are seconds of waiting before and after the work; `then` makes the answer out of the true one
    (None where no work was done), or drops the connection.
    """

    then: Callable[[Response | None], Response]
    effect: bool = False
    before: float = 0.0
    after: float = 0.0
    silent: float | None = None

    def happen(self, answer: Answer, cleared: threading.Event) -> Response:
        """Lets it happen to one request."""
        cleared.wait(self.before)
        response = answer() if self.effect else None
        cleared.wait(self.after)
        if self.silent is not None:
            cleared.wait(self.silent if self.silent > 0 else None)
        return self.then(response)

    @staticmethod
    def too_many(retry_after: int | None = 300, *, effect: bool = False) -> Fault:
        """429 in JSON; None: without `retry_after`."""
        more = {} if retry_after is None else {"retry_after": retry_after}
        return _problem(429, "Too many requests", effect, **more)

    @staticmethod
    def too_many_with_header(seconds: int = 2, *, effect: bool = False) -> Fault:
        """429 in JSON whose waiting time is in the header Retry-After only."""
        return _json(429, _body(429, "Too many requests"), effect, {"Retry-After": str(seconds)})

    @staticmethod
    def too_many_page(*, effect: bool = False) -> Fault:
        """429 as a proxy's page."""
        return _page(429, "429 Too Many Requests", effect)

    @staticmethod
    def forbidden_page() -> Fault:
        """403 as nginx's page: the address or the account is blocked."""
        return Fault(lambda _: Response(FORBIDDEN_PAGE, 403, "text/html"))

    @staticmethod
    def forbidden() -> Fault:
        """403 in JSON: no rights."""
        return _problem(403, "Access denied", False)

    @staticmethod
    def unpaid() -> Fault:
        """402: the account is not paid for."""
        return _problem(402, "Account is not paid", False)

    @staticmethod
    def unauthorized() -> Fault:
        """401 although the token is good."""
        return _problem(401, "Invalid user name or password", False)

    @staticmethod
    def internal(*, effect: bool = False) -> Fault:
        """500 in JSON."""
        body = {"title": "ErrInternalServer", "status": 500, "detail": "Internal server error", "trace_id": "0f3c"}
        return _json(500, body, effect)

    @staticmethod
    def bad_gateway(*, effect: bool = False) -> Fault:
        """502 as a proxy's page."""
        return _page(502, "502 Bad Gateway", effect)

    @staticmethod
    def unavailable(*, effect: bool = False) -> Fault:
        """503 as a page."""
        return _page(503, "503 Service Temporarily Unavailable", effect)

    @staticmethod
    def gateway_timeout(*, effect: bool = False) -> Fault:
        """504 as a proxy's page."""
        return _page(504, "504 Gateway Time-out", effect)

    @staticmethod
    def page(*, effect: bool = False) -> Fault:
        """200 with a page instead of JSON."""
        return _page(200, "amoCRM", effect)

    @staticmethod
    def redirect(to: str = "/auth", *, effect: bool = False) -> Fault:
        """302 to somewhere else."""
        return Fault(lambda _: Response(b"", 302, headers={"Location": to}), effect)

    @staticmethod
    def not_found_page() -> Fault:
        """404 as a page."""
        return _page(404, "404 Not Found", False)

    @staticmethod
    def truncated(*, effect: bool = True) -> Fault:
        """Half of the JSON, with the length of that half."""
        return Fault(lambda true: replace(_or_ok(true), body=_half(true)), effect)

    @staticmethod
    def broken_off(*, effect: bool = True) -> Fault:
        """Half of the JSON, with the length of the whole: the connection ends in the middle."""
        return Fault(lambda true: replace(_or_ok(true), body=_half(true), length=len(_bytes(true))), effect)

    @staticmethod
    def empty(status: int = 204, *, effect: bool = False) -> Fault:
        """An answer without a body: 204, 202, 200."""
        return Fault(lambda _: Response(b"", status, "application/json"), effect)

    @staticmethod
    def latency(seconds: float, *, after: bool = False) -> Fault:
        """A late but true answer; the waiting is before the work, or after it."""
        return Fault(_true, effect=True, before=0.0 if after else seconds, after=seconds if after else 0.0)

    @staticmethod
    def cut(*, effect: bool = False) -> Fault:
        """The connection is reset; with `effect` when everything has been done."""
        return Fault(_drop, effect)

    @staticmethod
    def silence(seconds: float = 0.0, *, effect: bool = False) -> Fault:
        """No answer for so long (0: until it is cleared, or the emulator closes); then the connection is reset."""
        return Fault(_drop, effect, silent=seconds)


@dataclass
class Ordered:
    """A fault that waits for its requests, so many times (None: until cleared); as a context it clears itself."""

    method: str
    path: str
    fault: Fault
    times: int | None = None
    hits: int = 0
    cleared: threading.Event = field(default_factory=threading.Event)

    def clear(self) -> None:
        """Ends the trouble, also for the requests that it holds at this moment."""
        self.cleared.set()

    def concerns(self, method: str, path: str) -> bool:
        """Whether it is still to happen to such a request."""
        spent = self.cleared.is_set() or (self.times is not None and self.hits >= self.times)
        return not spent and self.method in ("*", method) and fnmatchcase(path, self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.clear()


class Faults:
    """The troubles of one account: those for the next requests first, in the order in which they were ordered."""

    def __init__(self) -> None:
        self._ordered: list[Ordered] = []
        self._lock = threading.Lock()

    def next(self, method: str, path: str, fault: Fault, times: int = 1) -> Ordered:
        """For the next requests to that path; `*` is any method, `*` in a path is anything."""
        return self._add(Ordered(method, path, fault, times))

    def always(self, method: str, path: str, fault: Fault) -> Ordered:
        """For all requests to that path from now on."""
        return self._add(Ordered(method, path, fault))

    def clear(self) -> None:
        """Ends all troubles."""
        with self._lock:
            for ordered in self._ordered:
                ordered.clear()
            self._ordered.clear()

    def around(self, method: str, path: str, answer: Answer) -> Response:
        """Answers a request, or lets the trouble happen."""
        ordered = self._take(method, path)
        return ordered.fault.happen(answer, ordered.cleared) if ordered else answer()

    def _add(self, ordered: Ordered) -> Ordered:
        with self._lock:
            self._ordered.append(ordered)
        return ordered

    def _take(self, method: str, path: str) -> Ordered | None:
        with self._lock:
            waiting = sorted(self._ordered, key=lambda each: each.times is None)
            found = next((each for each in waiting if each.concerns(method, path)), None)
            if found:
                found.hits += 1
            return found


def _body(status: int, detail: str, **more: Any) -> dict[str, Any]:
    kind = f"https://httpstatus.es/{status}"
    return {"title": TITLES[status], "type": kind, "status": status, "detail": detail, **more}


def _problem(status: int, detail: str, effect: bool, **more: Any) -> Fault:
    return _json(status, _body(status, detail, **more), effect)


def _json(status: int, body: dict[str, Any], effect: bool, headers: dict[str, str] | None = None) -> Fault:
    return Fault(lambda _: Response(json.dumps(body).encode(), status, PROBLEM, headers or {}), effect)


def _page(status: int, title: str, effect: bool) -> Fault:
    page = f"<html>\r\n<head><title>{title}</title></head>\r\n<body>nginx</body>\r\n</html>\r\n".encode()
    return Fault(lambda _: Response(page, status, "text/html"), effect)


def _or_ok(true: Response | None) -> Response:
    return true or Response(b'{"_embedded":{}}', 200, "application/hal+json")


def _bytes(true: Response | None) -> bytes:
    body = _or_ok(true).body
    return body if isinstance(body, bytes) else b"".join(body)


def _half(true: Response | None) -> bytes:
    body = _bytes(true)
    return body[: len(body) // 2]


def _true(response: Response | None) -> Response:
    return _or_ok(response)


def _drop(_: Response | None) -> Response:
    raise Dropped("ordered")
