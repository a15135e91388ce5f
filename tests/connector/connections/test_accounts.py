"""A CRM's tokens: refreshed once whoever notices, kept encrypted, never lost to a crash."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text

from connector.connections import accounts
from connector.connections.accounts import DatabaseTokenStore, account_key, keep_installation
from connector.deployment import Deployment
from crm_adapters.errors import SignInRefused, Unreachable
from crm_adapters.oauth import Tokens
from tests.conftest import MakeDeployment

OLD = Tokens(
    access="access-1",
    refresh="refresh-1",
    expires_at=datetime(2026, 4, 1, tzinfo=UTC),
    endpoint="https://portal.example/rest/",
    extra={"member_id": "abc"},
)


def _next(tokens: Tokens) -> Tokens:
    number = int(tokens.access.rpartition("-")[2]) + 1
    return Tokens(
        access=f"access-{number}",
        refresh=f"refresh-{number}",
        expires_at=None,
        endpoint=tokens.endpoint,
        extra=tokens.extra,
    )


def _never(tokens: Tokens) -> Tokens:
    raise AssertionError("nobody should refresh here")


def _installed(deployment: Deployment) -> int:
    connection_id = deployment.connections.add("acme", "bitrix24", {}).id
    keep_installation(deployment.database, deployment.cipher, connection_id, "member-abc", OLD)
    return connection_id


def _store(deployment: Deployment, connection_id: int) -> DatabaseTokenStore:
    return DatabaseTokenStore(deployment.database, deployment.cipher, connection_id)


def test_what_an_installation_brought_is_kept_whole(deployment: Deployment) -> None:
    connection_id = _installed(deployment)
    assert _store(deployment, connection_id).current() == OLD
    assert account_key(deployment.database, connection_id) == "member-abc"


def test_before_an_installation_there_are_no_tokens(deployment: Deployment) -> None:
    connection_id = deployment.connections.add("acme", "bitrix24", {}).id
    store = _store(deployment, connection_id)
    assert store.current() is None
    assert account_key(deployment.database, connection_id) is None
    with pytest.raises(Unreachable):
        store.renewed(OLD, _never)


def test_forty_callers_refresh_once_and_nobody_fails(make_deployment: MakeDeployment) -> None:
    deployments = [make_deployment() for _ in range(4)]
    connection_id = _installed(deployments[0])
    gate, asked = threading.Barrier(40), []

    def renew(tokens: Tokens) -> Tokens:
        asked.append(tokens)
        time.sleep(0.2)  # a request to the CRM takes its time, and all others come meanwhile
        return _next(tokens)

    def call(number: int) -> Tokens:
        gate.wait(timeout=30)
        return _store(deployments[number % 4], connection_id).renewed(OLD, renew)

    with ThreadPoolExecutor(40) as pool:
        given = list(pool.map(call, range(40)))
    assert asked == [OLD]
    assert {tokens.access for tokens in given} == {"access-2"}


def test_who_comes_late_is_given_what_another_has_renewed(deployment: Deployment) -> None:
    store = _store(deployment, _installed(deployment))
    renewed = store.renewed(OLD, _next)
    assert renewed == _next(OLD)
    assert store.renewed(OLD, _never) == renewed
    assert store.renewed(renewed, _next).access == "access-3"


def test_a_refusal_passes_through_and_holds_nothing_up(deployment: Deployment) -> None:
    store = _store(deployment, _installed(deployment))

    def refused(_: Tokens) -> Tokens:
        raise SignInRefused("the application was deleted")

    with pytest.raises(SignInRefused):
        store.renewed(OLD, refused)
    assert store.current() == OLD
    began = time.monotonic()
    assert store.renewed(OLD, _next).access == "access-2"
    assert time.monotonic() - began < 1


def test_a_process_that_died_in_a_refresh_is_waited_for_no_longer_than_its_lease(
    make_deployment: MakeDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "LEASE", timedelta(seconds=0.4))
    dead, alive = make_deployment(), make_deployment()
    connection_id = _installed(dead)
    assert _store(dead, connection_id)._lease("the-dead", 1)
    began = time.monotonic()
    assert _store(alive, connection_id).renewed(OLD, _next).access == "access-2"
    assert 0.2 < time.monotonic() - began < 3


def test_a_refresh_that_does_not_end_is_trouble_of_the_account(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "WAIT_SECONDS", 0.3)
    store = _store(deployment, _installed(deployment))
    assert store._lease("another", 1)
    with pytest.raises(Unreachable, match="another process is refreshing"):
        store.renewed(OLD, _never)


def test_an_installation_during_a_refresh_wins(deployment: Deployment) -> None:
    """Its tokens are newer than what the refresh brings."""
    connection_id = _installed(deployment)
    fresh = Tokens(access="installed-9", refresh="r", expires_at=None, endpoint=OLD.endpoint)

    def renew(tokens: Tokens) -> Tokens:
        keep_installation(deployment.database, deployment.cipher, connection_id, "member-abc", fresh)
        return _next(tokens)

    store = _store(deployment, connection_id)
    store.renewed(OLD, renew)
    assert store.current() == fresh


def test_no_database_connection_is_held_during_the_request(deployment: Deployment) -> None:
    store = _store(deployment, _installed(deployment))
    held: list[int] = []

    def renew(tokens: Tokens) -> Tokens:
        held.append(deployment.database.engine.pool.checkedout())  # type: ignore[attr-defined]  # a QueuePool has it
        with deployment.database.write() as db:  # and others can write
            db.execute(select(1))
        return _next(tokens)

    store.renewed(OLD, renew)
    assert held == [0]


def test_tokens_are_encrypted_where_they_lie(deployment: Deployment) -> None:
    _installed(deployment)
    with deployment.database.read() as db:
        row = db.execute(text("SELECT * FROM crm_accounts")).one()
    assert not any(secret in str(tuple(row)) for secret in ("access-1", "refresh-1"))


def test_an_uninstalled_connection_takes_its_tokens_along(deployment: Deployment) -> None:
    connection_id = _installed(deployment)
    deployment.connections.remove(connection_id)
    assert _store(deployment, connection_id).current() is None
