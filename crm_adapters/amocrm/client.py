"""An account for one round of requests: tokens and their refresh, the budget, a new address, what is kept of it all."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from crm_adapters.amocrm import library
from crm_adapters.amocrm.answers import Answer, error_of, items_of
from crm_adapters.amocrm.hosts import account_url
from crm_adapters.amocrm.oauth import refreshed, renamed
from crm_adapters.amocrm.pace import spent, wait_turn
from crm_adapters.amocrm.wire import ask
from crm_adapters.contract import Account, Exchange, Priority, Telling
from crm_adapters.errors import AdapterError, Limited, Misconfigured, NotSent, Refused, SignInRefused, Unreachable
from crm_adapters.http import guarded_session, mask
from crm_adapters.oauth import Tokens

REFRESH_BEFORE = timedelta(minutes=5)
INFO_LASTS = 600.0
WRITE_SECONDS = 1.0
"""What is to be written is not sent with less time for its answer."""
NOT_CONNECTED = "No amoCRM account is connected yet: connect it in the panel; all calls are kept"
NEW_TOKEN_NEEDED = "amoCRM refuses the long-lived token, revoked or expired: set a new one; all calls are kept"  # noqa: S105 - a message
OTHER_ACCOUNT = "The long-lived token belongs to another account than this connection: set the right one"
_SECRETS = ("amocrm_client_secret", "amocrm_long_lived_token")


@dataclass(frozen=True, kw_only=True)
class AccountInfo:
    """What an account says of itself."""

    id: str
    name: str
    subdomain: str
    has_unsorted: bool
    user_id: str


_infos: dict[tuple[str, ...], tuple[float, AccountInfo]] = {}
"""By connection, address and a digest of its token; a hint, so threads need no lock."""
_proved: set[tuple[str, ...]] = set()
"""Long-lived tokens that were seen to be of the account that their connection is bound to."""


class AmoAccount:
    """The account of one connection for `seconds`. Raises SignInRefused at once where none is connected.

    Tellings that are `listening` keep what is sent and answered for them.
    """

    def __init__(self, account: Account, *, priority: Priority, seconds: float) -> None:
        self.account = account
        self._priority = priority
        self._deadline = time.monotonic() + seconds
        self._listeners: tuple[Telling, ...] = ()
        self._session = guarded_session(account.allow_local)
        self._is_long_lived = bool(account.settings.get("amocrm_long_lived_token"))
        self.tokens = self._signed_in()
        self._manager = library.AccountTokens(lambda: self.tokens.access)
        self.contacts = library.Contacts(self._manager, self._send)
        self.companies = library.Companies(self._manager, self._send)
        self.tasks = library.Tasks(self._manager, self._send)
        self.users = library.Users(self._manager, self._send)

    @property
    def url(self) -> str:
        """`https://company.amocrm.ru`."""
        return self.tokens.endpoint

    def rows(self, path: str, field: str) -> library.Rows:
        """The list at `path`, whose rows are `field` of its `_embedded`."""
        return library.Rows(self._manager, self._send, path=path, field=field)

    def post(self, path: str, data: Any) -> tuple[Any, int]:
        """The body and status of 2xx and 400. Raises AdapterError for all else."""
        answered: tuple[Any, int] = self.rows(path, "").request("post", path, data=data)
        return answered

    def get(self, path: str, **params: Any) -> Any:
        """The body. Raises AdapterError, Refused where the request is wrong."""
        return self._valid(self.rows(path, "").request("get", path, params=params))

    def made(self, path: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """Makes one object of the list `path`; what the answer says of it. Raises AdapterError."""
        body = self._valid(self.post(path, [dict(data)]))
        field = path.rpartition("/")[2] if not path.startswith("leads/unsorted") else "unsorted"
        if rows := items_of(body, field):
            return rows[0]
        raise Unreachable("amoCRM's answer does not name what it made", maybe_done=True)

    def changed(self, path: str, data: Mapping[str, Any]) -> None:
        """Changes one object. Raises AdapterError."""
        self._valid(self.rows(path, "").request("patch", path, data=dict(data)))

    def info(self, *, fresh: bool = False) -> AccountInfo:
        """The account, as it was ten minutes ago at most. Raises AdapterError."""
        key = self._asker()
        kept = _infos.get(key)
        if kept is None or fresh or time.monotonic() - kept[0] > INFO_LASTS:
            kept = (time.monotonic(), _info(self.get("account")))
            if len(_infos) > 10_000:
                _infos.clear()
            _infos[key] = kept
        return kept[1]

    @contextmanager
    def listening(self, *tellings: Telling) -> Iterator[None]:
        """Requests within the block are kept with these tellings."""
        before, self._listeners = self._listeners, tellings
        try:
            yield
        finally:
            self._listeners = before

    def close(self) -> None:
        self._session.close()

    def masked(self, value: Any) -> str:
        """A JSON value fit to be kept."""
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        settings = self.account.settings
        return mask(text, (self.tokens.access, self.tokens.refresh, *(settings.get(key, "") for key in _SECRETS)))

    def _asker(self) -> tuple[str, ...]:
        token = self.account.settings.get("amocrm_long_lived_token", "")
        return self.account.connection, self.url, hashlib.sha256(token.encode()).hexdigest()

    def _valid(self, answered: tuple[Any, int]) -> Any:
        body, status = answered
        if status == 400:
            detail = body.get("validation-errors") or body.get("detail") if isinstance(body, dict) else ""
            raise Refused(f"amoCRM refused: {self.masked(detail or '?')[:300]}", code="400")
        return body

    def _signed_in(self) -> Tokens:
        settings = self.account.settings
        if self._is_long_lived:
            url = known_url(self.account)
            if url is None:
                raise Misconfigured("amocrm_domain should be the account's address such as company.kommo.com")
            token = settings["amocrm_long_lived_token"]
            return Tokens(access=token, refresh="", expires_at=None, endpoint=url)
        tokens = self.account.tokens.current()
        if tokens is None or not tokens.refresh:
            raise SignInRefused(NOT_CONNECTED)
        return tokens

    def _send(self, method: str, path: str, data: Any, params: Any) -> tuple[Any, int]:
        """The library's `_request`: one request, repeated once with newer tokens or at the account's new address."""
        self._prove_identity(path)
        self._refresh_early()
        answer = self._asked(method, path, data, params)
        if answer.status == 401:
            self._sign_in_anew()
            answer = self._asked(method, path, data, params)
            if answer.status == 401:
                raise SignInRefused("amoCRM does not take its own new token: connect again in the panel", code="401")
        elif _is_no_account(answer, path) and self._has_moved():
            answer = self._asked(method, path, data, params)
        if _is_no_account(answer, path):
            raise Unreachable(f"no amoCRM account answers there ({answer.status})", code="moved")
        error = error_of(answer)
        if isinstance(error, Limited):
            spent(self.account, self.url, error.retry_after)
        if error is not None:
            raise error
        if answer.status == 204 or (answer.status == 202 and not answer.is_json):
            return None, answer.status
        if not answer.is_json:
            text = f"amoCRM answered {answer.status} without JSON"
            raise Unreachable(text, maybe_done=method.upper() != "GET")
        return answer.body, answer.status

    def _asked(self, method: str, path: str, data: Any, params: Any) -> Answer:
        wait_turn(self.account, self.url, self._priority, self._deadline)
        began = time.monotonic()
        if method.upper() != "GET" and self._deadline - began < WRITE_SECONDS:
            raise NotSent("too little time is left for an answer")  # its certain time-out would look like trouble
        url = f"{self.url}{path}" if path.startswith("/") else f"{self.url}/api/v4/{path}"
        headers = {"Authorization": f"Bearer {self.tokens.access}", "User-Agent": "Evrotel-Connector/1"}
        try:
            answer = ask(
                self._session,
                method.upper(),
                url,
                deadline=self._deadline,
                headers=headers,
                data=data,
                params=_present(params),
            )
        except AdapterError as error:
            error.maybe_done = error.maybe_done and method.upper() != "GET"
            self._note(method, path, data or params, f"{type(error).__name__}: {error}", began)
            raise
        self._note(method, path, data or params, f"{answer.status} {answer.text}", began)
        return answer

    def _note(self, method: str, path: str, said: Any, answer: str, began: float) -> None:
        if not self._listeners:
            return
        asked = f"{method.upper()} {path}"
        if said:
            asked = f"{asked} {json.dumps(_present(said) if isinstance(said, dict) else said, ensure_ascii=False)}"
        milliseconds = round((time.monotonic() - began) * 1000)
        exchange = Exchange(request=self.masked(asked), answer=self.masked(answer), milliseconds=milliseconds)
        for telling in self._listeners:
            telling.exchanges.append(exchange)

    def _prove_identity(self, path: str) -> None:
        """A long-lived token is somebody's who pasted it: calls go to no other account than the one that is bound."""
        if not self._is_long_lived or path == "account":
            return
        bound = self.account.bound_to()
        proof = (*self._asker(), str(bound))
        if bound is None or proof in _proved:
            return
        if bound != self.info(fresh=True).id:
            raise SignInRefused(OTHER_ACCOUNT)
        _proved.add(proof)

    def _refresh_early(self) -> None:
        expires_at = self.tokens.expires_at
        if self._is_long_lived or expires_at is None or expires_at - datetime.now(UTC) > REFRESH_BEFORE:
            return
        try:
            self._renew()
        except (Unreachable, Limited):
            if expires_at <= datetime.now(UTC):
                raise

    def _sign_in_anew(self) -> None:
        if self._is_long_lived:
            raise SignInRefused(NEW_TOKEN_NEEDED, code="401")
        self._renew()

    def _renew(self) -> None:
        self.tokens = self.account.tokens.renewed(self.tokens, lambda kept: refreshed(self.account, kept))

    def _has_moved(self) -> bool:
        """Whether the account answers at another address by now, which is kept."""
        if self._is_long_lived:
            return False
        used = self.tokens
        new_url = renamed(self.account, used, self._deadline)
        if new_url is None or new_url == used.endpoint:
            return False
        self.account.tokens.renewed(used, lambda kept: replace(kept, endpoint=new_url))
        self.tokens = replace(used, endpoint=new_url)
        return True


