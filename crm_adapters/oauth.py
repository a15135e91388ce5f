"""Tokens of an account and who may change them.

Both Bitrix24 and amoCRM rotate refresh tokens: the old one is dead as soon as it was used. So only one process at a
time may refresh an account's tokens, and it re-reads them first; the store sees to that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """An account's sign-in. `endpoint` is where its API answers; `extra` is the adapter's own (JSON values)."""

    access: str
    refresh: str
    expires_at: datetime | None
    endpoint: str
    extra: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Tokens(endpoint={self.endpoint!r}, expires_at={self.expires_at!r})"


Renew = Callable[[Tokens], Tokens]


class TokenStore(Protocol):
    """Where an adapter finds its tokens; kept by the service, encrypted."""

    def current(self) -> Tokens | None:
        """The account's tokens, None before an installation."""

    def renewed(self, stale: Tokens, renew: Renew) -> Tokens:
        """Tokens newer than `stale`: another's where someone was faster, else what `renew(tokens)` returns.

        At most one caller of all threads, processes and machines runs `renew` for one account; no database lock or
        connection is held meanwhile. What `renew` raises passes through and changes nothing.
        """
