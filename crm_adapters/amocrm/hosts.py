"""Addresses of accounts: taken from outside only where they are amoCRM's or Kommo's own."""

from __future__ import annotations

import re

_ACCOUNT = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.(?:amocrm\.ru|amocrm\.com|kommo\.com)")
_LOCAL = re.compile(r"(?:127\.0\.0\.1|localhost):\d{1,5}")
_CONSENT = {"amocrm.ru": "https://www.amocrm.ru/oauth", "kommo.com": "https://www.kommo.com/oauth"}


def account_url(host: str, *, allow_local: bool) -> str | None:
    """`https://company.amocrm.ru` for `company.amocrm.ru`; None where it is no plain host of an account.

    The client secret goes there, so nothing but the host is read: no scheme, port, user or path. A local account is
    spoken to by http, and only where the deployment allows it.
    """
    host = host.lower() if host.isascii() else ""
    if _ACCOUNT.fullmatch(host) and not host.startswith("www."):
        return f"https://{host}"
    is_local = allow_local and _LOCAL.fullmatch(host) and 0 < int(host.rpartition(":")[2]) < 65536
    return f"http://{host}" if is_local else None


def account_host(value: str) -> str:
    """The host of an account, as a setting. Raises ValueError."""
    if account_url(value, allow_local=True) is None:
        raise ValueError("the account's address such as company.kommo.com")
    return value.lower()


def consent_page(domain: str) -> str:
    """The page of consent of the side of the world where the account is; amoCRM's where that is not known."""
    return _CONSENT["kommo.com" if domain.lower().endswith("kommo.com") else "amocrm.ru"]
