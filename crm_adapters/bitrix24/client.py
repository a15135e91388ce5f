"""A portal for one round of requests: the budget, the tokens and their refresh, a renamed portal, errors by command."""

from __future__ import annotations

import copy
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from crm_adapters.addresses import address_parts
from crm_adapters.bitrix24.answers import STALE, TIME_SPENT, error_of
from crm_adapters.bitrix24.commands import Command, Outcome, Size, batch_of, results_of
from crm_adapters.bitrix24.oauth import app_info, refreshed
from crm_adapters.bitrix24.pace import Pace
from crm_adapters.bitrix24.transport import Answer, post, post_file
from crm_adapters.contract import Account, Exchange, Priority
from crm_adapters.errors import (
    AccountTrouble,
    AdapterError,
    Held,
    Limited,
    NotSent,
    Refused,
    SignInRefused,
    TryAgain,
    Unreachable,
)
from crm_adapters.http import mask
from crm_adapters.oauth import Tokens

# Bitrix24 allows 50 at once and 2 more each second for each portal and source address (REST docs, "Limits"). Exactly
# those figures still met refusals in bursts; and calls that ring now keep a reserve.
BURST: Mapping[Priority, float] = {Priority.START: 47, Priority.BACKGROUND: 37}
PER_SECOND = 1.9

_paces: dict[tuple[str, Size], Pace] = {}  # by portal; a hint, so threads need no lock
_closed_until: dict[tuple[str, str], float] = {}
"""By portal and method, until when (monotonic seconds) its operating time is spent; a hint too: who does not know asks
once."""