def known_url(account: Account) -> str | None:
    """The address of the connection's account, None before it is known."""
    if account.settings.get("amocrm_long_lived_token"):
        return account_url(account.settings.get("amocrm_domain", ""), allow_local=account.allow_local)
    tokens = account.tokens.current()
    return tokens.endpoint if tokens is not None else None


@contextmanager
def amo_account(account: Account, *, priority: Priority, seconds: float) -> Iterator[AmoAccount]:
    """The account, whose connections are closed at the end of the block. Raises AdapterError."""
    amo = AmoAccount(account, priority=priority, seconds=seconds)
    try:
        yield amo
    finally:
        amo.close()


def _is_no_account(answer: Answer, path: str) -> bool:
    """Whether nobody is at home: of a list that every account has, also where it is said in JSON."""
    error = error_of(answer)
    is_list = not path.startswith("/") and not any(part.isdecimal() for part in path.split("/"))
    return error is not None and (error.code == "moved" or (answer.status == 404 and is_list))


def _present(params: Any) -> dict[str, Any]:
    return {key: value for key, value in dict(params or {}).items() if value is not None}


def _info(body: Any) -> AccountInfo:
    if not isinstance(body, dict) or not isinstance(body.get("id"), int):
        raise Unreachable("amoCRM does not say which account it is")
    return AccountInfo(
        id=str(body["id"]),
        name=str(body.get("name") or body.get("subdomain") or body["id"]),
        subdomain=str(body.get("subdomain") or ""),
        has_unsorted=bool(body.get("is_unsorted_on")),
        user_id=str(body.get("current_user_id") or ""),
    )
