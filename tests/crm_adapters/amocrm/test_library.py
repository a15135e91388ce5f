"""What we rely on of amocrm-api 2.6.1, private details included, and what of it is never used."""

from __future__ import annotations

import logging
from importlib.metadata import version
from typing import Any

import pytest
import requests
from amocrm.v2.interaction import BaseInteraction
from amocrm.v2.tokens import TokenManager, default_token_manager

from crm_adapters.amocrm import library
from crm_adapters.errors import Unreachable


def test_it_is_the_version_that_was_read() -> None:
    assert version("amocrm-api") == "2.6.1"


def test_requests_go_our_way_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("the library went its own way")

    monkeypatch.setattr(BaseInteraction, "_request", never)
    monkeypatch.setattr(BaseInteraction, "_get_url", never)
    monkeypatch.setattr(TokenManager, "get_access_token", never)
    monkeypatch.setattr(requests.Session, "request", never)
    asked = []

    def send(method: str, path: str, data: Any, params: Any) -> tuple[Any, int]:
        asked.append((method, path, data, params))
        following = {"next": {"href": "?page=2"}} if params and params.get("page") == 1 else {}
        return {"_links": following, "_embedded": {"contacts": [{"id": len(asked)}]}}, 200

    manager = library.AccountTokens(lambda: "token")
    contacts = library.Contacts(manager, send)
    assert [row["id"] for row in library.all_of(contacts, query="123", include=["leads"])] == [1, 2]
    assert asked[0][:2] == ("get", "contacts")
    assert {"query": "123", "with": "leads", "page": 1, "limit": 250}.items() <= asked[0][3].items()
    assert manager.get_access_token() == "token"
    library.Rows(manager, send, path="calls", field="calls").request("post", "calls", data=[1])
    assert asked[-1] == ("post", "calls", [1], {})


@pytest.mark.parametrize("body", [None, {}, [], {"_embedded": []}, {"_embedded": {"users": None}}, {"_embedded": {}}])
def test_a_list_that_is_none_is_an_error_of_ours_or_empty(body: Any) -> None:
    def send(*_: Any) -> tuple[Any, int]:
        return body, 204 if body is None else 200

    users = library.Users(library.AccountTokens(lambda: "token"), send)
    if body is None:
        assert list(library.all_of(users)) == []
    else:
        with pytest.raises(Unreachable):
            list(library.all_of(users))


def test_its_own_manager_is_never_configured_and_its_log_is_quiet() -> None:
    assert default_token_manager.subdomain is None
    assert logging.getLogger("amocrm").handlers == []
    manager = library.AccountTokens(lambda: "token")
    for way in (manager, manager.init):
        with pytest.raises(NotImplementedError):
            way("code")
