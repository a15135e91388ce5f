"""The emulated amoCRM refuses, does and remembers what the real one would."""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
import requests

from tests.emulators.amocrm import AmoCRM, Fault, Person
from tests.emulators.http import Loopback, Request, Response

PHONE = "+380679853913"
CALLS, CONTACTS, EVENTS, TOKEN = "/api/v4/calls", "/api/v4/contacts", "/api/v2/events", "/oauth2/access_token"
PROBLEM = "application/problem+json"
SIP = "/api/v4/leads/unsorted/sip"


@dataclass
class App:
    """The integration's side: asks with one token."""

    amo: AmoCRM
    token: str

    def ask(self, method: str, path: str, body: Any = None, **query: Any) -> requests.Response:
        return requests.request(
            method,
            self.amo.url + path,
            params=query,
            json=body,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=5,
            allow_redirects=False,
        )

    def good(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        answer = self.ask(method, path, body, **query)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == "application/hal+json"
        return answer.json()

    def complaints(self, method: str, path: str, body: Any) -> list[tuple[str, str, str]]:
        answer = self.ask(method, path, body)
        assert answer.status_code == 400, answer.text
        assert answer.json()["detail"] == "Request validation failed", answer.text
        found = answer.json()["validation-errors"]
        return [(each["request_id"], error["code"], error["path"]) for each in found for error in each["errors"]]


@pytest.fixture
def amo() -> Iterator[AmoCRM]:
    with AmoCRM() as account:
        account.rate.enabled = False
        yield account


@pytest.fixture
def app(amo: AmoCRM) -> App:
    return App(amo, amo.grant().access)


def call(**more: Any) -> dict[str, Any]:
    own = {"direction": "inbound", "duration": 33, "source": "evrotel", "phone": PHONE, "uniq": "u-1"}
    return {name: value for name, value in (own | more).items() if value is not ...}


def sip(**metadata: Any) -> dict[str, Any]:
    own = {
        "uniq": "u-1",
        "duration": 12,
        "service_code": "evrotel",
        "link": "",
        "phone": PHONE,
        "called_at": 1_700_000_000,
    }
    contact = {"name": "Незнайомець", "custom_fields_values": phones(PHONE)}
    return {
        "source_uid": "src",
        "source_name": "Evrotel",
        "metadata": {name: value for name, value in (own | {"from": PHONE} | metadata).items() if value is not ...},
        "_embedded": {"contacts": [contact], "leads": [{"name": "Дзвінок"}]},
    }


def phones(*numbers: str) -> list[dict[str, Any]]:
    return [{"field_code": "PHONE", "values": [{"value": each, "enum_code": "WORK"} for each in numbers]}]


# --- Tokens ---------------------------------------------------------------------------------------------------------


def exchange(amo: AmoCRM, **more: Any) -> requests.Response:
    own = {"client_id": amo.client_id, "client_secret": amo.client_secret, "redirect_uri": amo.redirect_uri}
    body = {name: value for name, value in (own | more).items() if value is not ...}
    return requests.post(amo.url + TOKEN, json=body, timeout=5)


def by_code(amo: AmoCRM, code: str, **more: Any) -> requests.Response:
    return exchange(amo, grant_type="authorization_code", code=code, **more)


def by_refresh(amo: AmoCRM, refresh: str) -> requests.Response:
    return exchange(amo, grant_type="refresh_token", refresh_token=refresh)


def hint(answer: requests.Response) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json().get("hint") or answer.json()["title"]


def test_a_code_gives_tokens_once(amo: AmoCRM) -> None:
    code = amo.consent()
    answer = by_code(amo, code)
    assert answer.status_code == 200
    pair = answer.json()
    assert (pair["token_type"], pair["expires_in"], set(pair)) == (
        "Bearer",
        86400,
        {"token_type", "expires_in", "server_time", "access_token", "refresh_token"},
    )
    claims = jwt.decode(pair["access_token"], options={"verify_signature": False})
    assert jwt.get_unverified_header(pair["access_token"])["alg"] == "RS256"
    assert (claims["aud"], claims["sub"], claims["account_id"]) == (amo.client_id, "7", 31415926)
    assert claims["api_domain"] == amo.api_domain
    assert App(amo, pair["access_token"]).good("GET", "/api/v4/account")["current_user_id"] == 7
    assert hint(by_code(amo, code)) == (400, "Authorization code has been revoked")
    assert amo.violations == []


def test_a_code_lives_twenty_minutes(amo: AmoCRM) -> None:
    code = amo.consent()
    amo.advance(20 * 60 + 1)
    assert hint(by_code(amo, code)) == (400, "Authorization code has expired")


@pytest.mark.parametrize(
    ("more", "status", "text"),
    [
        ({"client_id": ...}, 400, "Check the `client_id` parameter"),
        ({"client_secret": ...}, 400, "Check the `client_secret` parameter"),
        ({"client_secret": "wrong"}, 401, "Некорректный клиент"),
        ({"client_id": "wrong"}, 401, "Некорректный клиент"),
        ({"redirect_uri": "https://elsewhere.example.com/"}, 400, "Redirect URI is not associated with client"),
        ({"redirect_uri": ...}, 400, "Redirect URI is not associated with client"),
        ({"grant_type": "password"}, 400, "Check the `grant_type` parameter"),
    ],
)
def test_a_wrong_configuration_has_its_own_hints(amo: AmoCRM, more: dict[str, Any], status: int, text: str) -> None:
    assert hint(exchange(amo, **({"grant_type": "authorization_code", "code": amo.consent()} | more))) == (status, text)
    assert len(amo.violations) == 1


def test_what_is_no_code_or_is_of_another_account(amo: AmoCRM) -> None:
    assert hint(by_code(amo, "garbage")) == (400, "Cannot decrypt the authorization code")
    assert hint(by_refresh(amo, "garbage")) == (401, "Cannot decrypt the refresh token")
    with AmoCRM(account_id=27182818) as other:
        assert hint(by_code(amo, other.consent())) == (400, "Invalid account")
        assert hint(by_refresh(amo, other.grant().refresh)) == (401, "Invalid account")


def test_a_strict_refresh_token_serves_once(amo: AmoCRM) -> None:
    old = amo.grant()
    new = by_refresh(amo, old.refresh).json()
    assert hint(by_refresh(amo, old.refresh)) == (401, "Token has been revoked")
    assert App(amo, new["access_token"]).ask("GET", "/api/v4/account").status_code == 200
    assert App(amo, old.access).ask("GET", "/api/v4/account").status_code == 200
    assert by_refresh(amo, new["refresh_token"]).status_code == 200


def test_refreshing_may_kill_the_old_access_token(amo: AmoCRM) -> None:
    amo.account.refresh_kills_access = True
    old = amo.grant()
    by_refresh(amo, old.refresh)
    assert App(amo, old.access).ask("GET", "/api/v4/account").status_code == 401


def test_grace_lets_a_lost_reply_be_repeated(amo: AmoCRM) -> None:
    amo.refresh_mode("grace")
    old = amo.grant()
    amo.faults.next("POST", TOKEN, Fault.cut(effect=True))
    with pytest.raises(requests.ConnectionError):
        by_refresh(amo, old.refresh)
    new = by_refresh(amo, old.refresh).json()
    assert App(amo, new["access_token"]).ask("GET", "/api/v4/account").status_code == 200
    assert hint(by_refresh(amo, old.refresh)) == (401, "Token has been revoked")


def test_a_lost_reply_is_the_end_where_it_is_strict(amo: AmoCRM) -> None:
    old = amo.grant()
    amo.faults.next("POST", TOKEN, Fault.cut(effect=True))
    with pytest.raises(requests.ConnectionError):
        by_refresh(amo, old.refresh)
    assert hint(by_refresh(amo, old.refresh)) == (401, "Token has been revoked")


def test_of_parallel_refreshes_one_wins(amo: AmoCRM) -> None:
    old = amo.grant()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: by_refresh(amo, old.refresh).status_code, range(4)))
    assert sorted(answers) == [200, 401, 401, 401]


