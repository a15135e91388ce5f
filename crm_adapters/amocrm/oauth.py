"""Signing in: codes and refresh tokens exchanged at the account's own host, https://www.amocrm.ru/developers/content/oauth/oauth."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import jwt

from crm_adapters.amocrm.answers import Answer, concerning_all
from crm_adapters.amocrm.hosts import account_url, consent_page
from crm_adapters.amocrm.pace import spent, wait_turn
from crm_adapters.amocrm.wire import ask
from crm_adapters.contract import Account, Priority
from crm_adapters.errors import AdapterError, Misconfigured, SignInRefused, Unreachable
from crm_adapters.http import guarded_session
from crm_adapters.oauth import Tokens

SECONDS = 10.0
"""For a refresh in all, its repetition at a renamed account included: the lease on it lasts longer."""
MISCONFIGURED_WAIT = 60.0
CONNECT_AGAIN = "amoCRM has taken the access away ({hint}): connect again in the panel; all calls are kept"
_OUR_SETTINGS = ("client_id", "client_secret", "redirect uri", "redirect_uri", "клиент")
"""In a hint: the mistake is ours, whoever the account is (issues #235, #289 of amocrm-api-php)."""


def redirect_uri(account: Account) -> str:
    """The address that the integration has to name."""
    return f"{account.public_url}/amocrm/{account.connection}/callback"


def consent_url(account: Account, state: str, site: str) -> str:
    """The page of consent. Raises Misconfigured where the integration is not set."""
    client_id, _ = credentials(account)
    domain = site or _known_domain(account)
    return f"{consent_page(domain)}?{urlencode({'client_id': client_id, 'state': state, 'mode': 'popup'})}"


def _known_domain(account: Account) -> str:
    tokens = account.tokens.current()
    return account.settings.get("amocrm_domain", "") or (tokens.endpoint if tokens else "")


def credentials(account: Account) -> tuple[str, str]:
    """The integration's ID and secret. Raises Misconfigured where they are not set."""
    found = account.settings.get("amocrm_client_id", ""), account.settings.get("amocrm_client_secret", "")
    if not all(found):
        raise Misconfigured("set amocrm_client_id and amocrm_client_secret first", retry_after=MISCONFIGURED_WAIT)
    return found


def exchanged(account: Account, url: str, code: str, priority: Priority = Priority.START) -> Tokens:
    """The tokens for a code at the account `url`. Raises AdapterError; SignInRefused where the code is not good."""
    deadline = time.monotonic() + SECONDS
    answer = _post(account, url, {"grant_type": "authorization_code", "code": code}, deadline, priority)
    if (error := refusal_of(answer)) is not None:
        raise error
    return _tokens(answer, url, {})


def refreshed(account: Account, kept: Tokens) -> Tokens:
    """New tokens for kept ones, looked for at the account's new address where the old one does not know them.

    Raises SignInRefused where the access was taken away, Misconfigured where our settings are wrong, else Unreachable.
    """
    deadline = time.monotonic() + SECONDS
    error = _unless_refreshed(account, kept.endpoint, kept, deadline)
    if isinstance(error, Tokens):
        return error
    if isinstance(error, SignInRefused) or error.code in {"moved", "no_connection"}:
        new_url = renamed(account, kept, deadline)
        if new_url is not None and new_url != kept.endpoint:
            again = _unless_refreshed(account, new_url, kept, deadline)
            if isinstance(again, Tokens):
                return again
            error = again
    raise error


def renamed(account: Account, kept: Tokens, deadline: float) -> str | None:
    """The account's address as it is now, None where that can't be found out."""
    where = account_url(kept.extra.get("api_domain", ""), allow_local=account.allow_local)
    if where is None or not kept.refresh:
        return None
    try:
        with guarded_session(account.allow_local) as session:
            headers = {"X-Refresh-Token": kept.refresh}
            path = "/oauth2/account/current/subdomain"
            answer = ask(session, "GET", where + path, deadline=deadline, headers=headers)
    except Unreachable:
        return None
    domain = answer.body.get("domain") if isinstance(answer.body, dict) and answer.status == 200 else None
    return account_url(str(domain), allow_local=account.allow_local) if domain else None


def refusal_of(answer: Answer) -> AdapterError | None:
    """What a token request's answer says went wrong: us, the grant, or the moment."""
    body = answer.body if isinstance(answer.body, dict) else {}
    if (
        answer.status == 200
        and isinstance(body.get("access_token"), str)
        and isinstance(body.get("refresh_token"), str)
    ):
        return None
    if answer.status in {400, 401} and body:
        return _by_hint(body)
    if answer.status == 404:
        return Unreachable("no amoCRM account answers there (404)", code="moved")
    error = concerning_all(answer)
    return error or Unreachable(f"the sign-in answered {answer.status}", maybe_done=True)


def _by_hint(body: Mapping[str, Any]) -> AdapterError:
    hint = str(body.get("hint") or body.get("detail") or body.get("title") or "")[:200]
    said = f"{body.get('hint') or ''} {body.get('title') or ''}".lower()
    if any(word in said for word in _OUR_SETTINGS):
        text = f"amoCRM does not know the integration by our settings ({hint}): check its ID, secret and redirect link"
        return Misconfigured(text, retry_after=MISCONFIGURED_WAIT)
    if any(word in said for word in ("revoked", "invalid", "expired", "decrypt")):
        return SignInRefused(CONNECT_AGAIN.format(hint=hint), code="grant")
    # Without a hint it may be that the account lives elsewhere by now, and nobody at all is signed in there.
    return Unreachable(f"the sign-in was refused without a known reason ({hint})", code="moved")


def _unless_refreshed(account: Account, url: str, kept: Tokens, deadline: float) -> Tokens | AdapterError:
    try:
        answer = _post(account, url, {"grant_type": "refresh_token", "refresh_token": kept.refresh}, deadline)
    except Misconfigured:
        raise
    except AdapterError as error:
        return error
    return refusal_of(answer) or _tokens(answer, url, kept.extra)


def _post(
    account: Account, url: str, grant: dict[str, str], deadline: float, priority: Priority = Priority.START
) -> Answer:
    client_id, secret = credentials(account)
    wait_turn(account, url, priority, deadline)
    body = {"client_id": client_id, "client_secret": secret, "redirect_uri": redirect_uri(account), **grant}
    with guarded_session(account.allow_local) as session:
        answer = ask(session, "POST", f"{url}/oauth2/access_token", deadline=deadline, headers={}, data=body)
    if answer.status == 429:
        spent(account, url, answer.retry_after)
    return answer


def _tokens(answer: Answer, url: str, known: Mapping[str, str]) -> Tokens:
    body = answer.body
    said = body.get("expires_in")
    lasts = min(said, 10**8) if isinstance(said, int) and said > 0 else 86400
    return with_claims(
        Tokens(
            access=body["access_token"],
            refresh=body["refresh_token"],
            # From our own clock, which also decides when they have expired: the account's may differ.
            expires_at=datetime.now(UTC) + timedelta(seconds=lasts),
            endpoint=url,
            extra={**known, "refreshed_at": datetime.now(UTC).isoformat()},
        )
    )


def with_claims(tokens: Tokens) -> Tokens:
    """Adds what the access token says of itself, as hints: it is the account's word about itself, unverified."""
    try:
        claims: Mapping[str, Any] = jwt.decode(tokens.access, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return tokens
    said = {key: str(claims[key]) for key in ("account_id", "api_domain") if claims.get(key)}
    return replace(tokens, extra={**tokens.extra, **said})
