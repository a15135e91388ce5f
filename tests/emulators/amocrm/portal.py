"""The account as a test handles it: where it is, its tokens, its troubles; arranging and watching are next door."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

import requests

from tests.emulators.amocrm.arranging import Arranging
from tests.emulators.amocrm.faults import Faults
from tests.emulators.amocrm.limits import RequestRate
from tests.emulators.amocrm.records import Person, TokenPair
from tests.emulators.amocrm.rest import Rest
from tests.emulators.amocrm.state import Account
from tests.emulators.amocrm.tokens import (
    disposable,
    issue_code,
    issue_long_lived,
    issue_token,
    signature_of_uninstall,
)
from tests.emulators.amocrm.watching import Watching
from tests.emulators.http import Loopback

PEOPLE = (Person(7, "Ірина Адміненко", is_admin=True), Person(8, "Олена Коваль"), Person(9, "Тарас Мельник"))
REDIRECT_URI = "https://connector.example.com/amocrm/default/callback"


class AmoCRM(Arranging, Watching):
    """One account with one integration.

    As a context manager it serves until the end of the block, and fails the block where the emulator itself crashed.
    Accounts given one `rate` share it, as those behind one address do.
    """

    def __init__(
        self,
        *,
        client_id: str | None = None,
        client_secret: str | None = None,
        redirect_uri: str = REDIRECT_URI,
        account_id: int = 31415926,
        users: Iterable[Person] = PEOPLE,
        unsorted: bool = True,
        refresh: str = "strict",
        rate: RequestRate | None = None,
    ) -> None:
        self.account = Account(
            id=account_id,
            client_id=client_id or str(uuid.uuid4()),
            client_secret=client_secret or secrets.token_urlsafe(48),
            redirect_uri=redirect_uri,
            users={person.id: Person(**vars(person)) for person in users},
            is_unsorted_on=unsorted,
        )
        self.refresh_mode(refresh)
        self.faults = Faults()
        self.rate = rate or RequestRate()
        self.rest = Rest(self.account, self.faults, self.rate)
        self._servers = [Loopback(self.rest.answer)]
        self._api_domain = Loopback(self.rest.answer_api_domain)
        self.account.address = self._servers[0].address
        self.account.api_domain = self._api_domain.address

    def __enter__(self) -> Self:
        self.come_up()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.faults.clear()
        for server in (*self._servers, self._api_domain):
            server.close()
        if error is None and self.crashes:
            raise AssertionError("the emulator crashed:\n" + "\n".join(self.crashes))

    # Where it is, and what an admin copies into the connector's settings.

    @property
    def address(self) -> str:
        """Host and port, as `referer` carries it; changes when the account is renamed."""
        return self.account.address

    @property
    def url(self) -> str:
        """The account's address."""
        return self.account.url

    @property
    def api_domain(self) -> str:
        """Host and port that the tokens' claim `api_domain` names; stays when the account is renamed."""
        return self.account.api_domain

    @property
    def account_id(self) -> int:
        """What stays the same when the account is renamed."""
        return self.account.id

    @property
    def subdomain(self) -> str:
        """The account's name in its address."""
        return self.account.subdomain

    @property
    def client_id(self) -> str:
        """The integration's ID."""
        return self.account.client_id

    @property
    def client_secret(self) -> str:
        """The integration's secret."""
        return self.account.client_secret

    @property
    def redirect_uri(self) -> str:
        """The registered redirect URI."""
        return self.account.redirect_uri

    # Consent and tokens.

    def consent(self, user_id: int = 7) -> str:
        """An authorization code as the consent page gives it: 20 minutes, once."""
        return issue_code(self.account, user_id)

    def callback_query(self, user_id: int = 7, **more: str) -> dict[str, str]:
        """The whole query of the redirect; `more` is state, from_widget, or overrides."""
        own = {"code": self.consent(user_id), "referer": self.address, "client_id": self.client_id}
        return own | more

    def grant(self, user_id: int = 7) -> TokenPair:
        """Tokens as if a code had been exchanged earlier."""
        token = issue_token(self.account, user_id)
        return TokenPair(token.access, token.refresh)

    def long_lived_token(self, user_id: int = 7) -> str:
        """The token of a private integration."""
        return issue_long_lived(self.account, user_id)

    def disposable_token(
        self, user_id: int = 7, *, algorithm: str = "HS256", key: str | None = None, **claims: Any
    ) -> str:
        """What a widget shows to a server; `claims` override, None leaves one out."""
        return disposable(self.account, user_id, claims, algorithm, key)

    def uninstall_query(self) -> dict[str, str]:
        """The query of the hook that tells of a revoked access."""
        return {
            "client_uuid": self.client_id,
            "account_id": str(self.account_id),
            "signature": signature_of_uninstall(self.account),
        }

    def uninstall(self, hook: str) -> int:
        """An admin removes the integration: the access is revoked and the hook told; its status."""
        self.revoke()
        agent = {"User-Agent": "amoService-oAuth-Code-Sender/1.0"}
        return requests.get(hook, params=self.uninstall_query(), headers=agent, timeout=5).status_code

    def revoke(self) -> None:
        """All tokens are taken away, and codes too; new consent gives new ones."""
        with self.account.lock:
            self.account.codes.clear()
            for token in self.account.tokens:
                token.revoked = True

    def expire(self) -> None:
        """Access tokens have run out; refresh tokens still serve."""
        with self.account.lock:
            for token in self.account.tokens:
                token.expires_at = min(token.expires_at, self.account.now())

    def refresh_mode(self, mode: str) -> None:
        """`strict`: a used refresh token is dead at once; `grace`: only when its successor has been used."""
        if mode not in ("strict", "grace"):
            raise ValueError(f"no such mode: {mode}")
        self.account.strict_refresh = mode == "strict"

    def advance(self, seconds: float) -> None:
        """Moves the account's clock forward: codes and tokens age."""
        self.account.advance(seconds)

    # Trouble that is no fault of a single request: `faults` has those.

    def go_down(self) -> None:
        """The account refuses connections."""
        for server in (*self._servers, self._api_domain):
            server.go_down()

    def come_up(self) -> None:
        """The account listens, at the same address as before."""
        for server in (*self._servers, self._api_domain):
            server.listen()

    def rename(self, subdomain: str = "evrotelnew", *, old: int = 404) -> str:
        """Moves the account to a new address, which it returns; the old one answers 404 or 401."""
        if old not in (401, 404):
            raise ValueError("a former address answers 401 or 404")
        server = Loopback(self.rest.answer)
        server.listen()
        self._servers.append(server)
        with self.account.lock:
            self.account.former[self.account.address] = old
            self.account.address, self.account.subdomain = server.address, subdomain
        return server.address

    @property
    def crashes(self) -> list[str]:
        """Tracebacks of the emulator's own mistakes."""
        return [crash for server in (*self._servers, self._api_domain) for crash in server.crashes]
