"""Tokens are renewed in time, at most once, and never for nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from crm_adapters.amocrm.adapter import Adapter
from crm_adapters.amocrm.oauth import exchanged
from crm_adapters.contract import Account
from crm_adapters.errors import SignInRefused, Unreachable
from crm_adapters.oauth import Renew, Tokens
from tests.emulators.amocrm import AmoCRM
from tests.emulators.amocrm.faults import Fault

TOKEN_PATH = "/oauth2/access_token"


class Kept:
    """Tokens in memory."""

    def __init__(self) -> None:
        self.tokens: Tokens | None = None

    def current(self) -> Tokens | None:
        return self.tokens

    def renewed(self, stale: Tokens, renew: Renew) -> Tokens:
        assert self.tokens is not None
        self.tokens = renew(self.tokens)
        return self.tokens


class Unlimited:
    def take(self, key: str, *, burst: float, per_second: float) -> float:
        return 0.0

    def fill(self, key: str, *, burst: float) -> None:
        pass


@pytest.fixture
def amo() -> Iterator[AmoCRM]:
    with AmoCRM(redirect_uri="http://127.0.0.1:1/amocrm/acme/callback") as amo:
        amo.rate.enabled = False
        yield amo


@pytest.fixture
def adapter(amo: AmoCRM) -> Adapter:
    """Signed in a moment ago."""
    kept = Kept()
    account = Account(
        connection="acme",
        settings={"amocrm_client_id": amo.client_id, "amocrm_client_secret": amo.client_secret},
        tokens=kept,
        limiter=Unlimited(),
        public_url="http://127.0.0.1:1",
        allow_local=True,
    )
    kept.tokens = exchanged(account, amo.url, amo.consent())
    return Adapter(account)


def kept_tokens(adapter: Adapter, change: Callable[[Tokens], Tokens] = lambda tokens: tokens) -> Tokens:
    kept = adapter.account.tokens
    assert isinstance(kept, Kept)
    assert kept.tokens is not None
    kept.tokens = change(kept.tokens)
    return kept.tokens


def aged(tokens: Tokens, days: int) -> Tokens:
    long_ago = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    return replace(tokens, extra={**tokens.extra, "refreshed_at": long_ago})


def test_tokens_that_nobody_used_for_a_week_are_renewed(adapter: Adapter, amo: AmoCRM) -> None:
    adapter.keep_alive()
    kept_tokens(adapter, lambda tokens: aged(tokens, 6))
    adapter.keep_alive()
    assert len(amo.asked("POST", TOKEN_PATH)) == 1
    kept_tokens(adapter, lambda tokens: aged(tokens, 8))
    adapter.keep_alive()
    adapter.keep_alive()
    assert len(amo.asked("POST", TOKEN_PATH)) == 2
    assert len(adapter.users()) == 3


def test_a_token_is_renewed_before_it_ends_but_not_at_any_price(adapter: Adapter, amo: AmoCRM) -> None:
    """While the old one is good, a sign-in server that fails costs nothing."""
    soon = datetime.now(UTC) + timedelta(seconds=60)
    before = kept_tokens(adapter, lambda tokens: replace(tokens, expires_at=soon))
    with amo.faults.always("POST", TOKEN_PATH, Fault.bad_gateway()):
        assert len(adapter.users()) == 3
    assert kept_tokens(adapter) == before
    assert len(adapter.users()) == 3
    assert kept_tokens(adapter).access != before.access
    kept_tokens(adapter, lambda tokens: replace(tokens, expires_at=datetime.now(UTC)))
    with amo.faults.always("POST", TOKEN_PATH, Fault.bad_gateway()), pytest.raises(Unreachable):
        adapter.users()


def test_an_answer_that_is_lost_is_made_good_where_amocrm_keeps_its_promise(adapter: Adapter, amo: AmoCRM) -> None:
    amo.refresh_mode("grace")
    amo.expire()
    amo.faults.next("POST", TOKEN_PATH, Fault.cut(effect=True))
    with pytest.raises(Unreachable):
        adapter.users()
    assert len(adapter.users()) == 3
    amo.refresh_mode("strict")
    amo.expire()
    amo.faults.next("POST", TOKEN_PATH, Fault.cut(effect=True))
    with pytest.raises(Unreachable):
        adapter.users()
    with pytest.raises(SignInRefused, match="connect again"):
        adapter.users()


def test_a_user_without_rights_reads_no_users_and_halves_no_list(adapter: Adapter, amo: AmoCRM) -> None:
    kept_tokens(adapter, lambda tokens: exchanged(adapter.account, amo.url, amo.consent(8)))
    found = {finding.name: finding.status for finding in adapter.check()}
    assert (found["signed-in"], found["users"]) == ("ok", "warning")