def test_expired_and_revoked_tokens(amo: AmoCRM, app: App) -> None:
    old = amo.grant()
    amo.expire()
    answer = app.ask("GET", "/api/v4/account")
    assert (answer.status_code, answer.json()["title"]) == (401, "Unauthorized")
    assert by_refresh(amo, old.refresh).status_code == 200
    last = amo.grant()
    forever = amo.long_lived_token()
    assert App(amo, forever).ask("GET", "/api/v4/account").status_code == 200
    amo.revoke()
    assert App(amo, last.access).ask("GET", "/api/v4/account").status_code == 401
    assert App(amo, forever).ask("GET", "/api/v4/account").status_code == 401
    assert hint(by_refresh(amo, last.refresh)) == (401, "Token has been revoked")
    assert by_code(amo, amo.consent()).status_code == 200
    assert amo.violations == []


def test_tokens_age(amo: AmoCRM) -> None:
    pair = amo.grant()
    forever = amo.long_lived_token()
    amo.advance(86401)
    assert App(amo, pair.access).ask("GET", "/api/v4/account").status_code == 401
    assert App(amo, forever).ask("GET", "/api/v4/account").status_code == 200
    amo.advance(90 * 86400)
    assert hint(by_refresh(amo, pair.refresh)) == (401, "Token has expired")


@pytest.mark.parametrize("header", ["", "garbage", "Bearer garbage", "Token {}", "bearer {}", "{}"])
def test_a_token_is_a_bearer_in_the_header(amo: AmoCRM, header: str) -> None:
    headers = {"Authorization": header.format(amo.grant().access)}
    answer = requests.get(f"{amo.url}/api/v4/account", headers=headers, timeout=5)
    assert (answer.status_code, answer.json()["detail"]) == (401, "Invalid user name or password")


def test_secrets_in_wrong_places_are_noticed(amo: AmoCRM, app: App) -> None:
    app.good("GET", "/api/v4/account", client_secret=amo.client_secret, token=app.token)
    assert [each.what for each in amo.violations] == [
        "client_secret was sent to the API",
        "a token was sent in the address",
        "unknown parameters ['client_secret', 'token']",
    ]


def test_the_token_of_a_dismissed_user_is_worth_nothing(amo: AmoCRM) -> None:
    app = App(amo, amo.grant(8).access)
    assert app.good("GET", "/api/v4/account")["current_user_id"] == 8
    amo.dismiss(8)
    assert app.ask("GET", "/api/v4/account").status_code == 401


def test_a_renamed_account_is_found_by_its_api_domain(amo: AmoCRM) -> None:
    pair = amo.grant()
    old = amo.url
    amo.rename()
    assert amo.url != old
    assert requests.get(f"{old}/api/v4/account", timeout=5).status_code == 404
    assert requests.post(old + TOKEN, json={}, timeout=5).status_code == 404
    where = f"http://{amo.api_domain}/oauth2/account/current/subdomain"
    answer = requests.get(where, headers={"X-Refresh-Token": pair.refresh}, timeout=5).json()
    assert answer == {"id": amo.account_id, "subdomain": "evrotelnew", "domain": amo.address}
    assert requests.get(where, timeout=5).status_code == 401
    assert App(amo, pair.access).good("GET", "/api/v4/account")["subdomain"] == "evrotelnew"
    second = amo.url
    amo.rename(old=401)
    assert requests.get(f"{second}/api/v4/account", timeout=5).status_code == 401


