"""The emulated Bitrix24 refuses, does and remembers what the real one would."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import requests

from tests.emulators.bitrix24 import OPTIONAL_KEYS, Bitrix24
from tests.emulators.bitrix24.php import build_form, parse_form
from tests.emulators.evrotel import Recordings, wav
from tests.emulators.http import Loopback, Request, Response

REGISTER = "telephony.externalCall.register"
FINISH = "telephony.externalCall.finish"
ATTACH = "telephony.externalCall.attachRecord"
STATISTIC = "voximplant.statistic.get"
CLIENT = "+380679853913"
NOT_FOUND = "Call is not found (call should be registered prior to finishing"


@dataclass
class App:
    """The application's side: calls methods with one user's token."""

    b24: Bitrix24
    token: str

    def call(self, method: str, /, **params: Any) -> tuple[int, dict[str, Any]]:
        answer = requests.post(
            f"{self.b24.portal_url}/rest/{method}",
            json={**params, "auth": self.token},
            timeout=10,
            allow_redirects=False,
        )
        body: dict[str, Any] = answer.json()
        return answer.status_code, body

    def result(self, method: str, /, **params: Any) -> Any:
        status, body = self.call(method, **params)
        assert status == 200, body
        assert "error" not in body, body
        return body["result"]

    def refusal(self, method: str, /, **params: Any) -> tuple[int, str, str]:
        status, body = self.call(method, **params)
        return status, body["error"], body["error_description"]

    def register(self, external_id: str = "a-1", **more: Any) -> str:
        params = {"USER_ID": 2, "PHONE_NUMBER": CLIENT, "TYPE": 2, "EXTERNAL_CALL_ID": external_id, "SHOW": 1, **more}
        return str(self.result(REGISTER, **params)["CALL_ID"])

    def finish(self, call_id: str, **more: Any) -> Any:
        return self.result(FINISH, CALL_ID=call_id, **{"USER_ID": 2, "DURATION": 5, "ADD_TO_CHAT": 0, **more})


@pytest.fixture
def b24() -> Iterator[Bitrix24]:
    with Bitrix24(rate_limit=False) as portal:
        yield portal


@pytest.fixture
def app(b24: Bitrix24) -> App:
    return App(b24, b24.issue_token().access)


# --- Who may call ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "code"), [("", "NO_AUTH_FOUND"), ("garbage", "NO_AUTH_FOUND"), ("0" * 70, "invalid_token")]
)
def test_unknown_tokens_are_refused(b24: Bitrix24, token: str, code: str) -> None:
    assert App(b24, token).refusal("profile")[:2] == (401, code)


def test_expired_token(b24: Bitrix24, app: App) -> None:
    b24.advance(3601)
    assert app.refusal("profile")[:2] == (401, "expired_token")


def test_all_tokens_can_be_expired_at_once(b24: Bitrix24, app: App) -> None:
    b24.expire_access_tokens()
    assert app.refusal("profile")[:2] == (401, "expired_token")


def test_deleted_application_loses_all(b24: Bitrix24, app: App) -> None:
    b24.add_line("380441234567")
    b24.revoke_application()
    assert app.refusal("profile")[:2] == (401, "ERROR_OAUTH")
    b24.restore_application()
    assert app.refusal("profile")[:2] == (401, "ERROR_OAUTH")
    assert App(b24, b24.issue_token().access).result("telephony.externalLine.get") == []


def test_dismissed_user_and_unpaid_portal(b24: Bitrix24, app: App) -> None:
    b24.require_payment()
    assert app.refusal("profile")[:2] == (401, "PAYMENT_REQUIRED")
    b24.require_payment(False)
    b24.dismiss(1)
    assert app.refusal("profile")[:2] == (401, "authorization_error")


@pytest.mark.parametrize(
    ("method", "scope"),
    [
        (REGISTER, "telephony"),
        (STATISTIC, "telephony"),
        ("user.get", "user_basic"),
        ("im.notify", "im"),
        ("placement.bind", "placement"),
        ("crm.activity.todo.add", "crm"),
        ("bizproc.robot.add", "bizproc"),
    ],
)
def test_scopes_of_the_token_decide(method: str, scope: str) -> None:
    granted = {"telephony", "crm", "user_basic", "im", "placement", "bizproc"} - {scope}
    with Bitrix24(scopes=granted) as portal:
        app = App(portal, portal.issue_token().access)
        portal.account.scopes.add(scope)  # ticked later: the old token does not get it
        assert app.refusal(method)[:2] == (401, "insufficient_scope")
        batch = app.result("batch", cmd={"a": method})
        assert batch["result_error"]["a"] == {"error": "insufficient_scope", "error_description": ""}


def test_token_in_query_body_or_header(b24: Bitrix24, app: App) -> None:
    url = f"{b24.portal_url}/rest/Profile.json"  # names are case-insensitive
    assert requests.get(url, params={"auth": app.token}, timeout=5).status_code == 200
    assert requests.post(url, data={"access_token": app.token}, timeout=5).status_code == 200
    assert requests.get(url, headers={"Authorization": f"Bearer {app.token}"}, timeout=5).status_code == 200
    assert requests.get(f"{b24.portal_url}/rest/1/secret/profile", timeout=5).json()["error"] == "INVALID_CREDENTIALS"


def test_unknown_method(app: App) -> None:
    assert app.refusal("crm.nonsense") == (404, "ERROR_METHOD_NOT_FOUND", "Method not found!")


def test_json_must_be_labelled_and_well_formed(b24: Bitrix24, app: App) -> None:
    url = f"{b24.portal_url}/rest/im.notify?auth={app.token}"
    for body, label in (("{", "application/json"), ('{"USER_ID": 1}', "text/plain")):
        answer = requests.post(url, data=body, headers={"Content-Type": label}, timeout=5)
        assert answer.json()["error"] == "USER_ID_EMPTY"
    assert any("malformed" in violation.what for violation in b24.violations)


# --- OAuth ----------------------------------------------------------------------------------------------------------


def refresh(b24: Bitrix24, refresh_token: str, **more: str) -> requests.Response:
    params = {"grant_type": "refresh_token", "client_id": b24.client_id, "client_secret": b24.client_secret}
    return requests.get(
        f"{b24.oauth_url}/oauth/token/", params={**params, "refresh_token": refresh_token, **more}, timeout=5
    )


def test_refresh_rotates(b24: Bitrix24) -> None:
    first = b24.issue_token(user_id=2)
    b24.expire_access_tokens()
    pair = refresh(b24, first.refresh).json()
    assert pair["client_endpoint"] == f"{b24.portal_url}/rest/"
    assert (pair["member_id"], pair["user_id"], pair["expires_in"]) == (b24.member_id, 2, 3600)
    assert App(b24, pair["access_token"]).result("profile")["ID"] == "2"
    again = refresh(b24, first.refresh)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert refresh(b24, pair["refresh_token"]).status_code == 200
    assert [(each.needed, each.error) for each in b24.refreshes] == [
        (True, None),
        (True, "invalid_grant"),
        (False, None),  # the second one for one expiry
    ]


def test_refresh_refusals(b24: Bitrix24) -> None:
    good = b24.issue_token().refresh
    wrong = refresh(b24, good, client_secret="wrong")
    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_client")
    b24.oauth.wrong_client_as_200 = True
    wrong = refresh(b24, good, client_secret="wrong")
    assert (wrong.status_code, wrong.json()["error"]) == (200, "wrong_client")
    assert refresh(b24, "").json()["error"] == "invalid_request"
    b24.advance(181 * 86400)
    assert refresh(b24, good).json()["error"] == "invalid_grant"


def test_authorization_code_serves_once(b24: Bitrix24) -> None:
    code = b24.oauth.issue_code(1)
    first = refresh(b24, "", grant_type="authorization_code", code=code)
    assert first.json()["user_id"] == 1
    assert refresh(b24, "", grant_type="authorization_code", code=code).json()["error"] == "invalid_grant"


def test_oauth_tells_whose_token_it_is(b24: Bitrix24, app: App) -> None:
    answer = requests.get(f"{b24.oauth_url}/rest/app.info", params={"auth": app.token}, timeout=5).json()["result"]
    assert answer["client_id"] == b24.client_id
    assert answer["install"]["member_id"] == b24.member_id
    assert answer["install"]["domain"] == b24.portal
    forged = requests.get(f"{b24.oauth_url}/rest/app.info", params={"auth": "x"}, timeout=5)
    assert forged.status_code == 401


def test_client_secret_on_the_portal_is_reported(b24: Bitrix24, app: App) -> None:
    app.call("profile", client_secret=b24.client_secret)
    assert any("client_secret" in violation.what for violation in b24.violations)


# --- Calls ----------------------------------------------------------------------------------------------------------


def test_a_call_from_start_to_record(b24: Bitrix24, app: App) -> None:
    contact = b24.add_contact("Марія", "+380 67 985 39 13", assigned_by_id=3)
    call_id = app.register(LINE_NUMBER="380441234567")
    assert call_id.startswith("externalCall.")
    done = app.finish(call_id, STATUS_CODE="200", DURATION=78)
    assert (done["CALL_DURATION"], done["CALL_STATUS"], done["CALL_FAILED_CODE"]) == (78, 1, "200")
    assert (done["CRM_ENTITY_TYPE"], done["CRM_ENTITY_ID"]) == ("CONTACT", contact.id)
    tone = wav()
    attached = app.result(ATTACH, CALL_ID=call_id, FILENAME="a.wav", FILE_CONTENT=base64.b64encode(tone).decode())
    assert attached["FILE_ID"]
    [call] = b24.finished_calls()
    assert (call.record, call.record_name, call.shown_to, len(call.activities)) == (tone, "a.wav", [2], 1)
    assert contact.assigned_by_id == 3
    assert b24.violations == []


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"USER_ID": None}, "USER_ID or USER_PHONE_INNER should be set"),
        ({"USER_ID": None, "USER_PHONE_INNER": "999"}, "USER_ID or USER_PHONE_INNER should be set"),
        ({"USER_ID": 77}, "User is not found or is not active"),
        ({"TYPE": 6}, "Unknown TYPE"),
        ({"CALL_START_DATE": "yesterday"}, "CALL_START_DATE should be in the ISO-8601 format"),
        ({"PHONE_NUMBER": "anonymous"}, "Unsupported phone number format"),
    ],
)
@pytest.mark.parametrize("mode", ["", "ERROR_CORE"])
def test_register_refusals(b24: Bitrix24, app: App, wrong: dict[str, Any], text: str, mode: str) -> None:
    b24.account.error_code_mode = mode
    params = {"USER_ID": 2, "PHONE_NUMBER": CLIENT, "TYPE": 2, "EXTERNAL_CALL_ID": "a", **wrong}
    assert app.refusal(REGISTER, **params) == (400, mode, text)
    assert b24.calls == []


def test_repeated_register_gives_the_same_call_while_it_goes_on(b24: Bitrix24, app: App) -> None:
    first = app.register("a-1")
    assert app.register("a-1") == first
    assert app.register("a-2") != first
    app.finish(first)
    assert app.register("a-1") != first
    assert [len(calls) for calls in b24.calls_by_external_id().values()] == [2, 1]


def test_register_dedupe_looks_at_the_call_start_date(app: App) -> None:
    old = (datetime.now(UTC) - timedelta(minutes=31)).isoformat()
    assert app.register("a-1", CALL_START_DATE=old) != app.register("a-1", CALL_START_DATE=old)


def test_parallel_calls_without_external_id_share_a_call(b24: Bitrix24, app: App) -> None:
    first, second = app.register(""), app.register("")
    assert first == second
    app.finish(first)
    assert app.refusal(FINISH, CALL_ID=second, USER_ID=2) == (400, "", NOT_FOUND)
    assert b24.calls[0].finishes_refused == 1


def test_register_reports_carelessness(b24: Bitrix24, app: App) -> None:
    app.register("", SHOW="False", PHONE_NUMBER="0679853913", CALL_START_DATE="2026-03-10T11:19:38", Show_=1)
    assert b24.calls[0].show, 'the string "False" is true in PHP'
    reported = " ".join(violation.what for violation in b24.violations)
    for hint in ("EXTERNAL_CALL_ID", "SHOW must be 0 or 1", "without a plus", "without a zone", "parameter Show_"):
        assert hint in reported


def test_flags_are_ints_in_json_and_digits_in_forms(b24: Bitrix24, app: App) -> None:
    fields = {"USER_ID": 2, "PHONE_NUMBER": CLIENT, "TYPE": 2, "EXTERNAL_CALL_ID": "f", "SHOW": 0, "auth": app.token}
    requests.post(f"{b24.portal_url}/rest/{REGISTER}", data=fields, timeout=5)
    app.result("batch", cmd={"a": f"{REGISTER}?{urlencode({**fields, 'EXTERNAL_CALL_ID': 'g'})}"})
    assert b24.violations == []
    assert [call.shown_to for call in b24.calls] == [[], []]
    app.register("h", SHOW="0")
    assert len(b24.violations) == 1


def test_unknown_number_makes_a_lead_only_when_asked(b24: Bitrix24, app: App) -> None:
    assert app.finish(app.register("a", CRM_CREATE=0))["ERRORS"]["ACTIVITY_CREATION"]
    assert b24.account.entities == []
    call_id = app.register("b", CRM_CREATE=1, USER_ID=3)
    app.finish(call_id, USER_ID=2)
    [lead] = b24.account.entities
    assert (lead.type, lead.phones, lead.assigned_by_id) == ("LEAD", (CLIENT,), 2)
    answer = app.result(REGISTER, USER_ID=2, PHONE_NUMBER=CLIENT, TYPE=2, CRM_CREATE=1, EXTERNAL_CALL_ID="c")
    assert (answer["CRM_CREATED_LEAD"], answer["CRM_ENTITY_ID"]) == (None, lead.id)


def test_line_and_inner_numbers_forbid_leads(b24: Bitrix24, app: App) -> None:
    b24.add_line("380441234567", crm_auto_create="N")
    app.register("a", TYPE=1, CRM_CREATE=1, LINE_NUMBER="380441234567")
    app.register("b", PHONE_NUMBER="102", CRM_CREATE=1)
    assert b24.account.entities == []


def test_finish_checks_in_order(b24: Bitrix24, app: App) -> None:
    assert app.refusal(FINISH, CALL_ID=7)[2] == "USER_ID or USER_PHONE_INNER should be set"
    assert app.refusal(FINISH, CALL_ID=7, USER_ID=77)[2] == "User is not found or is not active"
    assert app.refusal(FINISH, CALL_ID=7, USER_ID=2)[1:] == ("INVALID_ARGUMENT", "CALL_ID must be a string")
    assert app.refusal(FINISH, CALL_ID="nope", USER_ID=2)[2] == NOT_FOUND
    foreign = b24.add_foreign_call()
    assert app.refusal(FINISH, CALL_ID=foreign.call_id, USER_ID=2)[2] == NOT_FOUND


def test_second_finish_changes_nothing(b24: Bitrix24, app: App) -> None:
    b24.add_contact("Марія", CLIENT)
    call_id = app.register()
    app.finish(call_id)
    assert app.refusal(FINISH, CALL_ID=call_id, USER_ID=3, DURATION=99) == (400, "", NOT_FOUND)
    [call] = b24.finished_calls()
    assert (call.duration, call.finished_by, call.finishes_accepted, call.finishes_refused) == (5, 2, 1, 1)
    assert len(b24.account.activities) == 1


def test_missed_calls_until_somebody_calls_back(b24: Bitrix24, app: App) -> None:
    app.finish(app.register("in"), DURATION=0)
    assert (b24.calls[0].missed, b24.calls[0].status_code, b24.calls[0].called_back) == (True, "304", False)
    app.finish(app.register("out", TYPE=1), DURATION=9)
    assert b24.calls[0].called_back
    app.finish(app.register("odd"), DURATION=9, STATUS_CODE="304")
    assert any("304" in violation.what for violation in b24.violations)


def test_show_and_hide(b24: Bitrix24, app: App) -> None:
    call_id = app.register(SHOW=0)
    assert app.result("telephony.externalCall.show", CALL_ID=call_id, USER_ID=[2, 3]) is True
    assert app.result("telephony.externalCall.hide", CALL_ID=call_id, USER_ID=3) is True
    assert (b24.calls[0].shown_to, b24.calls[0].hidden_from) == ([2, 3], [3])
    assert app.result("telephony.externalCall.show", CALL_ID="nope") is False


def test_statistic_lists_only_finished_calls(b24: Bitrix24, app: App) -> None:
    first, second = app.register("a-1"), app.register("a-2")
    app.finish(second, DURATION=42)
    assert app.result(STATISTIC, FILTER={"CALL_ID": first}) == []
    [row] = app.result(STATISTIC, FILTER={"EXTERNAL_CALL_ID": ["a-1", "a-2"]})
    assert (row["CALL_ID"], row["CALL_DURATION"], row["CALL_TYPE"], row["CALL_FAILED_CODE"]) == (
        second,
        "42",
        "2",
        "200",
    )
    plain = App(b24, b24.issue_token(user_id=2).access)
    assert plain.refusal(STATISTIC)[:2] == (403, "ACCESS_DENIED")


def test_search_and_lines(b24: Bitrix24, app: App) -> None:
    b24.add_entity("COMPANY", "Ромашка", CLIENT)
    b24.add_contact("Марія", CLIENT, assigned_by_id=2)
    found = app.result("telephony.externalCall.searchCrmEntities", PHONE_NUMBER="0679853913")
    assert [each["CRM_ENTITY_TYPE"] for each in found] == ["CONTACT", "COMPANY"]
    assert found[0]["ASSIGNED_BY"]["USER_PHONE_INNER"] == "101"
    assert app.refusal("telephony.externalCall.searchCrmEntities")[2] == "PHONE_NUMBER is empty"
    assert app.result("telephony.externalLine.add", NUMBER="380441", NAME="Продажі")["ID"]
    assert app.refusal("telephony.externalLine.add", NUMBER="380441")[2] == "Line already exists"
    assert app.refusal("telephony.externalLine.update", NUMBER="380441")[2] == "There are no fields to update"
    assert app.result("telephony.externalLine.update", NUMBER="380441", CRM_AUTO_CREATE="N")
    assert app.result("telephony.externalLine.get") == [{"NUMBER": "380441", "NAME": "Продажі", "CRM_AUTO_CREATE": "N"}]


# --- Recordings -----------------------------------------------------------------------------------------------------


def test_attach_by_address_really_downloads(b24: Bitrix24, app: App) -> None:
    call_id = app.register()
    with Recordings() as host:
        tone = host.add("/a.wav")
        host.error("/broken.wav")
        host.html("/page.mp3")
        host.add("/a.ogg")
        host.redirect("/moved.wav", host.address("/a.wav"))
        early = app.refusal(ATTACH, CALL_ID=call_id, RECORD_URL=host.address("/a.wav"))
        assert early[2] == "Call is not found in the statistic table. Looks like it is not finished yet."
        assert host.request_count() == 0
        app.finish(call_id)
        assert app.refusal(ATTACH, CALL_ID=call_id, RECORD_URL=host.address("/broken.wav"))[2].endswith("code 500")
        assert app.refusal(ATTACH, CALL_ID=call_id, RECORD_URL=host.address("/none.wav"))[2].endswith("code 404")
        assert app.refusal(ATTACH, CALL_ID=call_id, RECORD_URL=host.address("/a.ogg"))[2].startswith("Wrong file")
        assert app.result(ATTACH, CALL_ID=call_id, RECORD_URL=host.address("/moved.wav"))["FILE_ID"]
        assert b24.calls[0].record == tone
        app.result(ATTACH, CALL_ID=call_id, RECORD_URL=host.address("/page.mp3"))
    assert b24.calls[0].records_attached == 2
    assert [violation.method for violation in b24.violations] == [ATTACH]


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({}, "Required parameters are not set. Request should contain or URL or FILENAME parameter"),
        ({"FILENAME": "", "FILE_CONTENT": "UklGRg=="}, "File name is empty"),
        ({"FILENAME": "a.ogg", "FILE_CONTENT": "UklGRg=="}, "Wrong file extension. Only wav and mp3 are allowed"),
        ({"FILENAME": "a.mp3", "FILE_CONTENT": ""}, "File content is empty."),
        (
            {"FILENAME": "a.mp3", "FILE_CONTENT": "не base64"},
            "File content is not properly encoded. Base64 encoding is expected.",
        ),
    ],
)
def test_attach_refusals(app: App, params: dict[str, str], text: str) -> None:
    call_id = app.register()
    app.finish(call_id)
    assert app.refusal(ATTACH, CALL_ID=call_id, **params) == (400, "", text)


def test_attach_by_upload(b24: Bitrix24, app: App) -> None:
    call_id = app.register()
    app.finish(call_id)
    place = app.result(ATTACH, CALL_ID=call_id, FILENAME="a.wav")
    tone = wav() + b"\r\n--odd\r"
    answer = requests.post(place["uploadUrl"], files={place["fieldName"]: ("a.wav", tone)}, timeout=5)
    assert answer.json()["result"]["FILE_ID"] == b24.calls[0].record_file_id
    assert b24.calls[0].record == tone
    forged = place["uploadUrl"].replace(quote(call_id, safe=""), "other")
    assert requests.post(forged, files={"file": ("a.wav", tone)}, timeout=5).status_code == 403


# --- Batches --------------------------------------------------------------------------------------------------------


def test_batch_carries_results_forward(b24: Bitrix24, app: App) -> None:
    register = {"USER_ID": 2, "PHONE_NUMBER": CLIENT, "TYPE": 2, "SHOW": 0, "EXTERNAL_CALL_ID": "late"}
    finish = "CALL_ID=$result[r][CALL_ID]&USER_ID=2&DURATION=7&ADD_TO_CHAT=0"
    answer = app.result("batch", halt=1, cmd={"r": f"{REGISTER}?{urlencode(register)}", "f": f"{FINISH}?{finish}"})
    assert answer["result"]["f"]["CALL_DURATION"] == 7
    assert (answer["result_error"], answer["result_total"], answer["result_next"]) == ([], [], [])
    assert "operating" in answer["result_time"]["r"]
    assert b24.finished_calls()[0].external_call_id == "late"
    assert b24.request_count() == b24.request_count("batch") == 1
    assert b24.invocation_count(FINISH, failed=False) == 1


def test_batch_errors_concern_their_own_command(b24: Bitrix24, app: App) -> None:
    commands = {"a": f"{FINISH}?CALL_ID=x&USER_ID=2", "b": "profile", "c": "nonsense", "d": "batch"}
    answer = app.result("batch", cmd=commands)
    assert answer["result_error"]["a"] == {"error": "", "error_description": NOT_FOUND}
    assert [answer["result_error"][key]["error"] for key in "cd"] == [
        "ERROR_METHOD_NOT_FOUND",
        "ERROR_BATCH_METHOD_NOT_ALLOWED",
    ]
    assert answer["result"]["b"]["ID"] == "1"
    halted = app.result("batch", cmd=commands, halt=1)
    assert halted["result"] == []


def test_batch_list_length_and_form_encoding(b24: Bitrix24, app: App) -> None:
    answer = app.result("batch", cmd=["profile"] * 51)
    assert isinstance(answer["result"], list)
    assert len(answer["result"]) == 50
    assert answer["result_error"]["50"]["error"] == "ERROR_BATCH_LENGTH_EXCEEDED"
    form = build_form({"cmd": {"u": "user.get?" + build_form({"FILTER": {"ID": ["2", "3"]}})}, "auth": app.token})
    url = f"{b24.portal_url}/rest/batch"
    label = {"Content-Type": "application/x-www-form-urlencoded"}
    users = requests.post(url, data=form, headers=label, timeout=5).json()["result"]
    assert [user["ID"] for user in users["result"]["u"]] == ["2", "3"]
    assert users["result_total"] == {"u": 2}
    assert app.refusal("batch")[1] == "ERROR_ARGUMENT"


def test_php_forms_survive_a_round_trip() -> None:
    values = {"a": {"b": ["1", "2"], "c": {"d": "ї&="}}, "e": "0"}
    assert parse_form(build_form({**values, "gone": None, "empty": []})) == values
    assert parse_form("a[]=1&a[]=2&b=x+y") == {"a": ["1", "2"], "b": "x y"}


# --- Users, notices, things to do ------------------------------------------------------------------------------------


def test_users_come_in_pages(b24: Bitrix24, app: App) -> None:
    for number in range(4, 121):
        b24.add_user(number, active=number % 2 == 0)
    status, first = app.call("user.get")
    assert (status, first["total"], first["next"], len(first["result"])) == (200, 120, 50, 50)
    assert (first["result"][0]["ID"], first["result"][0]["UF_PHONE_INNER"]) == ("1", "100")
    _, last = app.call("user.get", start=100)
    assert "next" not in last
    assert len(last["result"]) == 20
    _, active = app.call("user.get", FILTER={"ACTIVE": True, "UF_PHONE_INNER": ["101", "102"]})
    assert [user["ID"] for user in active["result"]] == ["2", "3"]
    assert app.result("user.admin") is True
    assert app.result("user.current")["ID"] == "1"


def test_notices_and_todos(b24: Bitrix24, app: App) -> None:
    assert app.refusal("im.notify", MESSAGE="x")[1] == "USER_ID_EMPTY"
    assert app.refusal("im.notify", USER_ID=2)[1] == "MESSAGE_EMPTY"
    for text in ("one", "two"):
        app.result("im.notify", USER_ID=2, MESSAGE=text, TAG="evrotel|missed|1")
    assert [notice.message for notice in b24.account.notices] == ["two"]
    contact = b24.add_contact("Марія", CLIENT)
    todo = {"ownerTypeId": 3, "ownerId": contact.id, "deadline": "2026-03-10T12:00:00+02:00", "responsibleId": 2}
    assert app.result("crm.activity.todo.add", **todo)["id"] == b24.account.activities[0].id
    for wrong, code in (
        ({"ownerId": 1}, "OWNER_NOT_FOUND"),
        ({"deadline": "soon"}, "WRONG_DATETIME_FORMAT"),
        ({"deadline": ""}, "100"),
    ):
        assert app.refusal("crm.activity.todo.add", **{**todo, **wrong})[1] == code


# --- Installation and events -----------------------------------------------------------------------------------------


class Sink:
    """A receiver of events."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.server = Loopback(self.answer)

    def answer(self, request: Request) -> Response:
        assert request.content_type == "application/x-www-form-urlencoded"
        self.got.append(parse_form(request.body.decode()))
        return Response(b"ok")


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    with made.server:
        yield made


