"""One method call as a method sees it, wherever it came from: its own request or a command of a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.emulators.bitrix24 import php
from tests.emulators.bitrix24.errors import telephony
from tests.emulators.bitrix24.state import Account, Token, User

TRANSPORT_KEYS = frozenset({"auth", "access_token"})


@dataclass
class Invocation:
    """A method's name, its parameters and who calls.

    `encoding` is "json" where values have types, and "form" where all of them are strings (forms, queries, batches).
    """

    account: Account
    method: str
    params: dict[str, Any]
    token: Token
    encoding: str
    in_batch: bool = False

    @property
    def user(self) -> User:
        """Whose token it is."""
        return self.account.users[self.token.user_id]

    def report(self, what: str) -> None:
        """Remembers a mistake that the portal itself would swallow."""
        self.account.violate(self.method, what)

    def text(self, key: str) -> str:
        """A parameter as a trimmed string; empty where it is missing."""
        value = self.params.get(key)
        return "" if value is None or isinstance(value, dict | list) else str(value).strip()

    def number(self, key: str) -> int:
        """A parameter cast to int the PHP way."""
        return php.integer(self.params.get(key))

    def flag(self, key: str, default: bool) -> bool:
        """A 0/1 parameter cast to bool the PHP way; anything but 0 and 1 is reported."""
        if key not in self.params:
            return default
        value = self.params[key]
        plain = value in ("0", "1") if self.encoding == "form" else type(value) is int and value in (0, 1)
        if not plain:
            self.report(f"{key} must be 0 or 1, not {value!r}")
        return php.truth(value)

    def employee(self) -> int:
        """The user of USER_ID (which wins) or USER_PHONE_INNER."""
        if php.truth(self.params.get("USER_ID")):
            return self.number("USER_ID")
        found = self.account.user_by_inner_phone(self.text("USER_PHONE_INNER"))
        if not self.text("USER_PHONE_INNER") or found is None:
            raise telephony("no_user")
        return found.id

    def check_active(self, user_id: int) -> None:
        """Refuses users who are unknown or dismissed."""
        user = self.account.users.get(user_id)
        if user is None or not user.active:
            raise telephony("bad_user")

    def report_unknown_keys(self, known: frozenset[str]) -> None:
        """Bitrix24 ignores names that it does not know, so a misspelt parameter is lost in silence."""
        for key in self.params.keys() - known - TRANSPORT_KEYS:
            self.report(f"unknown parameter {key}")


@dataclass
class Page:
    """A method's list with its place in the whole."""

    items: list[Any]
    total: int | None
    next: int | None = None

    @classmethod
    def of(cls, rows: list[Any], start: int, size: int = 50) -> Page:
        """One page of rows; a start of -1 saves the counting."""
        first = max(start, 0)
        following = first + size if len(rows) > first + size else None
        counted = start >= 0
        return cls(rows[first : first + size], len(rows) if counted else None, following if counted else None)


@dataclass(frozen=True)
class Method:
    """A REST method: what runs it, which scopes open it, which parameters it knows."""

    name: str
    run: Callable[[Invocation], Any]
    scopes: tuple[str, ...] = ()
    keys: str = ""
    batchable: bool = True
    locked: bool = True
    admin: bool = False
    known: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "known", frozenset(self.keys.split()))
