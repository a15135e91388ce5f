"""From an HTTP request to a handler and back; every request is remembered."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from typing import Any
from urllib.parse import parse_qsl

from tests.emulators.amocrm import calls, leads, notes, oauth, parties, popups, settings, tasks, unsorted
from tests.emulators.amocrm.asks import Ask, plain
from tests.emulators.amocrm.errors import FORBIDDEN_PAGE, Page, Problem, unauthorized
from tests.emulators.amocrm.faults import Faults
from tests.emulators.amocrm.limits import RequestRate
from tests.emulators.amocrm.records import Person
from tests.emulators.amocrm.state import Account
from tests.emulators.amocrm.tokens import holder
from tests.emulators.http import Request, Response

Handler = Callable[..., Response]
PARTY, TIMELINE, NUMBER = "(contacts|companies)", "(contacts|companies|leads|customers)", r"(\d+)"
ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/api/v4/account", settings.account),
    ("GET", "/api/v4/users", settings.users),
    ("GET", f"/api/v4/users/{NUMBER}", settings.one_user),
    ("POST", "/api/v4/calls", calls.add),
    ("POST", "/api/v2/events", popups.show),
    ("GET", "/api/v4/leads/pipelines", settings.pipelines),
    ("GET", f"/api/v4/leads/pipelines/{NUMBER}", settings.one_pipeline),
    ("GET", f"/api/v4/leads/pipelines/{NUMBER}/statuses", settings.statuses),
    ("GET", "/api/v4/(contacts|companies|leads)/custom_fields", settings.custom_fields),
    ("POST", "/api/v4/leads/unsorted/sip", unsorted.add),
    ("GET", "/api/v4/leads/unsorted", unsorted.find),
    ("GET", "/api/v4/leads/unsorted/([0-9a-f]{32})", unsorted.get),
    ("POST", "/api/v4/leads/unsorted/([0-9a-f]{32})/accept", unsorted.accept),
    ("DELETE", "/api/v4/leads/unsorted/([0-9a-f]{32})/decline", unsorted.decline),
    ("GET", "/api/v4/leads", leads.find),
    ("POST", "/api/v4/leads", leads.add),
    ("POST", "/api/v4/leads/complex", leads.add_complex),
    ("GET", f"/api/v4/leads/{NUMBER}", leads.get),
    ("PATCH", f"/api/v4/leads/{NUMBER}", leads.change),
    ("GET", "/api/v4/customers", leads.customers),
    ("GET", f"/api/v4/{PARTY}", parties.search),
    ("POST", f"/api/v4/{PARTY}", parties.add),
    ("GET", f"/api/v4/{PARTY}/{NUMBER}", parties.get),
    ("PATCH", f"/api/v4/{PARTY}/{NUMBER}", parties.change),
    ("GET", f"/api/v4/{TIMELINE}/notes", notes.find),
    ("POST", f"/api/v4/{TIMELINE}/notes", notes.add),
    ("GET", f"/api/v4/{TIMELINE}/{NUMBER}/notes", notes.find),
    ("POST", f"/api/v4/{TIMELINE}/{NUMBER}/notes", notes.add),
    ("GET", f"/api/v4/{TIMELINE}/{NUMBER}/notes/{NUMBER}", notes.get),
    ("PATCH", f"/api/v4/{TIMELINE}/{NUMBER}/notes/{NUMBER}", notes.change),
    ("GET", "/api/v4/tasks", tasks.find),
    ("POST", "/api/v4/tasks", tasks.add),
    ("GET", f"/api/v4/tasks/{NUMBER}", tasks.get),
    ("PATCH", f"/api/v4/tasks/{NUMBER}", tasks.change),
]


@dataclass
class HttpRequest:
    """One request; `at` is monotonic, `status` None where the connection ended without an answer.

    `query` has each parameter once, without an index at its name's end; several values are joined by commas.
    """

    at: float
    method: str
    path: str
    query: dict[str, str]
    json: Any
    headers: Message
    body: bytes
    host: str
    status: int | None = None


@dataclass
class Rest:
    """The account's host, and the one that `api_domain` names."""

    account: Account
    faults: Faults
    rate: RequestRate
    requests: list[HttpRequest] = field(default_factory=list)
    page: Callable[[Request], Response | None] = lambda _: None
    """What the account shows to browsers: None for what is not its own."""

    def answer(self, request: Request) -> Response:
        """Answers one HTTP request to the account's host, or meets with what trouble has been ordered."""
        return self._answer(request, self._respond)

    def answer_api_domain(self, request: Request) -> Response:
        """The host of `api_domain`, which stays when the account moves."""
        return self._answer(request, self._respond_api_domain)

    def _answer(self, request: Request, respond: Callable[[Request, Any], Response]) -> Response:
        if (shown := self.page(request)) is not None:
            return shown
        seen = _remembered(request)
        self.requests.append(seen)
        response = self.faults.around(request.verb, request.path, lambda: self._guarded(request, seen.json, respond))
        response.headers.setdefault("X-Request-Id", uuid.uuid4().hex)
        seen.status = response.status
        return response

    def _guarded(self, request: Request, body: Any, respond: Callable[[Request, Any], Response]) -> Response:
        try:
            with self.account.lock:
                return respond(request, body)
        except Problem as refusal:
            if refusal.mistake:
                self.account.violate(request.verb, request.path, refusal.mistake)
            return refusal.response()
        except Page as page:
            return page.response()

    def _respond(self, request: Request, body: Any) -> Response:
        self._check_host(request)
        self._check_limits()
        if request.path == oauth.TOKEN_PATH and request.verb == "POST":
            _check_body(request, body)
            return oauth.exchange(self.account, body)
        if request.path == oauth.SUBDOMAIN_PATH:
            return self._subdomain(request)
        self._guard_secrets(request)
        person = self._person(request)
        handler, groups = _route(request)
        if request.body:
            _check_body(request, body)
        elif request.verb in ("POST", "PATCH") and not request.path.endswith("/accept"):
            raise Problem(400, "Request data can not be empty", "no body")
        ask = Ask(self.account, person, request.verb, request.path, request.query, body)
        response = handler(ask, *groups)
        ask.finish()
        return response

    def _respond_api_domain(self, request: Request, body: Any) -> Response:
        if request.path != oauth.SUBDOMAIN_PATH:
            raise Problem(404, f"Cannot {request.verb} {request.path}", "api_domain was asked for something else")
        return self._subdomain(request)

    def _subdomain(self, request: Request) -> Response:
        if request.verb != "GET":
            raise Problem(405, "Method Not Allowed", "wrong method")
        return oauth.present_domain(self.account, str(request.headers.get("X-Refresh-Token", "")))

    def _check_host(self, request: Request) -> None:
        """A former address answers as such; a foreign one is not ours."""
        status = self.account.former.get(str(request.headers.get("Host")))
        if status == 401:
            raise unauthorized()
        if status is not None:
            raise Problem(status, f"Cannot {request.verb} {request.path}")

    def _check_limits(self) -> None:
        if self.account.blocked or self.rate.blocks:
            raise Page(403, FORBIDDEN_PAGE)
        if not self.rate.admits():
            more: dict[str, Any] = {} if self.rate.retry_after is None else {"retry_after": self.rate.retry_after}
            raise Problem(429, "Too many requests", **more)

    def _guard_secrets(self, request: Request) -> None:
        """The client secret is for the token endpoint only, a token for the header only."""
        secret = self.account.client_secret
        if secret in request.query or secret.encode() in request.body:
            self.account.violate(request.verb, request.path, "client_secret was sent to the API")
        if any(each.access in request.query for each in self.account.tokens):
            self.account.violate(request.verb, request.path, "a token was sent in the address")

    def _person(self, request: Request) -> Person:
        token = holder(self.account, str(request.headers.get("Authorization", "")))
        if token is None:
            raise unauthorized()
        token.used = True
        if self.account.unpaid:
            raise Problem(402, "Account is not paid")
        return self.account.users[token.user_id]


def _remembered(request: Request) -> HttpRequest:
    query: dict[str, str] = {}
    for key, value in parse_qsl(request.query, keep_blank_values=True):
        name = plain(key)
        query[name] = f"{query[name]},{value}" if name in query else value
    host = str(request.headers.get("Host", ""))
    body = _json(request.body)
    return HttpRequest(time.monotonic(), request.verb, request.path, query, body, request.headers, request.body, host)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return None


def _check_body(request: Request, body: Any) -> None:
    if request.content_type not in ("application/json", "application/hal+json"):
        raise Problem(415, "Invalid content type", f"content type {request.content_type or 'missing'}")
    if body is None and request.body != b"null":
        raise Problem(400, "Syntax error", "malformed JSON")


def _route(request: Request) -> tuple[Handler, tuple[str, ...]]:
    matched = [(verb, handler, found) for verb, path, handler in ROUTES if (found := re.fullmatch(path, request.path))]
    if not matched:
        raise Problem(404, f"Cannot {request.verb} {request.path}", "unknown path")
    for verb, handler, found in matched:
        if verb == request.verb:
            return handler, found.groups()
    raise Problem(405, "Method Not Allowed", "wrong method")