def test_disposable_tokens(amo: AmoCRM) -> None:
    def claims(token: str) -> dict[str, Any]:
        audience = "https://connector.example.com"
        read: dict[str, Any] = jwt.decode(token, amo.client_secret, algorithms=["HS256"], audience=audience)
        return read

    mine = claims(amo.disposable_token(8))
    assert (mine["iss"], mine["account_id"], mine["user_id"]) == (amo.url, amo.account_id, 8)
    assert (mine["client_uuid"], mine["is_admin"], mine["exp"] - mine["iat"]) == (amo.client_id, False, 1800)
    assert "is_admin" not in claims(amo.disposable_token(is_admin=None))
    assert claims(amo.disposable_token(account_id=5))["account_id"] == 5
    with pytest.raises(jwt.InvalidSignatureError):
        claims(amo.disposable_token(key="another secret, as long as a secret must be"))
    for algorithm in ("none", "HS512", "RS256"):
        with pytest.raises(jwt.InvalidAlgorithmError):
            claims(amo.disposable_token(algorithm=algorithm))


def test_the_hook_of_an_uninstall(amo: AmoCRM, app: App) -> None:
    seen: list[Request] = []

    def hook(request: Request) -> Response:
        seen.append(request)
        return Response(b"")

    with Loopback(hook) as server:
        assert amo.uninstall(f"{server.url}/uninstalled") == 200
    told = f"{amo.client_id}|{amo.account_id}".encode()
    signature = hmac.new(amo.client_secret.encode(), told, hashlib.sha256).hexdigest()
    assert seen[0].query == f"client_uuid={amo.client_id}&account_id={amo.account_id}&signature={signature}"
    assert app.ask("GET", "/api/v4/account").status_code == 401


# --- The account ----------------------------------------------------------------------------------------------------


def test_the_account(amo: AmoCRM, app: App) -> None:
    account = app.good("GET", "/api/v4/account", **{"with": "task_types,datetime_settings"})
    assert (account["id"], account["is_unsorted_on"]) == (31415926, True)
    assert set(account["_embedded"]) == {"task_types", "datetime_settings"}
    with AmoCRM(unsorted=False) as other:
        assert App(other, other.grant().access).good("GET", "/api/v4/account")["is_unsorted_on"] is False


def test_users_are_for_administrators(amo: AmoCRM, app: App) -> None:
    amo.dismiss(9)
    listed = app.good("GET", "/api/v4/users")
    assert (listed["_total_items"], listed["_page_count"]) == (3, 1)
    found = {each["id"]: each["rights"] for each in listed["_embedded"]["users"]}
    assert {number: rights["is_active"] for number, rights in found.items()} == {7: True, 8: True, 9: False}
    assert {number: rights["is_admin"] for number, rights in found.items()} == {7: True, 8: False, 9: False}
    assert App(amo, amo.grant(8).access).ask("GET", "/api/v4/users").status_code == 403


def test_lists_come_in_pages(amo: AmoCRM, app: App) -> None:
    for number in range(10, 15):
        amo.hire(Person(number))
    first = app.good("GET", "/api/v4/users", limit=5)
    assert [each["id"] for each in first["_embedded"]["users"]] == [7, 8, 9, 10, 11]
    following = requests.get(
        first["_links"]["next"]["href"], headers={"Authorization": f"Bearer {app.token}"}, timeout=5
    ).json()
    assert [each["id"] for each in following["_embedded"]["users"]] == [12, 13, 14]
    assert "next" not in following["_links"]
    assert app.ask("GET", "/api/v4/users", limit=5, page=3).status_code == 204
    assert app.ask("GET", "/api/v4/users", limit=251).status_code == 422


def test_fields_and_pipelines(amo: AmoCRM, app: App) -> None:
    fields = app.good("GET", "/api/v4/contacts/custom_fields")["_embedded"]["custom_fields"]
    phone = next(each for each in fields if each["code"] == "PHONE")
    assert [each["value"] for each in phone["enums"]] == ["WORK", "WORKDD", "MOB", "FAX", "HOME", "OTHER"]
    pipeline = app.good("GET", "/api/v4/leads/pipelines")["_embedded"]["pipelines"][0]
    statuses = {each["id"]: each["type"] for each in pipeline["_embedded"]["statuses"]}
    assert {142, 143} <= set(statuses)
    assert list(statuses.values()).count(1) == 1


def test_what_is_not_there(amo: AmoCRM, app: App) -> None:
    answer = app.ask("GET", "/api/v4/nothing")
    assert (answer.status_code, answer.json()["detail"]) == (404, "Cannot GET /api/v4/nothing")
    assert app.ask("GET", CALLS).status_code == 405
    assert app.ask("GET", "/api/v4/account/").status_code == 404
    assert [each.what for each in amo.violations] == ["unknown path", "wrong method", "unknown path"]


def test_bodies_are_labelled_json(amo: AmoCRM, app: App) -> None:
    headers = {"Authorization": f"Bearer {app.token}"}
    answer = requests.post(amo.url + CALLS, data={"direction": "inbound"}, headers=headers, timeout=5)
    assert answer.status_code == 415
    headers["Content-Type"] = "application/json"
    assert requests.post(amo.url + CALLS, data=b"[{", headers=headers, timeout=5).json()["detail"] == "Syntax error"
    assert requests.post(amo.url + TOKEN, data={"grant_type": "refresh_token"}, timeout=5).status_code == 415
    assert len(amo.violations) == 3


# --- Calls ----------------------------------------------------------------------------------------------------------


