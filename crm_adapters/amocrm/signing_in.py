"""Which account it is that a code or a token signs in to, and by whom."""

from __future__ import annotations

from dataclasses import replace

from crm_adapters.amocrm.client import AccountInfo, AmoAccount, amo_account
from crm_adapters.amocrm.hosts import account_url
from crm_adapters.amocrm.oauth import exchanged
from crm_adapters.contract import Account, Priority
from crm_adapters.door_answers import Installed
from crm_adapters.errors import Refused
from crm_adapters.oauth import Tokens

SECONDS = 15.0


class _Fresh:
    """Tokens that nobody keeps yet."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def current(self) -> Tokens | None:
        return self._tokens

    def renewed(self, stale: Tokens, renew: object) -> Tokens:  # noqa: ARG002 - new tokens are not renewed
        return stale


def redeemed(account: Account, host: str, code: str, priority: Priority) -> Installed:
    """The account at `host` whose code this is. Raises AdapterError; Refused where the host is no account's."""
    url = account_url(host, allow_local=account.allow_local)
    if url is None:
        raise Refused(f"{host[:100]!r} is not the address of an amoCRM account")
    tokens = exchanged(account, url, code, priority)
    settings = {key: value for key, value in account.settings.items() if key != "amocrm_long_lived_token"}
    asked = replace(account, settings=settings, tokens=_Fresh(tokens), bound_to=lambda: None)
    with amo_account(asked, priority=priority, seconds=SECONDS) as amo:
        return _installed(tokens, amo.info(fresh=True))


def by_settings(account: Account) -> Installed | None:
    """The account of the long-lived token, None where none is set. Raises AdapterError."""
    if not account.settings.get("amocrm_long_lived_token"):
        return None
    with amo_account(account, priority=Priority.BACKGROUND, seconds=SECONDS) as amo:
        return _installed(amo.tokens, amo.info(fresh=True))


def _installed(tokens: Tokens, info: AccountInfo) -> Installed:
    extra = {**tokens.extra, "account_id": info.id, "user_id": info.user_id}
    return Installed(account_key=info.id, tokens=replace(tokens, extra=extra), name=info.name)


def is_admin(amo: AmoAccount, user_id: str) -> bool:
    """Whether the user is an administrator of the account. Raises AdapterError."""
    row = amo.get(f"users/{int(user_id)}")
    rights = row.get("rights") if isinstance(row, dict) else None
    return isinstance(rights, dict) and bool(rights.get("is_admin"))
