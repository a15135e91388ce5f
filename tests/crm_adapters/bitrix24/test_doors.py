"""Who may install, open and uninstall the application, and who may not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from crm_adapters.bitrix24.adapter import Adapter
from crm_adapters.contract import Account, FindingStatus
from crm_adapters.door_answers import (
    DoorAnswer,
    DoorRefused,
    DoorRequest,
    Echo,
    Ignored,
    Installed,
    Opened,
    Uninstalled,
)
from crm_adapters.errors import NotSupported, Unreachable
from crm_adapters.oauth import Tokens
from tests.crm_adapters.fakes import MemoryTokens, make_account
from tests.emulators.bitrix24 import OPTIONAL_KEYS, Bitrix24

Form = tuple[dict[str, str], dict[str, str]]


@pytest.fixture
def portal() -> Iterator[Bitrix24]:
    with Bitrix24() as made:
        yield made
        assert made.violations == []
        assert made.refreshes == []


def account_of(portal: Bitrix24, **changes: Any) -> Account:
    settings = {"bitrix24_client_id": portal.client_id, "bitrix24_client_secret": portal.client_secret}
    return replace(make_account(settings, oauth_url=portal.oauth_url), **changes)


def knock(account: Account, door: str, form: Form) -> DoorAnswer:
    query, fields = form
    return Adapter(account).open_door(
        DoorRequest(door=door, method="POST", query=query, form=fields, headers={}, body=b"")
    )


def refused(answer: DoorAnswer, status: int) -> str:
    assert isinstance(answer, DoorRefused), answer
    assert answer.status == status
    assert "\n" not in answer.text
    return answer.text


def opened(portal: Bitrix24, user_id: int, **changes: Any) -> Opened:
    values: dict[str, Any] = {"user_id": str(user_id), "is_admin": user_id == 1} | changes
    return Opened(
        account_key=portal.member_id,
        frame_ancestor=portal.portal_url,
        script="https://api.bitrix24.com/api/v1/",
        **values,
    )


@pytest.mark.parametrize("without", [(), OPTIONAL_KEYS])
def test_an_administrator_installs(portal: Bitrix24, without: tuple[str, ...]) -> None:
    query, form = portal.install_form(without=without)
    answer = knock(account_of(portal), "install", (query, form))
    assert isinstance(answer, Installed)
    assert answer.account_key == portal.member_id
    assert answer.opened == opened(portal, 1)
    assert answer.finishes
    tokens = answer.tokens
    assert (tokens.access, tokens.refresh) == (form["AUTH_ID"], form["REFRESH_ID"])
    assert tokens.endpoint == f"{portal.portal_url}/rest/"
    assert tokens.extra["user_id"] == "1"
    assert tokens.extra.get("application_token", "") == ("" if without else portal.application_token)
    assert all(isinstance(value, str) for value in tokens.extra.values())
    assert "oauth_server" not in tokens.extra


HERE = "http://127.0.0.1:8000/bitrix24/default"


def steps_of(portal: Bitrix24, **changes: Any) -> dict[str, FindingStatus]:
    """What setting the application up comes to, by step."""
    answer = knock(account_of(portal), "install", portal.install_form())
    assert isinstance(answer, Installed)
    account = account_of(portal, tokens=MemoryTokens(answer.tokens), **changes)
    return {step.name: step.status for step in Adapter(account).set_up(["+380441112233"])}


def test_setting_up_binds_events_once_and_replaces_a_former_address(portal: Bitrix24) -> None:
    for public_url in ("http://127.0.0.1:9", "http://127.0.0.1:8000", "http://127.0.0.1:8000"):
        steps = steps_of(portal, public_url=public_url)
        assert set(steps.values()) == {FindingStatus.OK}
    assert list(steps) == ["events", "lines", "placement", "robots"]
    assert sorted((bound.event, bound.handler) for bound in portal.account.handlers) == [
        (event, f"{HERE}/events")
        for event in ("ONAPPTEST", "ONAPPUNINSTALL", "ONEXTERNALCALLBACKSTART", "ONEXTERNALCALLSTART")
    ]
    assert [place["handler"] for place in portal.account.placements] == [f"{HERE}/app"]
    assert list(portal.account.lines) == ["+380441112233"]
    assert {robot["HANDLER"] for robot in portal.account.robots.values()} == {f"{HERE}/robot"}


def test_a_step_that_meets_a_passing_trouble_is_tried_again(portal: Bitrix24, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crm_adapters.bitrix24.installing.PAUSES", (0.01, 0.01))
    portal.faults.error("QUERY_LIMIT_EXCEEDED", method="event.bind", times=1)
    portal.faults.html_502(method="placement.bind", times=1)
    assert set(steps_of(portal).values()) == {FindingStatus.OK}


def test_an_administrator_at_a_new_address_of_ours_sets_up_anew(portal: Bitrix24) -> None:
    first = knock(account_of(portal), "install", portal.install_form())
    assert isinstance(first, Installed)
    kept = MemoryTokens(first.tokens)
    assert list(Adapter(account_of(portal, tokens=kept)).set_up([]))
    for public_url, moved in (("http://127.0.0.1:8000", False), ("http://127.0.0.1:9", True)):
        account = account_of(portal, tokens=kept, public_url=public_url)
        answer = knock(account, "app", portal.install_form())
        assert isinstance(answer, Installed)
        assert (answer.moved, answer.finishes) == (moved, False)


def test_a_step_that_fails_says_so_and_the_others_go_on(portal: Bitrix24) -> None:
    with portal.faults.error("ERROR_EVENT_NOT_FOUND", method="event.bind"):
        steps = steps_of(portal)
    assert steps["events"] is FindingStatus.ERROR
    assert {steps[name] for name in ("lines", "placement", "robots")} == {FindingStatus.OK}


def test_the_portals_own_reason_is_shown(portal: Bitrix24) -> None:
    text = "REST API is available only on commercial plans"
    with portal.faults.error("ACCESS_DENIED", description=text, method="user.admin"):
        assert "commercial plan" in refused(knock(account_of(portal), "install", portal.install_form()), 403)


def test_a_repeated_installation_of_an_older_portal_keeps_the_application_token(portal: Bitrix24) -> None:
    account = account_of(portal)
    first = knock(account, "install", portal.install_form())
    assert isinstance(first, Installed)
    again = knock(
        replace(account, tokens=MemoryTokens(first.tokens)), "install", portal.install_form(without=OPTIONAL_KEYS)
    )
    assert isinstance(again, Installed)
    assert again.tokens.extra["application_token"] == portal.application_token
    assert again.tokens.access != first.tokens.access


def test_an_employee_does_not_install_and_does_not_replace_the_administrators_tokens(portal: Bitrix24) -> None:
    refused(knock(account_of(portal), "install", portal.install_form(2)), 403)
    assert knock(account_of(portal), "app", portal.install_form(2)) == opened(portal, 2)
    assert isinstance(knock(account_of(portal), "app", portal.install_form(1)), Installed)


def forged(portal: Bitrix24, key: str, value: str) -> Form:
    query, form = portal.install_form()
    (query if key in query else form)[key] = value
    return query, form


@pytest.mark.parametrize("door", ["install", "app"])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("AUTH_ID", "0" * 70),
        ("AUTH_ID", "garbage"),
        ("member_id", "f" * 32),
        ("DOMAIN", "evil.example"),
        ("DOMAIN", "127.0.0.1:1"),
    ],
)
def test_what_is_claimed_has_to_be_what_the_oauth_server_knows(
    portal: Bitrix24, door: str, key: str, value: str
) -> None:
    refused(knock(account_of(portal), door, forged(portal, key, value)), 403)
    assert portal.requests == []


def test_another_applications_token_is_refused(portal: Bitrix24) -> None:
    account = account_of(portal, settings={"bitrix24_client_id": "local.other"})
    assert "another application" in refused(knock(account, "install", portal.install_form()), 403)
    account = account_of(portal, settings={})
    refused(knock(account, "install", portal.install_form()), 403)


def test_another_portals_token_is_refused(portal: Bitrix24) -> None:
    with Bitrix24() as other:
        query, form = other.install_form()
        refused(knock(account_of(portal), "install", (query, form)), 403)
        assert other.requests == []


@pytest.mark.parametrize("key", ["AUTH_ID", "REFRESH_ID", "member_id", "DOMAIN"])
def test_what_is_missing_is_named(portal: Bitrix24, key: str) -> None:
    assert key in refused(knock(account_of(portal), "install", portal.install_form(without=[key])), 400)


@pytest.mark.parametrize(
    "domain", ["", "a b", "evil.example/x", "user@evil.example", "evil.example:1:2", "ab\n.c", "[::1]"]
)
def test_a_domain_that_is_none(portal: Bitrix24, domain: str) -> None:
    refused(knock(account_of(portal), "install", portal.install_form(DOMAIN=domain)), 400)


def test_plain_http_only_where_it_is_allowed(portal: Bitrix24) -> None:
    account = account_of(portal, allow_local=False)
    assert "https" in refused(knock(account, "install", portal.install_form()), 403)
    with pytest.raises(Unreachable):  # and neither is a local OAuth server asked
        knock(account, "install", portal.install_form(PROTOCOL="1"))
    assert portal.requests == []
    assert portal.oauth.requests == []


def test_default_ports_do_not_matter(portal: Bitrix24, monkeypatch: pytest.MonkeyPatch) -> None:
    info = {"client_id": portal.client_id, "install": {"member_id": portal.member_id, "domain": "p.bitrix24.ua"}}
    monkeypatch.setattr("crm_adapters.bitrix24.claims.app_info", lambda *_, **__: info)
    monkeypatch.setattr("crm_adapters.bitrix24.claims._is_admin", lambda *_: True)
    answer = knock(account_of(portal), "install", portal.install_form(DOMAIN="P.Bitrix24.ua:443", PROTOCOL="1"))
    assert isinstance(answer, Installed)
    refused(knock(account_of(portal), "install", portal.install_form(DOMAIN="p.bitrix24.ua:8443", PROTOCOL="1")), 403)


def test_a_boxed_portal_has_its_port_in_its_endpoint(portal: Bitrix24, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = "https://crm.shop.example:8443/rest/"
    install = {"member_id": portal.member_id, "domain": "crm.shop.example", "client_endpoint": endpoint}
    info = {"client_id": portal.client_id, "install": install}
    monkeypatch.setattr("crm_adapters.bitrix24.claims.app_info", lambda *_, **__: info)
    monkeypatch.setattr("crm_adapters.bitrix24.claims._is_admin", lambda *_: True)
    form = portal.install_form(DOMAIN="crm.shop.example:8443", PROTOCOL="1")
    assert isinstance(knock(account_of(portal), "install", form), Installed)
    refused(knock(account_of(portal), "install", portal.install_form(DOMAIN="crm.shop.example:1", PROTOCOL="1")), 403)


def test_a_server_of_the_settings_is_asked_whatever_the_form_says(portal: Bitrix24) -> None:
    answer = knock(
        account_of(portal), "install", portal.install_form(SERVER_ENDPOINT="https://oauth.bitrix.info/rest/")
    )
    assert isinstance(answer, Installed)
    assert portal.oauth.requests != []


@pytest.mark.parametrize(
    ("named", "kept"),
    [
        ("https://oauth.bitrix.info/rest/", "https://oauth.bitrix.info"),
        ("https://oauth.bitrix.info.evil.example/rest/", None),
        ("https://evil.example/rest/", None),
        ("http://oauth.bitrix.info/rest/", None),
        ("https://a@oauth.bitrix.info/rest/", None),
    ],
)
def test_only_bitrix24s_own_oauth_servers_may_be_named(
    portal: Bitrix24, monkeypatch: pytest.MonkeyPatch, named: str, kept: str | None
) -> None:
    asked: list[str] = []

    def app_info(account: Account, access: str, server: str, *, seconds: float) -> dict[str, Any]:
        asked.append(server)
        install = {"member_id": portal.member_id, "domain": portal.portal}
        return {"client_id": portal.client_id, "install": install, "user_id": 1}

    monkeypatch.setattr("crm_adapters.bitrix24.claims.app_info", app_info)
    answer = knock(account_of(portal), "install", portal.install_form(SERVER_ENDPOINT=named))
    assert isinstance(answer, Installed)
    assert asked == [kept or ""]
    assert answer.tokens.extra.get("oauth_server") == kept


def test_trouble_is_told_from_refusal(portal: Bitrix24) -> None:
    with portal.oauth_faults.html_502(), pytest.raises(Unreachable):
        knock(account_of(portal), "install", portal.install_form())
    with portal.faults.html_502(), pytest.raises(Unreachable):
        knock(account_of(portal), "install", portal.install_form())
    portal.go_down()
    with pytest.raises(Unreachable):
        knock(account_of(portal), "install", portal.install_form())


def event(portal: Bitrix24, name: str, user_id: int | None = None, **changes: str | None) -> Form:
    form: dict[str, str | None] = {
        "event": name,
        "auth[domain]": portal.portal,
        "auth[client_endpoint]": f"{portal.portal_url}/rest/",
        "auth[member_id]": portal.member_id,
        "auth[application_token]": portal.application_token,
    }
    if user_id is not None:
        token = portal.issue_token(user_id)
        form |= {"auth[access_token]": token.access, "auth[refresh_token]": token.refresh, "auth[expires_in]": "3600"}
    form |= {f"auth[{key}]": value for key, value in changes.items()}
    return {}, {key: value for key, value in form.items() if value is not None}


def installed_account(portal: Bitrix24, application_token: str | None = None) -> Account:
    kept = portal.application_token if application_token is None else application_token
    extra = {"application_token": kept, "member_id": portal.member_id}
    tokens = Tokens(access="a", refresh="r", expires_at=None, endpoint="", extra=extra)
    return account_of(portal, tokens=MemoryTokens(tokens))


def test_an_installation_without_a_user_interface(portal: Bitrix24) -> None:
    for door in ("install", "events"):
        answer = knock(account_of(portal), door, event(portal, "ONAPPINSTALL", 1))
        assert isinstance(answer, Installed)
        assert answer.tokens.extra["application_token"] == portal.application_token
        refused(knock(account_of(portal), door, event(portal, "ONAPPINSTALL", 2)), 403)
        refused(knock(account_of(portal), door, event(portal, "ONAPPINSTALL", 1, member_id="0" * 32)), 403)
        refused(knock(account_of(portal), door, event(portal, "ONAPPINSTALL")), 400)


def test_uninstalling_takes_the_applications_token(portal: Bitrix24) -> None:
    genuine = event(portal, "OnAppUninstall")
    assert isinstance(knock(installed_account(portal), "events", genuine), Uninstalled)
    assert isinstance(knock(installed_account(portal), "install", genuine), Uninstalled)
    for given in ("", None, "wrong", "ї"):
        refused(
            knock(installed_account(portal), "events", event(portal, "ONAPPUNINSTALL", application_token=given)), 403
        )
    refused(knock(installed_account(portal), "events", event(portal, "ONAPPUNINSTALL", member_id="0" * 32)), 403)
    for nothing_kept in (installed_account(portal, ""), account_of(portal)):
        refused(knock(nothing_kept, "events", event(portal, "ONAPPUNINSTALL", application_token="")), 403)


def test_other_events_are_ignored_when_genuine(portal: Bitrix24) -> None:
    assert knock(installed_account(portal), "events", event(portal, "ONAPPTEST")) == Echo()
    assert knock(installed_account(portal), "events", event(portal, "ONCRMLEADADD")) == Ignored()
    refused(knock(installed_account(portal), "events", event(portal, "ONAPPTEST", application_token="x")), 403)
    refused(knock(installed_account(portal), "events", ({}, {})), 400)
    assert portal.requests == []


def test_there_is_no_other_door(portal: Bitrix24) -> None:
    with pytest.raises(NotSupported):
        knock(account_of(portal), "cellar", portal.install_form())