def test_a_call_is_attached_to_its_contact(amo: AmoCRM, app: App) -> None:
    contact = amo.add_contact("Петро", "(067) 985-39-13")
    sent = call(
        link="https://connector.example.com/r/1.mp3",
        call_status=4,
        call_result="Розмова",
        call_responsible=8,
        responsible_user_id=8,
        created_by=8,
        created_at=1_700_000_000,
        request_id="row-5",
    )
    answer = app.good("POST", CALLS, [sent])
    (added,) = answer["_embedded"]["calls"]
    assert (answer["_total_items"], answer["errors"]) == (1, [])
    assert (added["entity_id"], added["entity_type"], added["request_id"]) == (contact.id, "contact", "row-5")
    (kept,) = amo.calls
    assert (kept.id, kept.entity_type, kept.entity_id, kept.sent) == (added["id"], "contact", contact.id, sent)
    assert (kept.call_status, kept.call_responsible, kept.updated_at) == (4, 8, None)
    (note,) = app.good("GET", f"{CONTACTS}/{contact.id}/notes", **{"filter[note_type]": "call_in,call_out"})[
        "_embedded"
    ]["notes"]
    assert (note["note_type"], note["params"]["uniq"], note["created_at"]) == ("call_in", "u-1", 1_700_000_000)
    assert [each.id for each in amo.notes("contacts", contact.id)] == [note["id"]]
    assert amo.violations == []


def test_calls_are_not_told_apart(amo: AmoCRM, app: App) -> None:
    amo.add_contact("Петро", PHONE)
    app.good("POST", CALLS, [call()])
    app.good("POST", CALLS, [call()])
    assert [each.uniq for each in amo.calls] == ["u-1", "u-1"]


def _one_open_lead(amo: AmoCRM) -> tuple[str, int]:
    contact = amo.add_contact("Петро", PHONE)
    amo.add_lead(contact, closed=True)
    return "lead", amo.add_lead(contact).id


def _two_open_leads(amo: AmoCRM) -> tuple[str, int]:
    return "contact", amo.add_contact("Петро", PHONE, leads=2).id


def _lead_and_customer(amo: AmoCRM) -> tuple[str, int]:
    contact = amo.add_contact("Петро", PHONE, leads=1)
    amo.add_customer(contact)
    return "contact", contact.id


def _only_a_customer(amo: AmoCRM) -> tuple[str, int]:
    return "customer", amo.add_customer(amo.add_contact("Петро", PHONE)).id


def _company(amo: AmoCRM) -> tuple[str, int]:
    return "company", amo.add_company("Завод", PHONE).id


def _contact_before_company(amo: AmoCRM) -> tuple[str, int]:
    amo.add_company("Завод", PHONE)
    first = amo.add_contact("Петро", "80679853913")
    amo.add_contact("Павло", PHONE)
    return "contact", first.id


@pytest.mark.parametrize(
    "arrange",
    [_one_open_lead, _two_open_leads, _lead_and_customer, _only_a_customer, _company, _contact_before_company],
)
def test_what_a_call_belongs_to(amo: AmoCRM, app: App, arrange: Callable[[AmoCRM], tuple[str, int]]) -> None:
    wanted = arrange(amo)
    (added,) = app.good("POST", CALLS, [call()])["_embedded"]["calls"]
    assert (added["entity_type"], added["entity_id"]) == wanted


def test_strangers(amo: AmoCRM, app: App) -> None:
    amo.add_contact("Петро", PHONE)
    unknown = call(phone="+380500000000")
    answer = app.ask("POST", CALLS, [unknown])
    assert answer.status_code == 400
    assert answer.json() == {
        "_total_items": 0,
        "errors": [{"title": "Entity not found", "status": 263, "detail": "Entity not found", "request_id": "0"}],
        "_embedded": {"calls": []},
    }
    mixed = app.good("POST", CALLS, [unknown, call(request_id="known")])
    assert [each["request_id"] for each in mixed["errors"]] == ["0"]
    assert [each["request_id"] for each in mixed["_embedded"]["calls"]] == ["known"]
    amo.account.mixed_as_400 = True
    answer = app.ask("POST", CALLS, [unknown, call()])
    assert (answer.status_code, len(answer.json()["_embedded"]["calls"])) == (400, 1)
    assert len(amo.calls) == 2
    assert amo.violations == []


@pytest.mark.parametrize(
    ("more", "code", "path"),
    [
        ({"direction": ...}, "FieldMissing", "direction"),
        ({"duration": ...}, "FieldMissing", "duration"),
        ({"source": ...}, "FieldMissing", "source"),
        ({"phone": ...}, "FieldMissing", "phone"),
        ({"direction": "in"}, "NotSupportedChoice", "direction"),
        ({"duration": 3.0}, "InvalidType", "duration"),
        ({"duration": True}, "InvalidType", "duration"),
        ({"duration": "3"}, "InvalidType", "duration"),
        ({"duration": -1}, "InvalidRange", "duration"),
        ({"phone": ""}, "NotBlank", "phone"),
        ({"phone": 380679853913}, "InvalidType", "phone"),
        ({"uniq": None}, "NotNullable", "uniq"),
        ({"link": None}, "NotNullable", "link"),
        ({"link": "r/1.mp3"}, "InvalidUrl", "link"),
        ({"request_id": None}, "NotNullable", "request_id"),
        ({"call_status": 0}, "NotSupportedChoice", "call_status"),
        ({"call_status": 8}, "NotSupportedChoice", "call_status"),
        ({"call_status": "4"}, "InvalidType", "call_status"),
        ({"created_at": 1_700_000_000.5}, "InvalidType", "created_at"),
        ({"created_at": 1_700_000_000_000}, "InvalidRange", "created_at"),
        ({"responsible_user_id": "8"}, "InvalidType", "responsible_user_id"),
        ({"responsible_user_id": 404}, "NotSupportedChoice", "responsible_user_id"),
        ({"responsible_user_id": 9}, "NotSupportedChoice", "responsible_user_id"),
        ({"created_by": 404}, "NotSupportedChoice", "created_by"),
        ({"call_responsible": 404}, "NotSupportedChoice", "call_responsible"),
        ({"call_responsible": 1.5}, "InvalidType", "call_responsible"),
        ({"billsec": 3}, "NotSupportedField", "billsec"),
    ],
)
def test_one_bad_call_and_the_whole_batch_is_refused(
    amo: AmoCRM, app: App, more: dict[str, Any], code: str, path: str
) -> None:
    amo.dismiss(9)
    amo.add_contact("Петро", PHONE)
    request_id = "0" if "request_id" in more else "bad"
    bad = {"request_id": "bad"} | call(**more)
    assert app.complaints("POST", CALLS, [bad, call(request_id="good")]) == [(request_id, code, path)]
    assert amo.calls == []
    of_life = 404 in more.values() or 9 in more.values()
    assert [each.what for each in amo.violations] == ([] if of_life else [f"{code} {path}"])


