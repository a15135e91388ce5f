"""Requests from a portal and from the browsers that show it: an installation, an event, an opening of the application.

Nothing of a form is believed. An access token is shown to the OAuth server, which says whose application and portal it
belongs to; an event has to bring the secret that a verified installation left (REST docs, "Safe event handlers").
"""

from __future__ import annotations

import hmac
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from crm_adapters.addresses import address_parts
from crm_adapters.bitrix24.answers import error_of
from crm_adapters.bitrix24.oauth import app_info, lifetime, named_server
from crm_adapters.bitrix24.transport import Answer, post
from crm_adapters.contract import (
    Account,
    DoorAnswer,
    DoorRefused,
    DoorRequest,
    Ignored,
    Installed,
    Opened,
    Uninstalled,
)
from crm_adapters.errors import AccountTrouble, NotSupported, SignInRefused, Unreachable
from crm_adapters.oauth import Tokens

log = logging.getLogger(__name__)

SCRIPTS = ("https://api.bitrix24.com/api/v1/",)
EVENTS = ("ONAPPUNINSTALL",)
"""What the portal is asked to tell us of; it does so once the installation is finished."""
ASKING_SECONDS = 8.0
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(?::\d{1,5})?")
_DEFAULT_PORTS = {"https": ":443", "http": ":80"}


@dataclass(frozen=True, kw_only=True, repr=False)
class _Claim:
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


class _NotGenuine(Exception):
    """The request is answered with this status and line."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.refusal = DoorRefused(status=status, text=text)


def open_door(account: Account, request: DoorRequest) -> DoorAnswer:
    """What the request means. Raises Unreachable where the OAuth server or the portal can't be asked."""
    if request.door not in _DOORS:
        raise NotSupported(f"Bitrix24 has no door {request.door}")
    try:
        return _DOORS[request.door](account, request)
    except _NotGenuine as reason:
        return reason.refusal


def _install(account: Account, request: DoorRequest) -> DoorAnswer:
    if request.form.get("event"):
        return _events(account, request)
    claim = _form_claim(account, request)
    installed = _verified(account, claim)
    if installed is None:
        raise _NotGenuine(403, "Only an administrator of the portal can install the application")
    return installed


def _app(account: Account, request: DoorRequest) -> DoorAnswer:
    """Any employee opens the application; an administrator's tokens also replace those of a dismissed one."""
    claim = _form_claim(account, request)
    installed = _verified(account, claim)
    if installed is None:
        return Opened(frame_ancestor=claim.origin)
    # installFinish must be called once: after it the portal reloads the frame with this page.
    return replace(installed, scripts=())


def _events(account: Account, request: DoorRequest) -> DoorAnswer:
    event = request.form.get("event", "").upper()
    if event == "ONAPPINSTALL":
        installed = _verified(account, _event_claim(account, request.form))
        if installed is None:
            raise _NotGenuine(403, "Only an administrator of the portal can install the application")
        return installed
    if not event:
        raise _NotGenuine(400, "event is missing")
    tokens = account.tokens.current()
    kept = tokens.extra.get("application_token", "") if tokens else ""
    given = request.form.get("auth[application_token]", "")
    if not kept or not hmac.compare_digest(kept.encode(), given.encode()):
        raise _NotGenuine(403, "application_token is wrong")
    if event == "ONAPPUNINSTALL":
        return Uninstalled(reason="The application was deleted in the portal: install it there again")
    return Ignored()


_DOORS: Mapping[str, Callable[[Account, DoorRequest], DoorAnswer]] = {
    "install": _install,
    "app": _app,
    "events": _events,
}


def _form_claim(account: Account, request: DoorRequest) -> _Claim:
    """What the browser posts: tokens in the form, the portal's address in the query."""
    form, query = request.form, request.query
    return _Claim(
        access=_needed(form, "AUTH_ID"),
        refresh=_needed(form, "REFRESH_ID"),
        member_id=_needed(form, "member_id"),
        domain=_host(query.get("DOMAIN") or form.get("DOMAIN", "")),
        scheme=_scheme(account, plain=(query.get("PROTOCOL") or form.get("PROTOCOL", "1")) == "0"),
        expires_in=form.get("AUTH_EXPIRES", ""),
        application_token=form.get("APPLICATION_TOKEN", ""),
        oauth_server=named_server(form.get("SERVER_ENDPOINT", "")),
    )


