"""Tokens as amoCRM makes them: RS256 for the API, HS256 by the client secret for what a widget shows to a server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import uuid
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.emulators.amocrm.records import Token
from tests.emulators.amocrm.state import Account

CODE_SECONDS = 20 * 60
ACCESS_SECONDS = 86400
REFRESH_SECONDS = 90 * 86400
LONG_LIVED_SECONDS = 5 * 365 * 86400
DISPOSABLE_SECONDS = 30 * 60
HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


def issue_code(account: Account, user_id: int) -> str:
    """An authorization code; lives 20 minutes and serves once."""
    code = opaque(account, 330)
    account.codes[code] = (user_id, account.now() + CODE_SECONDS)
    return code


def issue_token(account: Account, user_id: int) -> Token:
    """A new pair."""
    now = account.now()
    access = _access(account, user_id, now + ACCESS_SECONDS)
    token = Token(access, opaque(account, 440), user_id, now + ACCESS_SECONDS, now + REFRESH_SECONDS)
    with account.lock:
        account.tokens.append(token)
    return token


def issue_long_lived(account: Account, user_id: int) -> str:
    """A token without a refresh token, as a private integration's page shows it once."""
    expires = account.now() + LONG_LIVED_SECONDS
    token = Token(_access(account, user_id, expires), "", user_id, expires, 0)
    with account.lock:
        account.tokens.append(token)
    return token.access


def holder(account: Account, authorization: str) -> Token | None:
    """The good token of a header "Authorization: Bearer ..."; None where there is none."""
    scheme, _, given = authorization.partition(" ")
    token = next((each for each in account.tokens if each.access == given.strip()), None)
    if scheme != "Bearer" or token is None or token.revoked or token.expires_at <= account.now():
        return None
    return token if account.is_user(token.user_id) else None


def opaque(account: Account, size: int) -> str:
    """A code or refresh token; which account it is of can be told, as the real ones are decrypted."""
    return f"def50200{account.id:012x}{secrets.token_hex(size)}"


def account_of(given: str) -> int | None:
    """The account that a code or refresh token was made by; None where it is no such thing."""
    if not given.startswith("def50200") or len(given) < 100:
        return None
    try:
        return int(given[8:20], 16)
    except ValueError:
        return None


def disposable(account: Account, user_id: int, claims: dict[str, Any], algorithm: str, key: str | None) -> str:
    """What `$authorizedAjax` puts into X-Auth-Token; `claims` override, None leaves one out."""
    now = int(account.now())
    user = account.users.get(user_id)
    own = {
        "iss": account.url,
        "aud": without_port(account.redirect_uri),
        "jti": str(uuid.uuid4()),
        "iat": now,
        "nbf": now,
        "exp": now + DISPOSABLE_SECONDS,
        "account_id": account.id,
        "user_id": user_id,
        "subdomain": account.subdomain,
        "client_uuid": account.client_id,
        "is_admin": user is not None and user.is_admin,
    }
    given = {name: value for name, value in (own | claims).items() if value is not None}
    return sign(given, account.client_secret if key is None else key, algorithm)


def sign(claims: dict[str, Any], key: str, algorithm: str) -> str:
    """A JWT, also a worthless one: `none`, a short key."""
    if algorithm.startswith("RS"):
        return jwt.encode(claims, _private_key(), algorithm=algorithm)
    signed = f"{_part({'typ': 'JWT', 'alg': algorithm})}.{_part(claims)}"
    made = b"" if algorithm == "none" else hmac.new(key.encode(), signed.encode(), HASHES[algorithm]).digest()
    return f"{signed}.{_unpadded(made)}"


def signature_of_uninstall(account: Account) -> str:
    """The proof in the hook that tells of a revoked access."""
    told = f"{account.client_id}|{account.id}".encode()
    return hmac.new(account.client_secret.encode(), told, hashlib.sha256).hexdigest()


def without_port(address: str) -> str:
    """Scheme and host of an address."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.hostname}"


def _access(account: Account, user_id: int, expires: float) -> str:
    now = int(account.now())
    claims = {
        "aud": account.client_id,
        "jti": secrets.token_hex(40),
        "iat": now,
        "nbf": now,
        "exp": int(expires),
        "sub": str(user_id),
        "grant_type": "",
        "account_id": account.id,
        "base_domain": "amocrm.ru",
        "version": 2,
        "scopes": ["crm", "notifications"],
        "hash_uuid": str(uuid.uuid4()),
        "api_domain": account.api_domain,
    }
    return sign(claims, "", "RS256")


def _part(value: dict[str, Any]) -> str:
    return _unpadded(json.dumps(value, separators=(",", ":")).encode())


def _unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@cache
def _private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)