def test_only_an_array_of_calls_is_taken(amo: AmoCRM, app: App) -> None:
    assert app.ask("POST", CALLS, call()).status_code == 400
    assert app.ask("POST", CALLS, []).json()["detail"] == "Request data can not be empty"
    assert app.ask("POST", CALLS, [call()] * 251).status_code == 400
    assert app.complaints("POST", CALLS, ["call"]) == [("0", "InvalidType", "")]


def test_an_extension_or_a_name_may_be_responsible(amo: AmoCRM, app: App) -> None:
    amo.add_contact("Петро", PHONE)
    app.good("POST", CALLS, [call(call_responsible="101", created_by=0)])
    assert amo.calls[0].call_responsible == "101"


def test_large_batches_may_time_out(amo: AmoCRM, app: App) -> None:
    amo.add_contact("Петро", PHONE)
    amo.account.calls_504_above = 50
    batch = [call(request_id=str(number)) for number in range(51)]
    assert app.ask("POST", CALLS, batch).status_code == 504
    app.good("POST", CALLS, batch[:50])
    assert len(amo.calls) == 50


def test_a_new_contact_may_be_found_late(amo: AmoCRM, app: App) -> None:
    amo.index_delay(looks=2)
    app.good("POST", CONTACTS, [{"name": "Новий", "custom_fields_values": phones(PHONE)}])
    assert [app.ask("POST", CALLS, [call()]).status_code for _ in range(3)] == [400, 400, 200]
    amo.index_delay(seconds=60, search=True)
    app.good("POST", CONTACTS, [{"name": "Новіший", "custom_fields_values": phones("+380501112233")}])
    late = call(phone="+380501112233")
    assert app.ask("POST", CALLS, [late]).status_code == 400
    assert app.ask("GET", CONTACTS, query="501112233").status_code == 204
    amo.advance(61)
    app.good("POST", CALLS, [late])
    app.good("GET", CONTACTS, query="501112233")


# --- Pop-ups --------------------------------------------------------------------------------------------------------


def test_pop_ups(amo: AmoCRM, app: App) -> None:
    contact = amo.add_contact("Петро", PHONE)

    def show(**event: Any) -> requests.Response:
        return app.ask("POST", EVENTS, {"add": [{"type": "phone_call", "phone_number": PHONE} | event]})

    answer = show(users=[7, 8])
    assert (answer.status_code, answer.content) == (202, b"")
    assert show(phone_number="+380500000000").status_code == 202
    assert [(each.phone_number, each.users, each.contact_id) for each in amo.popups] == [
        (PHONE, (7, 8), contact.id),
        ("+380500000000", None, None),
    ]
    assert amo.violations == []
    assert show(users=[404]).status_code == 400
    assert show(users=["7"]).status_code == 400
    assert show(type="sms").status_code == 400
    assert show(text="Дзвінок").status_code == 400
    assert app.ask("POST", EVENTS, [{"type": "phone_call"}]).status_code == 400
    assert app.ask("POST", EVENTS, {}).status_code == 400
    assert len(amo.popups) == 2


def test_every_request_is_remembered(amo: AmoCRM, app: App) -> None:
    app.ask("POST", CALLS, [call()])
    requests.get(f"{amo.url}/api/v4/tasks?filter[entity_id][]=1&filter[entity_id][]=2", timeout=5)
    first, second = amo.requests
    assert (first.method, first.path, first.json, first.status) == ("POST", CALLS, [call()], 400)
    assert first.headers["authorization"] == f"Bearer {app.token}"
    assert (second.query, second.status, second.host) == ({"filter[entity_id]": "1,2"}, 401, amo.address)
    assert second.at > first.at


# --- Contacts, leads, tasks, notes ----------------------------------------------------------------------------------


def test_the_search_looks_into_all_fields(amo: AmoCRM, app: App) -> None:
    contact = amo.add_contact("Петро", "+38 (067) 985-39-13", leads=1)
    other = amo.add_contact("Заявка 0679853913")
    amo.set_field(other, "EMAIL", "0679853913@example.com")
    found = app.good("GET", CONTACTS, query="679853913", **{"with": "leads"})["_embedded"]["contacts"]
    assert [each["id"] for each in found] == [contact.id, other.id]
    assert [each["id"] for each in found[0]["_embedded"]["leads"]] == [amo.leads[0].id]
    assert found[0]["custom_fields_values"][0]["values"][0]["value"] == "+38 (067) 985-39-13"
    assert found[1]["custom_fields_values"][0]["field_code"] == "EMAIL"
    empty = app.ask("GET", CONTACTS, query="500000000")
    assert (empty.status_code, empty.content) == (204, b"")
    assert app.ask("GET", "/api/v4/companies", query="679853913").status_code == 204
    assert amo.asked("GET", CONTACTS)[0].query == {"query": "679853913", "with": "leads"}