def test_install_form(b24: Bitrix24) -> None:
    query, form = b24.install_form()
    assert query["DOMAIN"] == b24.portal
    assert query["PROTOCOL"] == "0"
    assert App(b24, form["AUTH_ID"]).result("app.info")["INSTALLED"] is False
    _, old = b24.install_form(2, without=OPTIONAL_KEYS, PLACEMENT="CALL_CARD", member_id="forged")
    assert not set(OPTIONAL_KEYS) & old.keys()
    assert (old["PLACEMENT"], old["member_id"]) == ("CALL_CARD", "forged")
    assert App(b24, old["AUTH_ID"]).result("user.admin") is False


def test_events_only_after_the_installation_is_finished(b24: Bitrix24, app: App, sink: Sink) -> None:
    url = f"{sink.server.url}/events"
    for event in ("ONEXTERNALCALLSTART", "OnAppInstall"):
        assert app.result("event.bind", event=event, handler=url) is True
    early = b24.click_to_call(2, CLIENT)
    assert sink.got == []
    assert app.refusal(FINISH, CALL_ID=early.call_id)[2] == "USER_ID or USER_PHONE_INNER should be set"
    b24.install_finish()
    assert sink.got[0]["event"] == "ONAPPINSTALL"
    assert sink.got[0]["auth"]["refresh_token"]
    call = b24.click_to_call(2, "+380501112233")
    received = sink.got[1]
    assert (received["data"]["CALL_ID"], received["data"]["USER_ID"]) == (call.call_id, "2")
    assert received["auth"]["application_token"] == b24.application_token
    assert not {"access_token", "refresh_token"} & received["auth"].keys()
    assert app.finish(call.call_id)["EXTERNAL_CALL_ID"] is None


