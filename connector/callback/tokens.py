"""The form's token: signed, for one connection and site, good for half an hour and one request.

It keeps out what posts without ever having looked at the form. Its nonce is the request's idempotency key: a repeat of
the same request is answered with the first one's, another number with the same token is refused.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

TOKEN_SECONDS = 30 * 60


class WrongToken(Exception):
    """The token is not ours, or for another connection or site."""


class OldToken(Exception):
    """The token is no longer good: the form gets a new one."""


def new_token(keys: Sequence[str], connection_id: int, origin: str) -> str:
    """A token for the form on one page."""
    return str(_serializer(keys).dumps([connection_id, origin, secrets.token_urlsafe(16)]))


def read_token(keys: Sequence[str], token: str, connection_id: int, origin: str) -> str:
    """The token's nonce. Raises WrongToken, OldToken."""
    try:
        given = _serializer(keys).loads(token, max_age=TOKEN_SECONDS)
    except SignatureExpired:
        raise OldToken from None
    except BadSignature:
        raise WrongToken from None
    if not isinstance(given, list) or given[:2] != [connection_id, origin]:
        raise WrongToken
    return str(given[2])


def _serializer(keys: Sequence[str]) -> URLSafeTimedSerializer:
    """The first of the deployment's keys signs; itsdangerous wants the newest last."""
    return URLSafeTimedSerializer(list(reversed(keys)), salt="callback-form")