def test_contacts_and_leads_are_added(amo: AmoCRM, app: App) -> None:
    new = {"name": "Новий", "custom_fields_values": phones(PHONE), "responsible_user_id": 8, "request_id": "r"}
    (contact,) = app.good("POST", CONTACTS, [new])["_embedded"]["contacts"]
    assert contact["request_id"] == "r"
    assert (amo.contacts[0].phones, amo.contacts[0].responsible_user_id) == ([PHONE], 8)
    lead = {"name": "Угода", "_embedded": {"contacts": [{"id": contact["id"]}]}}
    (added,) = app.good("POST", "/api/v4/leads", [lead])["_embedded"]["leads"]
    assert amo.leads[0].contact_ids == [contact["id"]]
    listed = app.good("GET", "/api/v4/leads", **{"filter[id][]": [added["id"], 5]})["_embedded"]["leads"]
    assert [(each["id"], each["status_id"] in (142, 143)) for each in listed] == [(added["id"], False)]
    assert app.complaints("POST", "/api/v4/leads", [{"_embedded": {"contacts": [{"id": 5}]}}]) == [
        ("0", "NotSupportedChoice", "_embedded.contacts.0.id")
    ]
    bad = [{"field_code": "PHONE", "values": [{"value": PHONE, "enum_code": "PRIVATE"}]}]
    assert app.complaints("POST", CONTACTS, [{"name": "Новий", "custom_fields_values": bad}]) == [
        ("0", "NotSupportedChoice", "custom_fields_values.0.values.0.enum_code")
    ]


def test_contacts_and_leads_are_changed_and_read_one_by_one(amo: AmoCRM, app: App) -> None:
    contact, lead = amo.add_contact("Петро", PHONE, updated_at=1_700_000_000), amo.add_lead()
    app.good("PATCH", f"{CONTACTS}/{contact.id}", {"custom_fields_values": phones("+380501112233")})
    app.good("PATCH", f"/api/v4/leads/{lead.id}", {"status_id": 143})
    read = app.good("GET", f"{CONTACTS}/{contact.id}")
    assert (read["name"], contact.phones, read["updated_at"] > 1_700_000_000) == ("Петро", ["+380501112233"], True)
    assert app.good("GET", f"/api/v4/leads/{lead.id}")["status_id"] == 143
    amo.delete(contact)
    assert app.ask("GET", f"{CONTACTS}/{contact.id}").status_code == 204
    assert app.ask("PATCH", f"{CONTACTS}/{contact.id}", {"name": "Павло"}).status_code == 404
    assert app.ask("GET", f"{CONTACTS}/{contact.id}/notes").status_code == 404
    assert amo.violations == []
    nameless = [{"values": [{"value": PHONE}]}]
    assert app.complaints("POST", CONTACTS, [{"custom_fields_values": nameless}]) == [
        ("0", "FieldMissing", "custom_fields_values.0.field_code")
    ]


def test_companies_are_like_contacts(amo: AmoCRM, app: App) -> None:
    (added,) = app.good("POST", "/api/v4/companies", [{"name": "Завод", "custom_fields_values": phones(PHONE)}])[
        "_embedded"
    ]["companies"]
    lead = amo.add_lead(amo.companies[0], status_id=32392165)
    (found,) = app.good("GET", "/api/v4/companies", query="679853913", **{"with": "leads"})["_embedded"]["companies"]
    assert (found["id"], found["_embedded"]["leads"][0]["id"]) == (added["id"], lead.id)


def test_a_lead_with_its_contact_in_one_go(amo: AmoCRM, app: App) -> None:
    both = [{"name": "Угода", "_embedded": {"contacts": [{"name": "Новий", "custom_fields_values": phones(PHONE)}]}}]
    (first,) = app.good("POST", "/api/v4/leads/complex", both)
    assert (first["contact_id"], first["merged"], first["request_id"]) == (amo.contacts[0].id, False, ["0"])
    amo.account.merge_duplicates = True
    (second,) = app.good("POST", "/api/v4/leads/complex", both)
    assert (second["contact_id"], second["merged"]) == (first["contact_id"], True)
    assert (len(amo.contacts), len(amo.leads)) == (1, 2)
    assert app.ask("POST", "/api/v4/leads/complex", both * 51).status_code == 400


def test_tasks(amo: AmoCRM, app: App) -> None:
    contact = amo.add_contact("Петро", PHONE)
    todo = {"text": "Передзвонити", "complete_till": 1_700_000_000, "entity_id": contact.id, "entity_type": "contacts"}
    (added,) = app.good("POST", "/api/v4/tasks", [todo | {"responsible_user_id": 8}])["_embedded"]["tasks"]
    wanted = {"filter[is_completed]": 0, "filter[entity_type]": "contacts", "filter[entity_id][]": contact.id}
    (listed,) = app.good("GET", "/api/v4/tasks", **wanted)["_embedded"]["tasks"]
    assert (listed["id"], listed["responsible_user_id"], listed["task_type_id"]) == (added["id"], 8, 1)
    done = {"is_completed": True, "result": {"text": "Передзвонили"}}
    app.good("PATCH", f"/api/v4/tasks/{added['id']}", done)
    assert (amo.tasks[0].is_completed, amo.tasks[0].result) == (True, "Передзвонили")
    assert app.ask("GET", "/api/v4/tasks", **wanted).status_code == 204
    assert app.ask("PATCH", "/api/v4/tasks/5", done).status_code == 404
    assert amo.violations == []
    assert app.complaints("POST", "/api/v4/tasks", [todo | {"entity_id": 5}]) == [
        ("0", "NotSupportedChoice", "entity_id")
    ]
    assert app.complaints("POST", "/api/v4/tasks", [todo | {"complete_till": 1.5}]) == [
        ("0", "InvalidType", "complete_till")
    ]


def test_a_filter_that_filters_nothing_is_noticed(amo: AmoCRM, app: App) -> None:
    app.ask("GET", "/api/v4/tasks", **{"filter[completed]": 0})
    assert [each.what for each in amo.violations] == ["unknown parameters ['filter[completed]']"]


