"""Who may call what (Bitrix24 REST docs, "Authorization" and "Scopes")."""

from __future__ import annotations

import re

from tests.emulators.bitrix24.errors import RestError, system
from tests.emulators.bitrix24.invocation import Invocation, Method
from tests.emulators.bitrix24.state import Account, Token

TOKEN_SHAPE = re.compile(r"^[0-9a-f]{70}$")


def token_of(account: Account, given: str) -> Token:
    """The token's record, if it still opens this portal."""
    if not TOKEN_SHAPE.match(given):
        raise system("NO_AUTH_FOUND")
    token = account.tokens.get(given)
    if token is None:
        raise system("invalid_token")
    if account.revoked or token.revoked:
        raise system("ERROR_OAUTH")
    if account.payment_required:
        raise system("PAYMENT_REQUIRED")
    if token.expires_at <= account.now():
        raise system("expired_token")
    check_user(account, token)
    return token


def check_user(account: Account, token: Token) -> None:
    """A dismissed employee's token is worth nothing, and an admin can close the application to some."""
    user = account.users.get(token.user_id)
    if user is None or not user.active:
        raise system("authorization_error")
    if not user.app_access:
        raise system("user_access_error")


def check_scope(call: Invocation, method: Method) -> None:
    """The scopes that the token was issued with decide, not those that the application has got since."""
    if method.scopes and not call.token.scopes.intersection(method.scopes):
        refusal = system("insufficient_scope")
        text = "" if call.in_batch else refusal.description
        raise RestError(refusal.code, text, refusal.status)
    if method.admin and not call.user.admin:
        raise system("ACCESS_DENIED")
