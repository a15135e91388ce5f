"""What a portal sends: the browser's form at installation, and events from its queue (REST docs, "Events")."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from tests.emulators.bitrix24 import php
from tests.emulators.bitrix24.state import ACCESS_SECONDS, Account, Token

WITH_REFRESH_TOKEN = frozenset({"ONAPPINSTALL", "ONAPPUPDATE"})
OPTIONAL_KEYS = ("SERVER_ENDPOINT", "APPLICATION_TOKEN", "APPLICATION_SCOPE")  # older and boxed portals lack them


def install_form(
    account: Account, token: Token, without: Iterable[str], overrides: dict[str, Any]
) -> tuple[dict[str, str], dict[str, str]]:
    """Query and form of the POST that the browser makes into the application's frame."""
    query = {"DOMAIN": account.domain, "PROTOCOL": "0", "LANG": "ua", "APP_SID": token.access[:32]}
    form = {
        "AUTH_ID": token.access,
        "AUTH_EXPIRES": str(ACCESS_SECONDS),
        "REFRESH_ID": token.refresh,
        "SERVER_ENDPOINT": f"{account.oauth_url}/rest/",
        "APPLICATION_TOKEN": account.application_token,
        "APPLICATION_SCOPE": ",".join(sorted(account.scopes)),
        "member_id": account.member_id,
        "status": "L",
        "PLACEMENT": "DEFAULT",
        "PLACEMENT_OPTIONS": json.dumps({"any": f"{account.domain}/"}),
    }
    for key, value in overrides.items():
        (query if key in query else form)[key] = str(value)
    left_out = set(without)
    return (
        {key: value for key, value in query.items() if key not in left_out},
        {key: value for key, value in form.items() if key not in left_out},
    )


def event_body(account: Account, event: str, data: dict[str, Any], token: Token | None) -> dict[str, Any]:
    """An event as the queue sends it; the refresh token only comes with installation and update."""
    auth: dict[str, Any] = {
        "domain": account.domain,
        "server_endpoint": f"{account.oauth_url}/rest/",
        "client_endpoint": f"http://{account.domain}/rest/",
        "member_id": account.member_id,
        "application_token": account.application_token,
        "status": "L",
        "scope": ",".join(sorted(account.scopes)),
    }
    if token is not None:
        auth |= {"access_token": token.access, "expires": int(token.expires_at), "expires_in": ACCESS_SECONDS}
        auth["user_id"] = token.user_id
        if event in WITH_REFRESH_TOKEN:
            auth["refresh_token"] = token.refresh
    return {
        "event": event,
        "event_handler_id": str(account.next_id()),
        "data": data,
        "ts": str(int(account.now())),
        "auth": auth,
    }


def post_form(url: str, values: dict[str, Any], timeout: float = 30.0) -> tuple[int, bytes]:
    """Posts a form with PHP's brackets; no retries, as the portal's queue makes none."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=timeout)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": "Bitrix24 Webhook Engine"}
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", target or "/", php.build_form(values), headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