def test_notes(amo: AmoCRM, app: App) -> None:
    contact = amo.add_contact("Петро", PHONE)
    params = {"uniq": "u-1", "duration": 3, "source": "evrotel", "link": "", "phone": PHONE}
    note = {"entity_id": contact.id, "note_type": "call_out", "params": params}
    (added,) = app.good("POST", f"{CONTACTS}/notes", [note])["_embedded"]["notes"]
    path = f"{CONTACTS}/{contact.id}/notes"
    assert app.ask("GET", path, **{"filter[note_type]": "call_in"}).status_code == 204
    (listed,) = app.good("GET", path, **{"filter[note_type][]": ["call_in", "call_out"]})["_embedded"]["notes"]
    assert (listed["id"], listed["params"]) == (added["id"], params)
    linked = params | {"link": "https://connector.example.com/r/1.mp3"}
    app.good("PATCH", f"{path}/{added['id']}", {"params": linked})
    assert amo.notes("contacts", contact.id)[0].params == linked
    bad = note | {"params": {"uniq": "u-1", "duration": 3.5, "source": "evrotel", "link": None}}
    assert app.complaints("POST", f"{CONTACTS}/notes", [bad]) == [
        ("0", "InvalidType", "params.duration"),
        ("0", "NotNullable", "params.link"),
        ("0", "FieldMissing", "params.phone"),
    ]
    assert app.complaints("POST", f"{CONTACTS}/notes", [note | {"entity_id": 5}]) == [
        ("0", "NotSupportedChoice", "entity_id")
    ]


# --- Unsorted -------------------------------------------------------------------------------------------------------


def test_a_stranger_waits_in_unsorted(amo: AmoCRM, app: App) -> None:
    (added,) = app.good("POST", SIP, [sip()])["_embedded"]["unsorted"]
    assert (added["account_id"], added["request_id"]) == (amo.account_id, "0")
    (contact,) = added["_embedded"]["contacts"]
    assert app.ask("GET", CONTACTS, query="679853913").status_code == 204
    assert app.ask("POST", CALLS, [call()]).status_code == 400
    (listed,) = app.good("GET", "/api/v4/leads/unsorted", **{"filter[category][]": "sip"})["_embedded"]["unsorted"]
    assert (listed["uid"], listed["category"], listed["metadata"]["uniq"]) == (added["uid"], "sip", "u-1")
    amo.accept(added["uid"], user_id=8)
    assert [(each.state, each.settled_by) for each in amo.unsorted] == [("accepted", 8)]
    (found,) = app.good("GET", CONTACTS, query="679853913")["_embedded"]["contacts"]
    assert (found["id"], found["responsible_user_id"]) == (contact["id"], 8)
    (note,) = amo.call_notes()
    assert (note.entity_type, note.entity_id, note.params["uniq"]) == ("leads", amo.leads[0].id, "u-1")
    assert app.ask("GET", "/api/v4/leads/unsorted").status_code == 204
    assert app.good("POST", CALLS, [call()])["_embedded"]["calls"][0]["entity_type"] == "lead"


def test_unsorted_is_settled_over_the_api_too(amo: AmoCRM, app: App) -> None:
    first, second = app.good("POST", SIP, [sip(is_call_event_needed=False), sip(uniq="u-2")])["_embedded"]["unsorted"]
    app.good("POST", f"/api/v4/leads/unsorted/{first['uid']}/accept", {"user_id": 8, "status_id": 142})
    app.good("DELETE", f"/api/v4/leads/unsorted/{second['uid']}/decline", {"user_id": 7})
    assert [each.state for each in amo.unsorted] == ["accepted", "declined"]
    assert (amo.call_notes(), len(amo.contacts), amo.leads[0].status_id) == ([], 1, 142)
    assert app.ask("POST", f"/api/v4/leads/unsorted/{first['uid']}/accept").status_code == 404


def test_unsorted_refuses(amo: AmoCRM, app: App) -> None:
    app.good("POST", SIP, [sip()])
    assert app.complaints("POST", SIP, [sip()]) == [("0", "NotUnique", "metadata.uniq")]
    for name in ("uniq", "duration", "service_code", "phone", "called_at"):
        assert app.complaints("POST", SIP, [sip(**{name: ...})]) == [("0", "FieldMissing", f"metadata.{name}")]
    assert app.complaints("POST", SIP, [sip(uniq="u-3", call_responsible=404)]) == [
        ("0", "NotSupportedChoice", "metadata.call_responsible")
    ]
    amo.account.is_unsorted_on = False
    assert app.ask("POST", SIP, [sip(uniq="u-4")]).status_code == 400
    assert len(amo.unsorted) == 1


# --- Limits and trouble ---------------------------------------------------------------------------------------------


def test_seven_requests_in_a_second() -> None:
    with AmoCRM() as amo:
        app = App(amo, amo.grant().access)
        statuses = [app.ask("GET", "/api/v4/account").status_code for _ in range(9)]
        assert statuses == [200] * 7 + [429] * 2
        assert (amo.busiest_second(), amo.rate.refused) == (9, 2)
        amo.rate.reset()
        amo.rate.block_after, amo.rate.retry_after = 1, 5
        refused = [app.ask("GET", "/api/v4/account") for _ in range(8)][-1]
        assert (refused.status_code, refused.json()["retry_after"]) == (429, 5)
        blocked = app.ask("GET", "/api/v4/account")
        assert (blocked.status_code, blocked.headers["Content-Type"]) == (403, "text/html")
        with AmoCRM(rate=amo.rate) as other:
            assert App(other, other.grant().access).ask("GET", "/api/v4/account").status_code == 403


def test_an_unpaid_and_a_blocked_account(amo: AmoCRM, app: App) -> None:
    amo.require_payment()
    assert app.ask("GET", "/api/v4/account").status_code == 402
    amo.require_payment(False)
    amo.block()
    assert "nginx" in app.ask("GET", "/api/v4/account").text
    amo.block(False)
    app.good("GET", "/api/v4/account")


