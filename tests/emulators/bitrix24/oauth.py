"""Bitrix24's OAuth server: tokens by code and by refresh, and whose token one is (REST docs, "OAuth 2.0")."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.emulators.bitrix24.access import token_of
from tests.emulators.bitrix24.errors import RestError, system
from tests.emulators.bitrix24.faults import Faults
from tests.emulators.bitrix24.rest import JSON, HttpRequest, bearer, read_params
from tests.emulators.bitrix24.state import ACCESS_SECONDS, Account, Token
from tests.emulators.http import Request, Response

CODE_SECONDS = 30


@dataclass(frozen=True)
class Refresh:
    """One attempt to refresh. `needed`: the access token had run out, so this is no second one for one expiry."""

    time: float
    refresh_token: str
    needed: bool
    error: str | None


@dataclass
class OAuth:
    """The OAuth server as one portal's application sees it."""

    account: Account
    faults: Faults
    wrong_client_as_200: bool = False
    requests: list[HttpRequest] = field(default_factory=list)
    refreshes: list[Refresh] = field(default_factory=list)
    _codes: dict[str, tuple[int, float]] = field(default_factory=dict)

    def issue_code(self, user_id: int) -> str:
        """An authorization code; lives 30 seconds and serves once."""
        code = secrets.token_hex(35)
        self._codes[code] = (user_id, self.account.now() + CODE_SECONDS)
        return code

    def answer(self, request: Request) -> Response:
        """Answers one HTTP request, or meets with what trouble has been ordered."""
        method = {"/oauth/token": "oauth.token", "/rest/app.info": "app.info"}.get(request.path.rstrip("/"), "")
        params, _ = read_params(self.account, request)
        seen = HttpRequest(self.account.now(), "oauth", request.verb, method or request.path, params)
        self.requests.append(seen)
        response = self.faults.around([method], lambda: self._respond(request, method, params))
        seen.status = response.status
        return response

    def _respond(self, request: Request, method: str, params: dict[str, Any]) -> Response:
        try:
            ordered = self.faults.refusal(method)
            if ordered:
                raise ordered
            if method == "oauth.token":
                with self.account.lock:
                    return _json(self._token(params), 200)
            if method == "app.info":
                return _json(self._app_info(bearer(request, params)), 200)
        except RestError as refusal:
            return _json(refusal.body(""), refusal.status)
        return Response(b"<html><body>404 Not Found</body></html>", 404)

    def _token(self, params: dict[str, Any]) -> dict[str, Any]:
        self._check_client(params)
        if params.get("grant_type") == "refresh_token":
            return self._by_refresh(params)
        if params.get("grant_type") == "authorization_code":
            return self._by_code(params)
        raise RestError("invalid_request", 'No "grant_type" parameter found')

    def _check_client(self, params: dict[str, Any]) -> None:
        mine = (self.account.client_id, self.account.client_secret)
        if (params.get("client_id"), params.get("client_secret")) != mine or self.account.revoked:
            if self.wrong_client_as_200:
                raise RestError("wrong_client", "Wrong client", 200)
            raise RestError("invalid_client", "Invalid client")
        if self.account.payment_required:
            raise system("PAYMENT_REQUIRED")

    def _by_refresh(self, params: dict[str, Any]) -> dict[str, Any]:
        given = params.get("refresh_token")
        if not given:
            raise RestError("invalid_request", 'No "refresh_token" parameter found')
        now = self.account.now()
        token = next((each for each in self.account.tokens.values() if each.refresh == given), None)
        good = token is not None and not token.refresh_used and not token.revoked and token.refresh_expires_at > now
        needed = token is not None and token.expires_at <= now
        self.refreshes.append(Refresh(now, str(given), needed, None if good else "invalid_grant"))
        if token is None or not good:
            raise RestError("invalid_grant", "Invalid grant")
        token.refresh_used = True
        return self._pair(self.account.issue_token(token.user_id))

    def _by_code(self, params: dict[str, Any]) -> dict[str, Any]:
        user_id, until = self._codes.pop(str(params.get("code")), (0, 0.0))
        if until <= self.account.now():
            raise RestError("invalid_grant", "Invalid grant")
        return self._pair(self.account.issue_token(user_id))

    def _pair(self, token: Token) -> dict[str, Any]:
        """`domain` is this server, not the portal: that one is in client_endpoint."""
        return {
            "access_token": token.access,
            "refresh_token": token.refresh,
            "expires": int(token.expires_at),
            "expires_in": ACCESS_SECONDS,
            "client_endpoint": f"http://{self.account.domain}/rest/",
            "server_endpoint": f"{self.account.oauth_url}/rest/",
            "domain": self.account.oauth_url.partition("://")[2],
            "member_id": self.account.member_id,
            "scope": ",".join(sorted(token.scopes)),
            "status": "L",
            "user_id": token.user_id,
        }

    def _app_info(self, access: str) -> dict[str, Any]:
        """Whose token this is: the only proof that an installation is genuine."""
        token = token_of(self.account, access)
        scope = ",".join(sorted(token.scopes))
        install = {
            "installed": self.account.installed,
            "version": "1",
            "status": "L",
            "scope": scope,
            "domain": self.account.domain,
            "uri": "",
            "client_endpoint": f"http://{self.account.domain}/rest/",
            "member_id": self.account.member_id,
            "member_type": "",
        }
        expires = datetime.fromtimestamp(token.expires_at, UTC).isoformat(timespec="seconds")
        result = {
            "client_id": self.account.client_id,
            "scope": scope,
            "expires": expires,
            "user_id": token.user_id,
            "install": install,
        }
        return {"result": result, "time": {"start": self.account.now(), "finish": self.account.now()}}


def _json(body: dict[str, Any], status: int) -> Response:
    return Response(json.dumps(body).encode(), status, JSON)
