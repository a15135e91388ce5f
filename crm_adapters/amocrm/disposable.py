"""The tokens that amoCRM gives a widget for one request to us: signed with the integration's secret
(https://developers.kommo.com/docs/one-time-tokens)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt

from crm_adapters.addresses import address_parts
from crm_adapters.amocrm.client import known_url
from crm_adapters.amocrm.hosts import account_url
from crm_adapters.contract import Account

LEEWAY_SECONDS = 30
_REQUIRED = ["iss", "aud", "jti", "iat", "nbf", "exp"]


class Forged(Exception):
    """No token, or none that opens anything here. The message says why, to nobody who could use it."""


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """A user of an account whose page asks. `is_admin` is None where the token does not say."""

    account_key: str
    user_id: str
    is_admin: bool | None
    token_id: str
    expires_at: datetime


def visitor_of(account: Account, token: str) -> Visitor:
    """Who shows the token. Raises Forged."""
    secret = account.settings.get("amocrm_client_secret", "")
    client_id = account.settings.get("amocrm_client_id", "")
    if not (secret and client_id):
        raise Forged("The integration's ID and secret are not set")
    try:
        claims = jwt.decode(
            token,
            secret,
            algorithms=["HS256"],
            audience=audiences(account.public_url),
            leeway=LEEWAY_SECONDS,
            options={"require": _REQUIRED},
        )
    except jwt.InvalidTokenError as error:
        raise Forged(f"The token is not good: {error}") from None
    if not (isinstance(claims["aud"], str) and isinstance(claims["jti"], str) and claims["jti"]):
        raise Forged("The token is not good")
    if claims.get("client_uuid") != client_id:
        raise Forged("The token is another integration's")
    _check_issuer(account, str(claims["iss"]))
    account_key, user_id = _number(claims.get("account_id")), _number(claims.get("user_id"))
    bound = account.bound_to()
    if not (account_key and user_id) or bound not in {None, account_key}:
        raise Forged("The token is another account's")
    admin = claims.get("is_admin")
    return Visitor(
        account_key=account_key,
        user_id=user_id,
        is_admin=admin if isinstance(admin, bool) else None,
        token_id=str(claims["jti"]),
        expires_at=datetime.fromtimestamp(claims["exp"] + LEEWAY_SECONDS + 1, UTC),
    )


def use_once(account: Account, visitor: Visitor) -> None:
    """For what changes something. Raises Forged where the token was used before."""
    if not account.first_use(visitor.token_id, visitor.expires_at):
        raise Forged("The token was used before")


def audiences(public_url: str) -> list[str]:
    """Scheme and host of our address, as amoCRM writes it: without the port, or with it."""
    parts = address_parts(public_url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    names = dict.fromkeys((f"{parts.scheme}://{host}", f"{parts.scheme}://{parts.netloc}"))
    return [audience for name in names for audience in (name, f"{name}/")]


def _check_issuer(account: Account, issuer: str) -> None:
    """The account's own address; before an account is bound, that of any."""
    parts = address_parts(issuer)
    url = account_url(parts.netloc, allow_local=account.allow_local)
    known = known_url(account)
    if url is None or issuer.rstrip("/") != url or known not in {None, url}:
        raise Forged("The token's issuer is not this account")


def _number(value: Any) -> str | None:
    """An ID, which comes as a number or as its digits."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    text = str(value)
    return text if text.isascii() and text.isdecimal() and len(text) < 16 else None