def test_any_event_can_be_sent_anywhere(b24: Bitrix24, sink: Sink) -> None:
    data = {"PHONE_NUMBER": CLIENT, "nothing": None, "flag": True}
    status, body = b24.send_event(
        sink.server.url, "ONEXTERNALCALLSTART", data, with_tokens=True, application_token="forged", scope=None
    )
    assert (status, body) == (200, b"ok")
    assert sink.got[0]["data"] == {"PHONE_NUMBER": CLIENT, "flag": "1"}
    assert sink.got[0]["auth"]["application_token"] == "forged"
    assert App(b24, sink.got[0]["auth"]["access_token"]).result("profile")["ID"] == "1"
    assert "refresh_token" not in sink.got[0]["auth"]
    assert "scope" not in sink.got[0]["auth"]


def test_event_bindings(b24: Bitrix24, app: App, sink: Sink) -> None:
    url = f"{sink.server.url}/events"
    assert app.refusal("event.bind", handler=url)[1] == "ERROR_ARGUMENT"
    assert app.refusal("event.bind", event="ONNOTHING", handler=url)[1] == "ERROR_EVENT_NOT_FOUND"
    assert app.refusal("event.bind", event="ONAPPTEST", handler="ftp://a.b/")[1] == "ERROR_UNSUPPORTED_PROTOCOL"
    assert app.refusal("event.bind", event="ONAPPTEST", handler="http://localhost/")[1] == "ERROR_WRONG_HANDLER_URL"
    assert app.result("event.bind", event="OnAppTest", handler=url) is True
    assert "already binded" in app.refusal("event.bind", event="ONAPPTEST", handler=url)[2]
    assert app.result("event.get") == [{"event": "ONAPPTEST", "handler": url, "auth_type": "0", "offline": 0}]
    b24.account.installed = True
    assert app.result("event.test", check="42") is True
    assert b24.wait_until(lambda: sink.got)
    assert sink.got[0]["data"]["QUERY"]["check"] == "42"
    sink.server.go_down()
    assert b24.fire("ONAPPTEST", {}) == [0]
    assert app.result("event.unbind", event="ONAPPTEST", handler=url) == {"count": 1}
    assert "ONEXTERNALCALLSTART" in app.result("events")
    plain = App(b24, b24.issue_token(user_id=2).access)
    assert plain.refusal("event.bind", event="ONAPPTEST", event_type="offline")[0] == 403


