"""Bitrix24's OAuth server: refreshes tokens and tells whose an access token is (REST docs, "OAuth 2.0").

The application's key goes to the server of the deployment's settings, or, where that is one that Bitrix24 runs, to its
other one if the portal named it; never to an address that a form gave.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from crm_adapters.addresses import address_parts
from crm_adapters.bitrix24.answers import SIGN_IN
from crm_adapters.contract import Account
from crm_adapters.errors import AdapterError, SignInRefused, Unreachable
from crm_adapters.http import BodyTooLarge, DeadlinePassed, ForbiddenAddress, guarded_session, read_capped
from crm_adapters.oauth import Tokens

DEFAULT_SERVER, OTHER_SERVER = "https://oauth.bitrix24.tech", "https://oauth.bitrix.info"
"""Bitrix24's own two (REST docs in English and Russian)."""
REFRESH_SECONDS = 10.0
MOST_BYTES = 1024 * 1024


def named_server(address: str) -> str:
    """The server that a portal names, where it is one of Bitrix24's that may be named; else empty."""
    parts = address_parts(address)
    return OTHER_SERVER if (parts.scheme, parts.netloc) == ("https", "oauth.bitrix.info") else ""


def app_info(account: Account, access: str, server: str = "", *, seconds: float = REFRESH_SECONDS) -> Mapping[str, Any]:
    """What the OAuth server says of an access token: client_id, user_id, scope, install{domain, member_id, ...}.

    Raises SignInRefused for a token it does not know, Unreachable.
    """
    body = _ask(account, server, "/rest/app.info", {"auth": access}, seconds)
    result = body.get("result")
    if "error" in body or not isinstance(result, dict):
        raise SignInRefused("the OAuth server does not know this access token", code=str(body.get("error") or ""))
    return result


def refreshed(account: Account, tokens: Tokens) -> Tokens:
    """New tokens for the refresh token, which is dead afterwards.

    Raises SignInRefused, and Unreachable: then the same refresh token serves later.
    """
    body = _ask(
        account,
        tokens.extra.get("oauth_server", ""),
        "/oauth/token/",
        {
            "grant_type": "refresh_token",
            "client_id": account.settings.get("bitrix24_client_id", ""),
            "client_secret": account.settings.get("bitrix24_client_secret", ""),
            "refresh_token": tokens.refresh,
        },
        REFRESH_SECONDS,
    )
    if "error" in body or not (body.get("access_token") and body.get("refresh_token")):
        raise _refusal(body)
    now = datetime.now(UTC)
    return replace(
        tokens,
        access=str(body["access_token"]),
        refresh=str(body["refresh_token"]),
        expires_at=now + timedelta(seconds=lifetime(body.get("expires_in"))),
        endpoint=_endpoint(body.get("client_endpoint"), tokens.endpoint, account.allow_local),
        extra={**tokens.extra, "refreshed_at": now.isoformat()},
    )


def lifetime(seconds: Any) -> int:
    """Seconds that an access token lives, as a form or the server says; an hour where it says nothing sensible."""
    text = str(seconds)
    return min(int(text), 86400) if text.isdecimal() and len(text) < 10 else 3600


def _refusal(body: Mapping[str, Any]) -> AdapterError:
    code = str(body.get("error") or "")
    if not code and "error" not in body:
        return Unreachable("the OAuth server's answer has no tokens")
    text = SIGN_IN.get(code.lower(), "the OAuth server refuses the sign-in: open the application in the portal again")
    return SignInRefused(f"{text} ({code})", code=code)


def _endpoint(given: Any, present: str, allow_local: bool) -> str:
    """The portal's address by the OAuth server, which knows when a portal was renamed."""
    parts = address_parts(given if isinstance(given, str) else "")
    trusted = parts.scheme == "https" or (parts.scheme == "http" and allow_local)
    return f"{parts.scheme}://{parts.netloc}/rest/" if trusted and parts.netloc else present


def _server(account: Account, named: str) -> str:
    """The settings' server; where that is Bitrix24's usual one, the other one if the portal named it."""
    own = account.oauth_url.rstrip("/")
    return OTHER_SERVER if named == OTHER_SERVER and own == DEFAULT_SERVER else own


def _ask(account: Account, server: str, path: str, query: Mapping[str, str], seconds: float) -> Mapping[str, Any]:
    """The JSON object of the answer, an error's too. Raises Unreachable; its text never contains the query."""
    url = _server(account, server) + path
    deadline = time.monotonic() + seconds
    try:
        with (
            guarded_session(account.allow_local) as session,
            session.get(url, params=query, stream=True, timeout=min(seconds, 5.0)) as response,
        ):
            status, content = response.status_code, read_capped(response, MOST_BYTES, deadline)
            body = json.loads(content)
    except ForbiddenAddress as error:
        raise Unreachable(f"the OAuth server may not be asked: {error}") from None
    except (requests.RequestException, BodyTooLarge, DeadlinePassed, ValueError, RecursionError) as error:
        raise Unreachable(f"no answer from the OAuth server ({type(error).__name__})") from None
    if not isinstance(body, dict) or status >= 500 or status == 429:
        raise Unreachable(f"no answer from the OAuth server (status {status})")
    return body
