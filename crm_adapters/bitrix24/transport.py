"""One HTTP request to a portal: fast_bitrix24 as transport only.

Its own retries, batches, limits and token refresh stay out of the way, because they repeat what must not be repeated
and mix up answers (tests/crm_adapters/bitrix24/test_transport.py holds it to this, private details included). Every
call is one request on the wire. All of it runs on one event loop in one thread of each process.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import logging
import os
import threading
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NoReturn

import aiohttp
import requests
from fast_bitrix24 import BitrixAsync

from crm_adapters.errors import Unreachable
from crm_adapters.http import (
    CONNECT_SECONDS,
    BodyTooLarge,
    DeadlinePassed,
    ForbiddenAddress,
    check_address,
    guarded_session,
    read_capped,
)
from crm_adapters.http_async import guarded_connector

MOST_BYTES = 32 * 1024 * 1024
MOST_SECONDS = 60.0
"""Bitrix24 itself ends a request after that."""
IDLE_SECONDS = 15.0
"""How long an idle connection is kept: shorter than servers do, else a request meets one that is just being closed."""
NOT_SENT = (ForbiddenAddress, aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)

logging.getLogger("fast_bitrix24").setLevel(logging.WARNING)  # it prints all arguments, and its import set DEBUG


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back. `body` is the JSON object, None where there was none; `location` is a redirect's aim."""

    status: int
    body: Mapping[str, Any] | None
    text: str
    location: str = ""


def post(endpoint: str, method: str, params: Mapping[str, Any], *, seconds: float, allow_local: bool) -> Answer:
    """The portal's answer to one POST of JSON, whatever its status.

    Raises Unreachable where none came; `maybe_done` unless the request certainly was not sent.
    """
    check(endpoint, allow_local)
    process = _process()
    coroutine = process.post(endpoint, method, dict(params), min(seconds, MOST_SECONDS), allow_local)
    future = asyncio.run_coroutine_threadsafe(coroutine, process.loop)
    try:
        return future.result(min(seconds, MOST_SECONDS) + 1)
    except TimeoutError:
        future.cancel()
        raise Unreachable("the portal did not answer in time", maybe_done=True) from None


def post_file(endpoint: str, method: str, params: Mapping[str, Any], *, seconds: float, allow_local: bool) -> Answer:
    """The same for parameters of megabytes: sent from the caller's thread, to keep the one loop free for calls."""
    check(endpoint, allow_local)
    deadline = time.monotonic() + min(seconds, MOST_SECONDS)
    try:
        with (
            guarded_session(allow_local) as session,
            session.post(
                f"{endpoint}{method}", json=params, stream=True, timeout=(CONNECT_SECONDS, max(seconds, 1.0))
            ) as response,
        ):
            text = read_capped(response, MOST_BYTES, deadline).decode("utf-8", "replace")
            return _answer(response.status_code, text, response.headers.get("Location", ""))
    except ForbiddenAddress as error:
        raise Unreachable(f"refused to connect: {error}") from None
    except (requests.RequestException, BodyTooLarge, DeadlinePassed) as error:
        # Not the error's own text: it contains the address with whatever stood in it.
        raise Unreachable(f"no answer from the portal ({type(error).__name__})", maybe_done=True) from None


def check(endpoint: str, allow_local: bool) -> None:
    """Raises Unreachable where the address is none that may be asked."""
    try:
        check_address(endpoint, allow_local=allow_local)
    except ForbiddenAddress as error:
        raise Unreachable(f"refused to connect: {error}") from None


def _answer(status: int, text: str, location: str) -> Answer:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    return Answer(status=status, body=body if isinstance(body, dict) else None, text=text, location=location)


@dataclass
class _Wire:
    """What became of one request."""

    sent: bool = False
    answer: Answer | None = None


_wire: ContextVar[_Wire] = ContextVar("_wire")