def test_placements(b24: Bitrix24, app: App) -> None:
    handler = "http://127.0.0.1:1/app"
    assert app.result("placement.bind", PLACEMENT="CALL_CARD", HANDLER=handler) is True
    assert app.refusal("placement.bind", PLACEMENT="NOWHERE", HANDLER=handler)[1] == "ERROR_PLACEMENT_NOT_FOUND"
    worker = app.refusal("placement.bind", PLACEMENT="PAGE_BACKGROUND_WORKER", HANDLER=handler)
    assert worker[:2] == (200, "EMPTY_ERROR_HANDLER_URL")
    user = app.refusal("placement.bind", PLACEMENT="CALL_CARD", HANDLER=f"{handler}/2", USER_ID=2)
    assert user[:2] == (200, "ERROR_PLACEMENT_USER_MODE")
    plain = App(b24, b24.issue_token(user_id=2).access)
    assert plain.refusal("placement.bind", PLACEMENT="CALL_CARD", HANDLER=handler)[:2] == (403, "ACCESS_DENIED")


# --- Limits and trouble -----------------------------------------------------------------------------------------------


def test_leaky_bucket() -> None:
    with Bitrix24() as portal:
        app = App(portal, portal.issue_token().access)
        answers = [app.call("profile") for _ in range(100)]  # on a busy machine some leak away meanwhile
        assert {status for status, _ in answers[:50]} == {200}
        assert next(body["error"] for status, body in answers[50:] if status == 503) == "QUERY_LIMIT_EXCEEDED"
        assert portal.rate_limit.refused >= 2
        portal.advance(3)
        assert [app.call("profile")[0] for _ in range(6)] == [200] * 6
        portal.advance(100)
        assert app.result("batch", cmd=["profile"] * 50)
        assert app.call("profile")[0] == 200