class Portal:
    """The portal of one account for `seconds`. Raises SignInRefused at once where the application is not installed."""

    def __init__(self, account: Account, *, priority: Priority, seconds: float) -> None:
        self._account = account
        self._priority = priority
        self._deadline = time.monotonic() + seconds
        self._has_asked = False
        self.tokens = self._installed()

    def call(self, method: str, params: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """The whole answer of one method: `result`, `next`, ... Raises AdapterError."""
        answer = self._answer(method, dict(params or {}), post)
        error = error_of(answer)
        if error is not None:
            raise error
        return answer.body or {}

    def run(self, commands: Sequence[Command]) -> list[Outcome]:
        """Each command's outcome, in order, in as few requests as the time left allows. Raises nothing of the CRM's."""
        closed = {command.method: held for command in commands if (held := self._held(command.method))}
        open_ones = [command for command in commands if command.method not in closed]
        done = iter(self._run_all(open_ones))
        return [_unsent(closed[each.method]) if each.method in closed else next(done) for each in commands]

    def _run_all(self, commands: Sequence[Command]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        while len(outcomes) < len(commands):
            part = commands[len(outcomes) : len(outcomes) + self._fitting(commands[0].size)]
            done, trouble = self._run_part(part)
            outcomes += done
            if trouble is not None:
                outcomes += [_unsent(trouble) for _ in commands[len(outcomes) :]]
        return outcomes

    def _held(self, method: str) -> Held | None:
        """The error of a method whose operating time is known to be spent."""
        left = _closed_until.get((self._bucket, method), 0.0) - time.monotonic()
        return Held(f"{method} has used up its operating time", code=TIME_SPENT, retry_after=left) if left > 0 else None

    def _run_part(self, commands: Sequence[Command]) -> tuple[list[Outcome], AdapterError | None]:
        """The outcomes, and the trouble where it concerns all requests and not one command."""
        began = time.monotonic()
        size = commands[0].size
        try:
            self._take_time(size, len(commands))
            answer = self._send(commands)
        except AdapterError as error:
            if error.maybe_done:
                self._learn(size, self._pace(size).not_answered(len(commands), time.monotonic() - began))
            return self._failed(commands, error, f"{type(error).__name__}: {error}", began), _concerns_all(error)
        refusal = error_of(answer)
        if isinstance(refusal, Refused) and len(commands) > 1:
            refusal = TryAgain(f"the portal refused the whole batch: {refusal}", code=refusal.code)
        if isinstance(refusal, Held) and len(commands) == 1:
            _closed_until[self._bucket, commands[0].method] = time.monotonic() + refusal.retry_after
        if refusal is not None:
            text = f"{answer.status} {answer.text}"
            return self._failed(commands, refusal, text, began), _concerns_all(refusal)
        self._learn(size, self._pace(size).measured(len(commands), time.monotonic() - began))
        body = answer.body or {}
        results = [body.get("result")] if len(commands) == 1 else results_of(body, len(commands))
        return [self._outcome(*pair, began) for pair in zip(commands, results, strict=True)], None

    def _send(self, commands: Sequence[Command]) -> Answer:
        if len(commands) > 1:
            return self._answer("batch", batch_of(commands), post)
        only = commands[0]
        try:
            params = only.all_params()
        except OSError as error:
            raise TryAgain(f"the recording can't be read: {error.strerror or type(error).__name__}") from error
        return self._answer(only.method, params, post if only.content is None else post_file)

    def _outcome(self, command: Command, result: Any, began: float) -> Outcome:
        error = result if isinstance(result, AdapterError) else None
        if isinstance(error, Held):
            _closed_until[self._bucket, command.method] = time.monotonic() + error.retry_after
        text = f"{error.code} {error}" if error else json.dumps(result, ensure_ascii=False)
        return Outcome(result=None if error else result, error=error, exchange=self._exchange(command, text, began))

    def _failed(self, commands: Sequence[Command], error: AdapterError, text: str, began: float) -> list[Outcome]:
        return [Outcome(error=error, exchange=self._exchange(command, text, began)) for command in commands]

    def _exchange(self, command: Command, answer: str, began: float) -> Exchange:
        secrets = (
            self.tokens.access,
            self.tokens.refresh,
            self._account.settings.get("bitrix24_client_secret", ""),
            self.tokens.extra.get("application_token", ""),
        )
        milliseconds = round((time.monotonic() - began) * 1000)
        return Exchange(request=mask(command.text(), secrets), answer=mask(answer, secrets), milliseconds=milliseconds)

    def _answer(self, method: str, params: dict[str, Any], send: Callable[..., Answer]) -> Answer:
        """The answer of one request; repeated once with newer tokens, or at the portal's new address."""
        answer = self._ask(method, params, send)
        if 300 <= answer.status < 400:
            self._follow(answer.location)
            return self._ask(method, params, send)
        error = error_of(answer)
        if not isinstance(error, SignInRefused):
            return answer
        used, stale = self.tokens, error.code.lower() in STALE
        self.tokens = self._renewed(used, lambda kept: refreshed(self._account, kept)) if stale else self._installed()
        return answer if self.tokens.access == used.access else self._ask(method, params, send)

    def _ask(self, method: str, params: dict[str, Any], send: Callable[..., Answer]) -> Answer:
        if self._left() > 0:  # else a request of the budget would be spent on nothing
            self._take_budget()
        left = self._left()
        if left <= 0:
            raise NotSent("the time of this round was up")
        answer = send(
            self.tokens.endpoint,
            method,
            {**params, "auth": self.tokens.access},
            seconds=left,
            allow_local=self._account.allow_local,
        )
        if str((answer.body or {}).get("error", "")).lower() == "query_limit_exceeded":
            self._account.limiter.fill(self._bucket, burst=BURST[Priority.START])
        return answer

    def _take_budget(self) -> None:
        """Takes one request of the budget. Background work waits for it, a ringing call does not. Raises Limited."""
        while True:
            wait = self._account.limiter.take(self._bucket, burst=BURST[self._priority], per_second=PER_SECOND)
            if wait <= 0:
                return
            if self._priority == Priority.START or wait >= self._left():
                raise Limited("the portal's request budget is spent for now", retry_after=wait)
            time.sleep(wait)

    @property
    def _bucket(self) -> str:
        return f"bitrix24:{urlsplit(self.tokens.endpoint).netloc}"

    def _left(self) -> float:
        return self._deadline - time.monotonic()

    def _installed(self) -> Tokens:
        tokens = self._account.tokens.current()
        if tokens is None:
            raise SignInRefused("the application is not installed: open it in the portal as an administrator")
        return tokens

    def _renewed(self, used: Tokens, renew: Callable[[Tokens], Tokens]) -> Tokens:
        """Newer tokens, or Unreachable where that takes longer than this round.

        The refresh then goes on by itself: broken off, it could lose the new tokens while the old ones are dead.
        """
        return _in_its_own_time(lambda: self._account.tokens.renewed(used, renew), self._left())

    def _follow(self, location: str) -> None:
        """Takes a renamed portal's new address, if the OAuth server says that our token belongs there."""
        parts = address_parts(location)
        allowed = parts.scheme == "https" or (parts.scheme == "http" and self._account.allow_local)
        if not (allowed and parts.netloc):
            raise Unreachable("the portal redirects to an address that is none")
        used = self.tokens
        info = app_info(self._account, used.access, used.extra.get("oauth_server", ""), seconds=max(self._left(), 0.5))
        install = info.get("install")
        if not isinstance(install, dict) or str(install.get("domain", "")).lower() != parts.netloc.lower():
            raise Unreachable(
                f"the portal redirects to {parts.netloc}, which the OAuth server does not know as its address"
            )
        endpoint = f"{parts.scheme}://{parts.netloc}/rest/"
        self.tokens = self._renewed(used, lambda kept: replace(kept, endpoint=endpoint))
        if self.tokens.endpoint != endpoint:
            raise Unreachable("the portal's new address could not be kept yet")

    def _take_time(self, size: Size, count: int) -> None:
        """Raises NotSent where a further request of this round would be cut off: nobody would know what it did."""
        if self._has_asked and self._pace(size).takes(count) > self._left():
            raise NotSent("the time left in this round is too short for the portal's pace")
        self._has_asked = True

    def _fitting(self, size: Size) -> int:
        """How many commands one request may carry so that it ends in the time left."""
        return self._pace(size).fitting(int(size), max(self._left(), 0.0))

    def _pace(self, size: Size) -> Pace:
        return _paces.get((self._bucket, size), Pace())

    def _learn(self, size: Size, pace: Pace) -> None:
        _paces[self._bucket, size] = pace


def _unsent(trouble: AdapterError) -> Outcome:
    """What becomes of a command that was not sent, because of what is known or another one has met."""
    unsent = copy.copy(trouble)
    unsent.maybe_done = False
    return Outcome(error=unsent, exchange=Exchange(request="", answer=f"not sent: {unsent}", milliseconds=0))


def _concerns_all(error: AdapterError) -> AdapterError | None:
    """The error where further requests of this round would only meet it again."""
    if isinstance(error, SignInRefused) and error.code.lower() == "insufficient_scope":
        return None  # it is said of one method
    return error if isinstance(error, AccountTrouble | SignInRefused) else None


def _in_its_own_time(action: Callable[[], Tokens], seconds: float) -> Tokens:
    """What `action` returns or raises, if that is within `seconds`; it is never broken off."""
    outcome: list[Tokens | BaseException] = []

    def run() -> None:
        try:
            outcome.append(action())
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            outcome.append(error)

    thread = threading.Thread(target=run, name="bitrix24-refresh", daemon=True)
    thread.start()
    thread.join(max(seconds, 0.0))
    if not outcome:
        raise Unreachable("the sign-in is being refreshed")
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]
