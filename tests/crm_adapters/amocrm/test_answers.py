"""What amoCRM's answers mean: hosts, errors of requests, errors of signing in."""

from __future__ import annotations

import pytest

from crm_adapters.amocrm.answers import error_of, parsed
from crm_adapters.amocrm.hosts import account_url, consent_page
from crm_adapters.amocrm.oauth import refusal_of
from crm_adapters.errors import AdapterError, Limited, Misconfigured, Refused, SignInRefused, Unreachable

JSON = '{"title":"x","status":0,"detail":"y"}'


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("shop.amocrm.ru", "https://shop.amocrm.ru"),
        ("Shop.AmoCRM.com", "https://shop.amocrm.com"),
        ("my-shop.kommo.com", "https://my-shop.kommo.com"),
        ("api-b.amocrm.ru", "https://api-b.amocrm.ru"),
        ("127.0.0.1:8080", None),
        ("ѕhop.amocrm.ru", None),
        ("shop.amocrm.ru.", None),
        ("x" * 64 + ".amocrm.ru", None),
    ],
)
def test_only_accounts_have_an_address(host: str, url: str | None) -> None:
    assert account_url(host, allow_local=False) == url


def test_a_local_account_is_one_only_where_that_is_allowed() -> None:
    assert account_url("127.0.0.1:8080", allow_local=True) == "http://127.0.0.1:8080"
    assert account_url("127.0.0.1:8080@evil.com", allow_local=True) is None
    assert account_url("10.0.0.1:80", allow_local=True) is None
    assert consent_page("shop.kommo.com") == "https://www.kommo.com/oauth"
    assert consent_page("") == "https://www.amocrm.ru/oauth"


@pytest.mark.parametrize(
    ("status", "text", "kind", "maybe_done"),
    [
        (402, JSON, SignInRefused, False),
        (403, JSON, Refused, False),
        (403, "<html>", Limited, False),
        (404, JSON, Refused, False),
        (404, "<html>", Unreachable, False),
        (302, "", Unreachable, False),
        (400, "<html>", Refused, False),
        (405, JSON, Refused, False),
        (422, JSON, Refused, False),
        (429, JSON, Limited, False),
        (429, "<html>", Limited, False),
        (500, JSON, Unreachable, True),
        (502, "<html>", Unreachable, True),
        (503, "<html>", Unreachable, True),
        (504, "<html>", Unreachable, True),
    ],
)
def test_what_went_wrong(status: int, text: str, kind: type[AdapterError], maybe_done: bool) -> None:
    error = error_of(parsed(status, text, {}))
    assert type(error) is kind
    assert error.maybe_done is maybe_done


def test_how_long_to_wait() -> None:
    for text, headers, seconds in [
        ('{"retry_after":300}', {}, 300),
        ('{"retry_after":"2"}', {}, 2),
        ("<html>", {"Retry-After": "7"}, 7),
        ('{"retry_after":null}', {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ('{"retry_after":-1}', {}, None),
        ('{"retry_after":true}', {}, None),
        ("[]", {}, None),
    ]:
        error = error_of(parsed(429, text, headers))
        assert isinstance(error, Limited)
        assert error.retry_after == seconds


@pytest.mark.parametrize(
    ("status", "hint", "kind"),
    [
        (401, "Token has been revoked", SignInRefused),
        (400, "Authorization code has been revoked", SignInRefused),
        (400, "Authorization code has expired", SignInRefused),
        (400, "Cannot decrypt the refresh token", SignInRefused),
        (400, "Invalid refresh token", SignInRefused),
        (400, "Check the `client_id` parameter", Misconfigured),
        (400, "Check the `client_secret` parameter", Misconfigured),
        (400, "Redirect URI is not associated with client", Misconfigured),
        (400, "Something else", Unreachable),
        (429, "", Limited),
        (500, "", Unreachable),
        (404, "", Unreachable),
    ],
)
def test_only_a_taken_grant_disconnects(status: int, hint: str, kind: type[AdapterError]) -> None:
    body = f'{{"hint":"{hint}","title":"Некорректный запрос","status":{status}}}'
    assert type(refusal_of(parsed(status, body, {}))) is kind


def test_a_wrong_secret_is_ours_although_no_hint_says_so() -> None:
    body = '{"title":"Некорректный клиент","status":401,"detail":"Авторизация клиента не прошла"}'
    assert type(refusal_of(parsed(401, body, {}))) is Misconfigured
    assert refusal_of(parsed(200, '{"access_token":"a","refresh_token":"b"}', {})) is None
    for strange in ("[]", "{}", "<html>", '{"access_token":1,"refresh_token":"b"}'):
        assert type(refusal_of(parsed(200, strange, {}))) is Unreachable