@pytest.mark.parametrize(
    ("fault", "status", "content_type", "says"),
    [
        (Fault.too_many(), 429, PROBLEM, '"retry_after": 300'),
        (Fault.too_many(None), 429, PROBLEM, "Too Many Requests"),
        (Fault.too_many_page(), 429, "text/html", "<html>"),
        (Fault.forbidden_page(), 403, "text/html", "nginx"),
        (Fault.forbidden(), 403, PROBLEM, "Forbidden"),
        (Fault.unpaid(), 402, PROBLEM, "Payment Required"),
        (Fault.unauthorized(), 401, PROBLEM, "Unauthorized"),
        (Fault.internal(), 500, PROBLEM, "trace_id"),
        (Fault.bad_gateway(), 502, "text/html", "502"),
        (Fault.unavailable(), 503, "text/html", "503"),
        (Fault.gateway_timeout(), 504, "text/html", "504"),
        (Fault.page(), 200, "text/html", "<html>"),
        (Fault.redirect(), 302, "text/html", ""),
        (Fault.not_found_page(), 404, "text/html", "404"),
        (Fault.empty(), 204, "application/json", ""),
        (Fault.empty(202), 202, "application/json", ""),
    ],
)
def test_faults_in_place_of_an_answer(app: App, fault: Fault, status: int, content_type: str, says: str) -> None:
    app.amo.add_contact("Петро", PHONE)
    app.amo.faults.next("POST", CALLS, fault)
    answer = app.ask("POST", CALLS, [call()])
    assert (answer.status_code, says in answer.text) == (status, True)
    assert answer.headers["Content-Type"].partition(";")[0] == content_type
    assert app.amo.calls == []
    assert [each.status for each in app.amo.asked("POST", CALLS)] == [status]
    app.good("POST", CALLS, [call()])


def test_a_waiting_time_in_the_header_only(amo: AmoCRM, app: App) -> None:
    amo.faults.next("GET", "*", Fault.too_many_with_header(3))
    answer = app.ask("GET", "/api/v4/account")
    assert (answer.headers["Retry-After"], "retry_after" in answer.json()) == ("3", False)


def test_broken_answers(amo: AmoCRM, app: App) -> None:
    amo.add_contact("Петро", PHONE)
    amo.faults.next("POST", CALLS, Fault.truncated())
    with pytest.raises(requests.JSONDecodeError):
        app.ask("POST", CALLS, [call()]).json()
    amo.faults.next("POST", CALLS, Fault.broken_off())
    with pytest.raises(requests.RequestException):
        app.ask("POST", CALLS, [call()])
    amo.faults.next("POST", CALLS, Fault.cut(effect=True))
    with pytest.raises(requests.ConnectionError):
        app.ask("POST", CALLS, [call()])
    assert len(amo.calls) == 3
    amo.faults.next("POST", CALLS, Fault.cut())
    with pytest.raises(requests.ConnectionError):
        app.ask("POST", CALLS, [call()])
    assert len(amo.calls) == 3
    assert [each.status for each in amo.asked("POST", CALLS)] == [200, 200, None, None]


def test_slow_answers(amo: AmoCRM, app: App) -> None:
    for after in (False, True):
        amo.faults.next("GET", "*", Fault.latency(0.1, after=after))
        began = time.monotonic()
        assert app.good("GET", "/api/v4/account")["id"] == amo.account_id
        assert time.monotonic() - began >= 0.1


def test_silence_ends_when_it_is_cleared(amo: AmoCRM, app: App) -> None:
    amo.add_contact("Петро", PHONE)
    with amo.faults.always("POST", CALLS, Fault.silence(effect=True)), pytest.raises(requests.ReadTimeout):
        requests.post(
            amo.url + CALLS, json=[call()], headers={"Authorization": f"Bearer {app.token}"}, timeout=(1, 0.1)
        )
    assert len(amo.calls) == 1
    amo.faults.next("GET", "*", Fault.silence())
    ended: list[str] = []

    def waits() -> None:
        try:
            app.ask("GET", "/api/v4/account")
        except requests.ConnectionError as error:
            ended.append(type(error).__name__)

    thread = threading.Thread(target=waits)
    thread.start()
    assert amo.wait_until(lambda: amo.asked("GET", "/api/v4/account"))
    amo.faults.clear()
    thread.join(5)
    assert ended == ["ConnectionError"]
    amo.faults.next("GET", "*", Fault.silence(0.05))
    with pytest.raises(requests.ConnectionError):
        app.ask("GET", "/api/v4/account")


def test_faults_come_in_order(amo: AmoCRM, app: App) -> None:
    amo.faults.always("*", "/api/*", Fault.internal())
    amo.faults.next("GET", "/api/v4/account", Fault.bad_gateway())
    amo.faults.next("GET", "/api/v4/account", Fault.unavailable(), times=2)
    assert [app.ask("GET", "/api/v4/account").status_code for _ in range(5)] == [502, 503, 503, 500, 500]
    amo.faults.clear()
    app.good("GET", "/api/v4/account")
    with amo.faults.always("POST", TOKEN, Fault.bad_gateway()):
        assert by_refresh(amo, amo.grant().refresh).status_code == 502
    assert by_refresh(amo, amo.grant().refresh).status_code == 200


def test_an_account_that_is_down(amo: AmoCRM, app: App) -> None:
    amo.go_down()
    with pytest.raises(requests.ConnectionError):
        app.ask("GET", "/api/v4/account")
    amo.come_up()
    app.good("GET", "/api/v4/account")


def test_two_accounts_side_by_side(amo: AmoCRM, app: App) -> None:
    with AmoCRM(account_id=27182818) as other:
        assert App(other, app.token).ask("GET", "/api/v4/account").status_code == 401
        assert App(other, other.grant().access).good("GET", "/api/v4/account")["id"] == 27182818