def test_operating_limit(b24: Bitrix24, app: App) -> None:
    b24.operating.cost["profile"] = 240.0
    assert [app.call("profile")[0] for _ in range(3)] == [200, 200, 429]
    assert app.refusal("profile")[1] == "OPERATION_TIME_LIMIT"
    assert app.call("user.admin")[0] == 200
    assert app.result("batch", cmd={"a": "profile"})["result_error"]["a"]["error"] == "OPERATION_TIME_LIMIT"
    b24.advance(601)
    status, body = app.call("profile")
    assert (status, body["time"]["operating"]) == (200, 240.0)


def test_down_and_up_at_the_same_address(b24: Bitrix24, app: App) -> None:
    with requests.Session() as session:
        url = f"{b24.portal_url}/rest/profile"
        assert session.get(url, params={"auth": app.token}, timeout=5).status_code == 200
        for _ in range(3):
            b24.go_down()
            with pytest.raises(requests.ConnectionError):
                session.get(url, params={"auth": app.token}, timeout=5)
            b24.come_up()
            assert session.get(url, params={"auth": app.token}, timeout=5).status_code == 200


@pytest.mark.parametrize(("effect", "calls"), [(False, 0), (True, 1)])
def test_reset_before_and_after_the_effect(b24: Bitrix24, app: App, effect: bool, calls: int) -> None:
    order = b24.faults.reset_after if effect else b24.faults.reset_before
    fault = order(method=REGISTER, times=1)
    with pytest.raises(requests.ConnectionError):
        app.register()
    assert len(b24.calls) == calls
    assert (fault.hits, b24.requests[-1].status) == (1, 0)
    app.register()
    assert len(b24.calls) == 1