def _event_claim(account: Account, form: Mapping[str, str]) -> _Claim:
    """What the portal's server posts where the application has no user interface."""
    return _Claim(
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
        raise _NotGenuine(400, f"{key} is missing")
    return form[key]


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise _NotGenuine(400, "DOMAIN is missing or is no host name")
    return text.lower()


def _scheme(account: Account, *, plain: bool) -> str:
    if plain and not account.allow_local:
        raise _NotGenuine(403, "The portal should be opened by https")
    return "http" if plain else "https"


def _verified(account: Account, claim: _Claim) -> Installed | None:
    """The installation that the claim amounts to, None where its user is no administrator. Raises _NotGenuine."""
    try:
        info = app_info(account, claim.access, claim.oauth_server, seconds=ASKING_SECONDS)
    except SignInRefused:
        raise _NotGenuine(403, "The OAuth server does not know this access token") from None
    install = info.get("install")
    install = install if isinstance(install, dict) else {}
    client_id = account.settings.get("bitrix24_client_id", "")
    if not client_id or info.get("client_id") != client_id:
        raise _NotGenuine(403, "The token belongs to another application: compare bitrix24_client_id")
    if install.get("member_id") != claim.member_id:
        raise _NotGenuine(403, "The token belongs to another portal")
    if _bare(claim.domain, claim.scheme) not in _addresses(install, claim.scheme):
        raise _NotGenuine(403, "The token belongs to a portal of another address")
    if not _is_admin(account, claim):
        return None
    _bind_events(account, claim)
    return _installed(account, claim, info)


def _addresses(install: Mapping[str, Any], scheme: str) -> set[str]:
    """The portal's addresses by the OAuth server: of a boxed portal `domain` may come without its port."""
    named = (str(install.get("domain") or ""), address_parts(str(install.get("client_endpoint") or "")).netloc)
    return {_bare(address, scheme) for address in named if address}


def _bare(domain: str, scheme: str) -> str:
    return domain.lower().removesuffix(_DEFAULT_PORTS[scheme])


def _is_admin(account: Account, claim: _Claim) -> bool:
    """What the portal itself says of the token's user. Raises Unreachable, and _NotGenuine with the portal's reason."""
    answer = _ask_portal(account, claim, "user.admin", {})
    error = error_of(answer)
    if isinstance(error, AccountTrouble):
        raise Unreachable(f"the portal did not say who opened the application: {error}")
    if error is not None:
        raise _NotGenuine(403, " ".join(f"The portal does not let the application in: {error}".split()))
    return answer.body is not None and answer.body.get("result") is True


def _bind_events(account: Account, claim: _Claim) -> None:
    """Has the portal tell us of its events. A repeat is refused by it and changes nothing (REST docs, "event.bind")."""
    handler = f"{account.public_url.rstrip('/')}/bitrix24/{account.connection}/events"
    for event in EVENTS:
        try:
            error = error_of(_ask_portal(account, claim, "event.bind", {"event": event, "handler": handler}))
        except AccountTrouble as trouble:
            error = trouble
        if error is not None and "already" not in str(error).lower():
            log.warning("connection %s: Bitrix24 will not send %s: %s", account.connection, event, error)


def _ask_portal(account: Account, claim: _Claim, method: str, params: Mapping[str, str]) -> Answer:
    """One request with the claim's own token, outside the budget: people install seldom. Raises Unreachable."""
    return post(
        f"{claim.origin}/rest/",
        method,
        {**params, "auth": claim.access},
        seconds=ASKING_SECONDS,
        allow_local=account.allow_local,
    )


def _installed(account: Account, claim: _Claim, info: Mapping[str, Any]) -> Installed:
    now = datetime.now(UTC)
    present = account.tokens.current()
    kept = present.extra if present and present.extra.get("member_id") == claim.member_id else {}
    extra = {
        "member_id": claim.member_id,
        "user_id": str(info.get("user_id") or ""),
        "scope": str(info.get("scope") or ""),
        "application_token": claim.application_token or kept.get("application_token", ""),
        "oauth_server": claim.oauth_server,
        "refreshed_at": now.isoformat(),
    }
    return Installed(
        account_key=claim.member_id,
        tokens=Tokens(
            access=claim.access,
            refresh=claim.refresh,
            expires_at=now + timedelta(seconds=lifetime(claim.expires_in)),
            endpoint=f"{claim.origin}/rest/",
            extra={key: value for key, value in extra.items() if value},
        ),
        scripts=SCRIPTS,
        frame_ancestor=claim.origin,
    )
