"""The portal's /rest/: from an HTTP request to a method and back (Bitrix24 REST docs, "How to call REST API")."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.emulators.bitrix24 import php, records
from tests.emulators.bitrix24.access import check_scope, token_of
from tests.emulators.bitrix24.batch import commands, run_batch
from tests.emulators.bitrix24.errors import RestError, system
from tests.emulators.bitrix24.faults import Faults
from tests.emulators.bitrix24.invocation import Invocation, Page
from tests.emulators.bitrix24.limits import OperatingTime, RequestRate
from tests.emulators.bitrix24.methods import METHODS
from tests.emulators.bitrix24.state import Account, Token
from tests.emulators.http import Request, Response

JSON = "application/json; charset=utf-8"
PATH = re.compile(r"^/rest/(?P<webhook>\d+/[^/]+/)?(?P<method>[A-Za-z0-9_.]+?)(\.json)?/?$")


@dataclass
class HttpRequest:
    """One request as a server has seen it; status 0 until it is answered, and for ever where it never was."""

    time: float
    host: str
    verb: str
    method: str
    params: dict[str, Any]
    commands: list[str] = field(default_factory=list)
    status: int = 0


@dataclass(frozen=True)
class Invoked:
    """One method that was run, alone or within a batch, and the error that it ended with."""

    time: float
    method: str
    params: dict[str, Any]
    in_batch: bool
    error: RestError | None


@dataclass
class Rest:
    """The REST server of one portal. `pages` are what a browser finds there, by path."""

    account: Account
    faults: Faults
    rate: RequestRate
    operating: OperatingTime
    requests: list[HttpRequest] = field(default_factory=list)
    invoked: list[Invoked] = field(default_factory=list)
    pages: dict[str, str] = field(default_factory=dict)

    def answer(self, request: Request) -> Response:
        """Answers one HTTP request, or meets with what trouble has been ordered."""
        if request.path in self.pages:
            return Response(self.pages[request.path].encode())
        path = PATH.match(request.path)
        method = path["method"] if path else request.path
        params, encoding = read_params(self.account, request)
        seen = HttpRequest(self.account.now(), "portal", request.verb, method, params)
        if method.lower() == "batch":
            seen.commands = [name for name, _ in commands(params).values()]
        self.requests.append(seen)
        self._guard_secret(request, method)
        response = self.faults.around([method, *seen.commands], lambda: self._respond(request, path, params, encoding))
        seen.status = response.status
        return response

    def _guard_secret(self, request: Request, method: str) -> None:
        """The client secret is for the OAuth server's eyes only."""
        secret = self.account.client_secret
        if secret in request.query or secret.encode() in request.body:
            self.account.violate(method, "client_secret was sent to the portal")

    def _respond(self, request: Request, path: re.Match[str] | None, params: dict[str, Any], encoding: str) -> Response:
        if str(request.headers.get("Host")) in self.account.former_domains:
            query = f"?{request.query}" if request.query else ""
            return Response(status=302, headers={"Location": f"http://{self.account.domain}{request.path}{query}"})
        if path is None:
            return Response(b"<html><body>404 Not Found</body></html>", 404)
        started = time.time()
        try:
            if not self.rate.admits(request.client):
                raise system("QUERY_LIMIT_EXCEEDED")
            if path["webhook"]:
                raise system("INVALID_CREDENTIALS")
            body = self._dispatch(request, path["method"], params, encoding)
        except RestError as refusal:
            return self._json(refusal.body(self.account.error_code_mode), refusal.status)
        return self._json({**body, "time": self._time(path["method"], started)}, 200)

    def _dispatch(self, request: Request, name: str, params: dict[str, Any], encoding: str) -> dict[str, Any]:
        if name.lower() not in METHODS and name.lower() not in ("batch", "upload"):
            raise system("ERROR_METHOD_NOT_FOUND")
        ordered = self.faults.refusal(name)
        if ordered:
            raise ordered
        token = token_of(self.account, bearer(request, params))
        if name.lower() == "upload":
            return {"result": records.upload(self.account, request, php.parse_form(request.query))}
        if name.lower() != "batch":
            return self._run(Invocation(self.account, name, params, token, encoding))
        return {"result": run_batch(params, lambda *command: self._inner(token, *command), self._core_code)}

    def _inner(self, token: Token, name: str, params: dict[str, Any]) -> dict[str, Any]:
        """One command of a batch: always strings, always the outer token."""
        started = time.time()
        ordered = self.faults.refusal(name)
        call = Invocation(self.account, name, params, token, "form", in_batch=True)
        if ordered:
            raise ordered
        return {**self._run(call), "time": self._time(name, started)}

    def _run(self, call: Invocation) -> dict[str, Any]:
        error: RestError | None = None
        try:
            return _envelope(self._checked(call))
        except RestError as refusal:
            error = refusal
            raise
        finally:
            self.invoked.append(Invoked(self.account.now(), call.method, call.params, call.in_batch, error))

    def _checked(self, call: Invocation) -> Any:
        method = METHODS.get(call.method.lower())
        if method is None:
            raise system("ERROR_METHOD_NOT_FOUND")
        check_scope(call, method)
        if not self.operating.charge(call.method):
            raise system("OPERATION_TIME_LIMIT")
        if "any" not in method.known:
            call.report_unknown_keys(method.known)
        if not method.locked:
            return method.run(call)
        with self.account.lock:
            return method.run(call)

    @property
    def _core_code(self) -> str:
        return self.account.error_code_mode

    def _json(self, body: dict[str, Any], status: int) -> Response:
        headers = {"X-Bitrix-Rest-Application": self.account.client_id}
        return Response(json.dumps(body).encode(), status, JSON, headers)

    def _time(self, method: str, started: float) -> dict[str, Any]:
        finished = time.time()
        used, reset_at = self.operating.spent(method)
        return {
            "start": started,
            "finish": finished,
            "duration": finished - started,
            "processing": finished - started,
            "date_start": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
            "date_finish": datetime.fromtimestamp(finished, UTC).isoformat(timespec="seconds"),
            "operating_reset_at": int(reset_at),
            "operating": used,
        }


def _envelope(result: Any) -> dict[str, Any]:
    if not isinstance(result, Page):
        return {"result": result}
    envelope = {"result": result.items, "total": result.total, "next": result.next}
    return {key: value for key, value in envelope.items() if value is not None}


def bearer(request: Request, params: dict[str, Any]) -> str:
    """The token, from whichever of the three places."""
    header = str(request.headers.get("Authorization", ""))
    given = params.get("auth") or params.get("access_token") or header.partition("Bearer ")[2]
    return str(given).strip()


def read_params(account: Account, request: Request) -> tuple[dict[str, Any], str]:
    """Parameters of query and body; JSON only where it is labelled so, and malformed JSON is no parameters at all."""
    query = php.parse_form(request.query)
    if request.verb != "POST" or not request.body or request.content_type.startswith("multipart/"):
        return query, "form"
    if request.content_type != "application/json":
        return {**query, **php.parse_form(request.body.decode("utf-8", "replace"))}, "form"
    values = php.parse_json(request.body)
    if values is None:
        account.violate(request.path, "malformed JSON: the portal sees no parameters")
    return {**query, **(values or {})}, "json"