def test_faults_find_a_method_inside_a_batch(b24: Bitrix24, app: App) -> None:
    b24.faults.reset_before(method="user.admin", times=1)
    with pytest.raises(requests.ConnectionError):
        app.call("batch", cmd={"a": "user.admin"})
    b24.faults.error("INTERNAL_SERVER_ERROR", method="user.admin", times=1)
    answer = app.result("batch", cmd={"a": "user.admin", "b": "profile"})
    assert answer["result_error"]["a"]["error"] == "INTERNAL_SERVER_ERROR"
    assert answer["result"]["b"]


@pytest.mark.parametrize(("effect", "calls"), [(True, 1), (False, 0)])
def test_slow_answers(b24: Bitrix24, app: App, effect: bool, calls: int) -> None:
    with b24.faults.slow(5, effect=effect):
        with pytest.raises(requests.ReadTimeout):
            requests.post(
                f"{b24.portal_url}/rest/{REGISTER}",
                json={"USER_ID": 2, "PHONE_NUMBER": CLIENT, "TYPE": 2, "EXTERNAL_CALL_ID": "a", "auth": app.token},
                timeout=0.2,
            )
        assert len(b24.calls) == calls
    b24.faults.slow(0.2)
    begun = time.monotonic()
    app.result("profile")
    assert time.monotonic() - begun >= 0.2