class _NoResult(Exception):
    """Ends the library's handling: the answer is in `_Wire` and is none that the library could make sense of."""


async def _keep_answer(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """aiohttp's middleware around the one request: keeps status and body, which the library drops for errors."""
    response = await handler(request)
    if (response.content_length or 0) > MOST_BYTES:
        response.close()
        raise _NoResult
    text = await response.text("utf-8", "replace")
    answer = _answer(response.status, text, response.headers.get("Location", ""))
    _wire.get().answer = answer
    if response.status != 200 or answer.body is None or "json" not in response.content_type:
        raise _NoResult  # also stops a redirect, which would turn POST into GET
    return response


async def _mark_sent(*_: Any) -> None:
    _wire.get().sent = True


def _give_up(error: Exception) -> NoReturn:
    """In place of the library's own `failure`, which makes it send the request again."""
    raise error


class _Process:
    """The loop of this process, its thread and its connections."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.loop = asyncio.new_event_loop()
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._portals: dict[tuple[str, bool], BitrixAsync] = {}
        self._thread = threading.Thread(target=self.loop.run_forever, name="bitrix24", daemon=True)
        self._thread.start()

    async def post(
        self, endpoint: str, method: str, params: dict[str, Any], seconds: float, allow_local: bool
    ) -> Answer:
        wire = _Wire()
        _wire.set(wire)
        try:
            await asyncio.wait_for(self._portal(endpoint, allow_local).call(method, params, raw=True), seconds)
        except NOT_SENT as error:
            raise Unreachable(f"no connection to the portal: {error}") from None
        except Exception as error:  # noqa: BLE001 - whatever the library makes of an answer, the answer itself counts
            if wire.answer is None:
                text = "the portal did not answer in time" if isinstance(error, TimeoutError) else "no answer"
                raise Unreachable(f"{text} ({type(error).__name__})", maybe_done=wire.sent) from None
        if wire.answer is None:
            raise Unreachable("no answer", maybe_done=wire.sent)
        return wire.answer

    def _portal(self, endpoint: str, allow_local: bool) -> BitrixAsync:
        key = (endpoint, allow_local)
        if key not in self._portals:
            portal = BitrixAsync(
                endpoint,
                verbose=False,
                client=self._session(allow_local),
                respect_velocity_policy=True,  # False ends in a KeyError after the portal has done its work
                operating_time_limit=10**9,
                request_pool_size=10**6,
                requests_per_second=1e6,
            )
            portal.srh.failure = _give_up
            self._portals[key] = portal
        return self._portals[key]

    def _session(self, allow_local: bool) -> aiohttp.ClientSession:
        if allow_local not in self._sessions:
            trace = aiohttp.TraceConfig()
            trace.on_request_headers_sent.append(_mark_sent)
            self._sessions[allow_local] = aiohttp.ClientSession(
                connector=guarded_connector(allow_local, keepalive_timeout=IDLE_SECONDS),
                timeout=aiohttp.ClientTimeout(total=MOST_SECONDS + 10, sock_connect=CONNECT_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept-Encoding": "identity"},
                raise_for_status=False,
                middlewares=(_keep_answer,),
                trace_configs=[trace],
            )
        return self._sessions[allow_local]

    def close(self) -> None:
        """Ends the connections and the thread, unless this is the child of a fork and they are its parent's."""
        if self.pid != os.getpid() or not self._thread.is_alive():
            return
        try:
            asyncio.run_coroutine_threadsafe(self._close_sessions(), self.loop).result(2)
        finally:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(2)

    async def _close_sessions(self) -> None:
        for session in self._sessions.values():
            await session.close()


_processes: list[_Process] = []  # a forked child's inherited one is kept, else its end would disturb the parent's
_making = threading.Lock()


def _process() -> _Process:
    with _making:
        if not _processes or _processes[-1].pid != os.getpid():
            _processes.append(_Process())
            atexit.register(_processes[-1].close)
        return _processes[-1]
