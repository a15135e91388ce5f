"""What a request from a portal's frame or server says of itself, and whether that is so.

Nothing of a form is believed. An access token is shown to the OAuth server, which says whose application and portal it
belongs to (REST docs, "Safe event handlers").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from crm_adapters.addresses import address_parts
from crm_adapters.bitrix24.answers import error_of
from crm_adapters.bitrix24.oauth import app_info, lifetime, named_server
from crm_adapters.bitrix24.transport import Answer, post
from crm_adapters.contract import Account
from crm_adapters.door_answers import DoorRefused, DoorRequest
from crm_adapters.errors import AccountTrouble, SignInRefused, Unreachable
from crm_adapters.oauth import Tokens

ASKING_SECONDS = 8.0
SET_UP_FOR = "set_up_for"
"""The key in the tokens' `extra` for the address of ours that the portal was last set up to point to."""
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(?::\d{1,5})?")
_DEFAULT_PORTS = {"https": ":443", "http": ":80"}


@dataclass(frozen=True, kw_only=True, repr=False)
class Claim:
    """What a request says of itself: whose portal, whose tokens."""

    access: str
    refresh: str
    member_id: str
    domain: str
    scheme: str
    expires_in: str
    application_token: str
    oauth_server: str

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.domain}"


@dataclass(frozen=True, kw_only=True, repr=False)
class Verified:
    """A claim that the OAuth server confirmed, and what the portal says of its user."""

    claim: Claim
    user_id: str
    scope: str
    is_admin: bool


class NotGenuine(Exception):
    """The request is answered with this status and line."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.refusal = DoorRefused(status=status, text=text)


def form_claim(account: Account, request: DoorRequest) -> Claim:
    """What the browser posts: tokens in the form, the portal's address in the query."""
    form, query = request.form, request.query
    return Claim(
        access=_needed(form, "AUTH_ID"),
        refresh=_needed(form, "REFRESH_ID"),
        member_id=_needed(form, "member_id"),
        domain=_host(query.get("DOMAIN") or form.get("DOMAIN", "")),
        scheme=_scheme(account, plain=(query.get("PROTOCOL") or form.get("PROTOCOL", "1")) == "0"),
        expires_in=form.get("AUTH_EXPIRES", ""),
        application_token=form.get("APPLICATION_TOKEN", ""),
        oauth_server=named_server(form.get("SERVER_ENDPOINT", "")),
    )


def event_claim(account: Account, form: Mapping[str, str]) -> Claim:
    """What the portal's server posts where the application has no user interface."""
    return Claim(
        access=_needed(form, "auth[access_token]"),
        refresh=_needed(form, "auth[refresh_token]"),
        member_id=_needed(form, "auth[member_id]"),
        domain=_host(form.get("auth[domain]", "")),
        scheme=_scheme(account, plain=form.get("auth[client_endpoint]", "").startswith("http://")),
        expires_in=form.get("auth[expires_in]", ""),
        application_token=form.get("auth[application_token]", ""),
        oauth_server=named_server(form.get("auth[server_endpoint]", "")),
    )


def _needed(form: Mapping[str, str], key: str) -> str:
    if not form.get(key):
        raise NotGenuine(400, f"{key} is missing")
    return form[key]


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise NotGenuine(400, "DOMAIN is missing or is no host name")
    return text.lower()


def _scheme(account: Account, *, plain: bool) -> str:
    if plain and not account.allow_local:
        raise NotGenuine(403, "The portal should be opened by https")
    return "http" if plain else "https"


def verified(account: Account, claim: Claim) -> Verified:
    """The claim, if it is true. Raises NotGenuine, and Unreachable where nobody can be asked."""
    try:
        info = app_info(account, claim.access, claim.oauth_server, seconds=ASKING_SECONDS)
    except SignInRefused:
        raise NotGenuine(403, "The OAuth server does not know this access token") from None
    install = info.get("install")
    install = install if isinstance(install, dict) else {}
    client_id = account.settings.get("bitrix24_client_id", "")
    if not client_id or info.get("client_id") != client_id:
        raise NotGenuine(403, "The token belongs to another application: compare bitrix24_client_id")
    if install.get("member_id") != claim.member_id:
        raise NotGenuine(403, "The token belongs to another portal")
    if _bare(claim.domain, claim.scheme) not in _addresses(install, claim.scheme):
        raise NotGenuine(403, "The token belongs to a portal of another address")
    return Verified(
        claim=claim,
        user_id=str(info.get("user_id") or ""),
        scope=str(info.get("scope") or ""),
        is_admin=_is_admin(account, claim),
    )


def _addresses(install: Mapping[str, Any], scheme: str) -> set[str]:
    """The portal's addresses by the OAuth server: of a boxed portal `domain` may come without its port."""
    named = (str(install.get("domain") or ""), address_parts(str(install.get("client_endpoint") or "")).netloc)
    return {_bare(address, scheme) for address in named if address}


def _bare(domain: str, scheme: str) -> str:
    return domain.lower().removesuffix(_DEFAULT_PORTS[scheme])


def _is_admin(account: Account, claim: Claim) -> bool:
    """What the portal itself says of the token's user. Raises Unreachable, and NotGenuine with the portal's reason."""
    answer = _ask_portal(account, claim, "user.admin", {})
    error = error_of(answer)
    if isinstance(error, AccountTrouble):
        raise Unreachable(f"the portal did not say who opened the application: {error}")
    if error is not None:
        raise NotGenuine(403, " ".join(f"The portal does not let the application in: {error}".split()))
    return answer.body is not None and answer.body.get("result") is True


def _ask_portal(account: Account, claim: Claim, method: str, params: Mapping[str, str]) -> Answer:
    """One request with the claim's own token, outside the budget: people install seldom. Raises Unreachable."""
    return post(
        f"{claim.origin}/rest/",
        method,
        {**params, "auth": claim.access},
        seconds=ASKING_SECONDS,
        allow_local=account.allow_local,
    )


def tokens_of(account: Account, known: Verified) -> Tokens:
    """The tokens to be kept for a verified administrator."""
    claim, now = known.claim, datetime.now(UTC)
    present = account.tokens.current()
    kept = present.extra if present and present.extra.get("member_id") == claim.member_id else {}
    extra = {
        "member_id": claim.member_id,
        "user_id": known.user_id,
        "scope": known.scope,
        "application_token": claim.application_token or kept.get("application_token", ""),
        "oauth_server": claim.oauth_server,
        SET_UP_FOR: kept.get(SET_UP_FOR, ""),
        "refreshed_at": now.isoformat(),
    }
    return Tokens(
        access=claim.access,
        refresh=claim.refresh,
        expires_at=now + timedelta(seconds=lifetime(claim.expires_in)),
        endpoint=f"{claim.origin}/rest/",
        extra={key: value for key, value in extra.items() if value},
    )