def test_silence_html_and_ordered_errors(b24: Bitrix24, app: App) -> None:
    silence = b24.faults.silence()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(app.call, "profile")
        assert b24.wait_until(lambda: silence.hits)
        assert not waiting.done()
        silence.clear()
        with pytest.raises(requests.ConnectionError):
            waiting.result(5)
    b24.faults.html_502(times=1)
    page = requests.get(f"{b24.portal_url}/rest/profile", timeout=5)
    assert (page.status_code, page.headers["Content-Type"]) == (502, "text/html")
    b24.faults.error("OVERLOAD_LIMIT", times=2)
    assert [app.call("profile")[0] for _ in range(3)] == [503, 503, 200]
    b24.faults.error("ODD", 418, "a teapot", method="profile")
    assert app.refusal("profile") == (418, "ODD", "a teapot")
    b24.faults.clear()
    assert app.call("profile")[0] == 200
    b24.oauth_faults.html_502(times=1)
    assert refresh(b24, b24.issue_token().refresh).status_code == 502
    b24.oauth_go_down()
    with pytest.raises(requests.ConnectionError):
        refresh(b24, "x")
    assert app.call("profile")[0] == 200


def test_renamed_portal(b24: Bitrix24, app: App) -> None:
    old = b24.portal_url
    address = b24.rename()
    answer = requests.post(f"{old}/rest/profile", json={"auth": app.token}, timeout=5, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (302, f"http://{address}/rest/profile")
    assert app.result("profile")["ID"] == "1"
    followed = requests.post(f"{old}/rest/profile", json={"auth": app.token}, timeout=5)
    assert followed.json()["error"] == "NO_AUTH_FOUND"  # an ordinary client has made a GET of it, without the body
    assert refresh(b24, b24.issue_token().refresh).json()["client_endpoint"] == f"http://{address}/rest/"


def test_many_calls_over_many_connections(b24: Bitrix24, app: App) -> None:
    local, sessions = threading.local(), []

    def connect() -> None:
        local.session = requests.Session()
        sessions.append(local.session)

    def one(number: int) -> None:
        fields = {"USER_ID": 2, "PHONE_NUMBER": CLIENT, "TYPE": 2, "EXTERNAL_CALL_ID": f"n{number}", "auth": app.token}
        rest = f"{b24.portal_url}/rest/"
        call_id = local.session.post(rest + REGISTER, json=fields, timeout=10).json()["result"]["CALL_ID"]
        done = {"CALL_ID": call_id, "USER_ID": 2, "DURATION": 1, "auth": app.token}
        assert local.session.post(rest + FINISH, json=done, timeout=10).status_code == 200

    begun = time.monotonic()
    with ThreadPoolExecutor(64, initializer=connect) as pool:
        list(pool.map(one, range(300)))
    for session in sessions:
        session.close()
    assert time.monotonic() - begun < 10
    assert len(b24.finished_calls()) == 300
    assert all(len(calls) == 1 for calls in b24.calls_by_external_id().values())
