"""A base's OData interface for one round of requests."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import requests
from requests.auth import HTTPBasicAuth

from crm_adapters.asking import Reply, ask, kept
from crm_adapters.contract import Account, Telling
from crm_adapters.errors import Misconfigured, NotSent
from crm_adapters.http import BodyTooLarge, DeadlinePassed, ForbiddenAddress, guarded_session
from crm_adapters.onec.answers import Answer, answer_of, error_of, no_answer, rows_of
from crm_adapters.onec.fields import ODATA, base_of
from crm_adapters.onec.metadata import NotMetadata, Schema, read_schema

MOST_ANSWER = 4 * 1024 * 1024
MOST_METADATA = 128 * 1024 * 1024
"""ERP's `$metadata` has tens of megabytes."""
METADATA_SECONDS = 120.0
SCHEMA_LASTS = 3600.0
LEAST_SECONDS = 0.5
PLAIN = "()'"
"""Characters of OData that stay as they are in a path."""

_schemas: dict[tuple[str, str, str], tuple[float, Schema]] = {}
"""By connection, address and user; a hint, so threads need no lock."""


class Base:
    """One connection's base for `seconds`. Methods raise AdapterError.

    A request that was begun in time may take `patience` seconds: a base that is so slow gets its documents one by one.
    Tellings that are `listening` keep what is sent and answered for them.
    """

    def __init__(self, account: Account, seconds: float, patience: float = 0.0) -> None:
        settings = account.settings
        self._patience = patience
        self.account = account
        self.url = base_of(settings.get("onec_url", ""))
        self._deadline = time.monotonic() + seconds
        self._listeners: tuple[Telling, ...] = ()
        self._session = guarded_session(account.allow_local)
        user, password = settings.get("onec_user", ""), settings.get("onec_password", "")
        self._session.auth = HTTPBasicAuth(user.encode(), password.encode())  # of texts it would make Latin-1
        self._secrets = (password, settings.get("onec_crm_token", ""))
        if not self.url:
            raise Misconfigured("onec_url is not set: set it, all calls are kept")

    def __enter__(self) -> Base:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    @contextmanager
    def listening(self, *tellings: Telling) -> Iterator[None]:
        """Requests within the block are kept with these tellings."""
        before, self._listeners = self._listeners, tellings
        try:
            yield
        finally:
            self._listeners = before

    def rows(self, name: str, **query: str) -> list[dict[str, Any]]:
        """The rows of a set; `query` has filter, select, top."""
        return rows_of(self._valid(self._ask("GET", name, query)))

    def get(self, name: str, key: str) -> dict[str, Any]:
        """One object. Raises NoSuchKey where there is none."""
        body: dict[str, Any] = self._valid(self._ask("GET", f"{name}(guid'{key}')", {}))
        return body

    def create(self, name: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Makes one object; what 1C says of it. Raises Exists where its key is taken."""
        body: dict[str, Any] = self._valid(self._ask("POST", name, {}, values))
        return body

    def change(self, name: str, key: str, values: Mapping[str, Any]) -> None:
        """Changes some properties of an object. Raises NoSuchKey where there is none."""
        self._valid(self._ask("PATCH", f"{name}(guid'{key}')", {}, values))

    def schema(self, *, lasts: float = SCHEMA_LASTS) -> Schema:
        """What the base publishes, as it was `lasts` seconds ago at most."""
        key = (self.account.connection, self.url, self.account.settings.get("onec_user", ""))
        kept = _schemas.get(key)
        if kept is None or time.monotonic() - kept[0] > lasts:
            kept = (time.monotonic(), self._read_schema())
            if len(_schemas) > 1000:
                _schemas.clear()
            _schemas[key] = kept
        return kept[1]

    def _read_schema(self) -> Schema:
        # Read once in an hour: a large base's takes longer than a round of tellings may. What comes after it has the
        # time that was left before: else a slow base would keep its lane, and a worker from stopping, for minutes.
        began, deadline = time.monotonic(), self._deadline
        self._deadline = max(deadline, began + METADATA_SECONDS)
        try:
            reply = self._exchange("GET", f"{self.url}{ODATA}/$metadata", None, MOST_METADATA)
        finally:
            self._deadline = deadline + time.monotonic() - began
        if reply.status != HTTPStatus.OK:
            self._valid(answer_of(reply))
        try:
            return read_schema(reply.content)
        except NotMetadata as error:
            raise Misconfigured(
                f"1C's $metadata can't be read ({error}): onec_url should end with /odata/standard.odata"
            ) from None

    def _ask(self, verb: str, path: str, query: Mapping[str, str], values: Mapping[str, Any] | None = None) -> Answer:
        asked = [f"${name}={quote(text, safe='')}" for name, text in query.items()]
        url = f"{self.url}{ODATA}/{quote(path, safe=PLAIN)}?{'&'.join(['$format=json', *asked])}"
        body = None if values is None else json.dumps(values, ensure_ascii=False).encode()
        return answer_of(self._exchange(verb, url, body, MOST_ANSWER))

    def _exchange(self, verb: str, url: str, body: bytes | None, most: int) -> Reply:
        seconds = self._deadline - time.monotonic()
        if seconds < LEAST_SECONDS:
            raise NotSent("no time was left")
        headers = {"Accept": "application/xml" if url.endswith("$metadata") else "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json; charset=utf-8"
        began = time.monotonic()
        deadline = max(self._deadline, began + self._patience)
        try:
            reply = ask(self._session, verb, url, body=body, headers=headers, most=most, deadline=deadline)
        except ForbiddenAddress as error:
            raise Misconfigured(str(error)) from None
        except (requests.RequestException, DeadlinePassed, BodyTooLarge) as error:
            self._keep(f"{verb} {url}", body, type(error).__name__, began)
            raise no_answer(error, url) from None
        shown = reply.content[:1500].decode(errors="replace")
        self._keep(f"{verb} {url}", body, f"{reply.status} {shown}", began)
        return reply

    def _keep(self, request: str, body: bytes | None, answer: str, began: float) -> None:
        exchange = kept(f"{request} {(body or b'').decode(errors='replace')}", answer, began, self._secrets)
        for telling in self._listeners:
            telling.exchanges.append(exchange)

    @staticmethod
    def _valid(answer: Answer) -> Any:
        if error := error_of(answer):
            raise error
        return answer.body
