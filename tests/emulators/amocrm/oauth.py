"""The token endpoint and the account's present domain (facts 1.2)."""

from __future__ import annotations

from typing import Any

from tests.emulators.amocrm.errors import OAuthProblem, hal, unauthorized
from tests.emulators.amocrm.records import Token
from tests.emulators.amocrm.state import Account
from tests.emulators.amocrm.tokens import ACCESS_SECONDS, account_of, issue_token
from tests.emulators.http import Response

TOKEN_PATH = "/oauth2/access_token"
SUBDOMAIN_PATH = "/oauth2/account/current/subdomain"
KNOWN = {"client_id", "client_secret", "grant_type", "code", "refresh_token", "redirect_uri"}


def exchange(account: Account, body: Any) -> Response:
    """Tokens for a code, or for a refresh token."""
    given = body if isinstance(body, dict) else {}
    _check_client(account, given)
    grants = {"authorization_code": _by_code, "refresh_token": _by_refresh}
    grant = grants.get(str(given.get("grant_type")))
    if grant is None:
        raise OAuthProblem(400, "Check the `grant_type` parameter", "unknown grant_type")
    return _pair(account, grant(account, given))


def present_domain(account: Account, refresh_token: str) -> Response:
    """Where the account is now; the proof is a refresh token."""
    token = _refresh_token(account, refresh_token)
    if token is None or token.revoked:
        raise unauthorized()
    return hal({"id": account.id, "subdomain": account.subdomain, "domain": account.address})


def _check_client(account: Account, given: dict[str, Any]) -> None:
    for name in ("client_id", "client_secret"):
        if not isinstance(given.get(name), str) or not given[name]:
            raise OAuthProblem(400, f"Check the `{name}` parameter", f"no {name}")
    if (given["client_id"], given["client_secret"]) != (account.client_id, account.client_secret):
        raise OAuthProblem(401, None, "unknown client, or not its secret")
    if set(given) - KNOWN:
        raise OAuthProblem(400, None, f"unknown fields {sorted(set(given) - KNOWN)}")
    if given.get("redirect_uri") != account.redirect_uri:
        raise OAuthProblem(400, "Redirect URI is not associated with client", "not the registered redirect_uri")


def _by_code(account: Account, given: dict[str, Any]) -> Token:
    code = given.get("code")
    if not isinstance(code, str) or not code:
        raise OAuthProblem(400, "Check the `code` parameter", "no code")
    if account_of(code) is None:
        raise OAuthProblem(400, "Cannot decrypt the authorization code")
    if account_of(code) != account.id:
        raise OAuthProblem(400, "Invalid account", "a code of another account")
    user_id, until = account.codes.get(code, (0, 0.0))
    if not user_id:
        raise OAuthProblem(400, "Authorization code has been revoked")
    if until <= account.now():
        raise OAuthProblem(400, "Authorization code has expired")
    del account.codes[code]
    return issue_token(account, user_id)


def _by_refresh(account: Account, given: dict[str, Any]) -> Token:
    refresh = given.get("refresh_token")
    if not isinstance(refresh, str) or not refresh:
        raise OAuthProblem(400, "Check the `refresh_token` parameter", "no refresh_token")
    if account_of(refresh) is None:
        raise OAuthProblem(401, "Cannot decrypt the refresh token")
    if account_of(refresh) != account.id:
        raise OAuthProblem(401, "Invalid account", "a refresh token of another account")
    token = _refresh_token(account, refresh)
    if token is None:
        raise OAuthProblem(401, "Invalid refresh token")
    if token.revoked or not account.is_user(token.user_id) or _is_spent(account, token):
        raise OAuthProblem(401, "Token has been revoked")
    if token.refresh_expires_at <= account.now():
        raise OAuthProblem(401, "Token has expired")
    return _succeed(account, token)


def _is_spent(account: Account, token: Token) -> bool:
    """Whether its successor took over: at once, or in grace only when the successor has been used for anything."""
    if account.strict_refresh:
        return token.refresh_used
    return any(each.used or each.refresh_used for each in token.successors)


def _succeed(account: Account, token: Token) -> Token:
    successor = issue_token(account, token.user_id)
    token.refresh_used = True
    token.successors.append(successor)
    if account.refresh_kills_access:
        token.expires_at = 0
    return successor


def _refresh_token(account: Account, refresh: str) -> Token | None:
    return next((each for each in account.tokens if refresh and each.refresh == refresh), None)


def _pair(account: Account, token: Token) -> Response:
    return hal(
        {
            "token_type": "Bearer",
            "expires_in": ACCESS_SECONDS,
            "server_time": int(account.now()),
            "access_token": token.access,
            "refresh_token": token.refresh,
        }
    )
