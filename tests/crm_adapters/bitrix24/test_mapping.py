"""Calls as Bitrix24's parameters, and its answers as errors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_adapters.bitrix24.answers import error_of, of_command
from crm_adapters.bitrix24.commands import Command, batch_of, query_of, results_of
from crm_adapters.bitrix24.mapping import (
    STATUS_CODES,
    attach_link_params,
    finish_params,
    lists_call,
    register_params,
)
from crm_adapters.bitrix24.transport import Answer
from crm_adapters.errors import AdapterError, Held, Limited, Refused, SignInRefused, TryAgain, Unreachable
from crm_adapters.events import CallEnded, CallStarted, Direction, Disposition, RecordingReady
from tests.emulators.bitrix24.methods import FINISH, REGISTER
from tests.emulators.bitrix24.php import parse_form

DOCUMENTED = {"200", "304", "603", "603-S", "403", "404", "486", "484", "503", "480", "402", "423", "OTHER"}
STARTED = datetime(2025, 6, 1, 12, 30, 15, 999, timezone(timedelta(hours=3)))


def started(
    direction: Direction = Direction.INCOMING, line: str | None = "+380441234567", create: bool = True
) -> CallStarted:
    return CallStarted(
        call_id="0197f0",
        crm_call_id=None,
        direction=direction,
        client_number="+380987858227",
        line=line,
        extension="101",
        user_id="2",
        fallback_user_id="1",
        started_at=STARTED,
        create_customer=create,
    )


def ended(direction: Direction, disposition: Disposition, billsec: int = 0) -> CallEnded:
    return CallEnded(
        call_id="0197f0",
        crm_call_id="externalCall.1",
        direction=direction,
        client_number="+380987858227",
        line=None,
        extension="101",
        user_id="2",
        fallback_user_id="1",
        started_at=STARTED,
        create_customer=True,
        ended_at=STARTED + timedelta(seconds=60),
        disposition=disposition,
        billsec=billsec,
    )


def test_an_answered_call_of_no_full_second_counts_as_answered() -> None:
    params = finish_params(ended(Direction.OUTGOING, Disposition.ANSWERED, billsec=0), "externalCall.1", "2")
    assert (params["DURATION"], params["STATUS_CODE"]) == (1, "200")


def test_a_start_as_register() -> None:
    assert register_params(started(), "2", line=started().line, show=True) == {
        "USER_ID": 2,
        "PHONE_NUMBER": "+380987858227",
        "TYPE": 2,
        "CALL_START_DATE": "2025-06-01T12:30:15+03:00",
        "CRM_CREATE": 1,
        "SHOW": 1,
        "ADD_TO_CHAT": 0,
        "EXTERNAL_CALL_ID": "0197f0",
        "LINE_NUMBER": "+380441234567",
    }


def test_an_outgoing_start_without_a_line() -> None:
    params = register_params(started(Direction.OUTGOING, line=None, create=False), "abc", line=None, show=False)
    assert (params["TYPE"], params["CRM_CREATE"], params["SHOW"], params["USER_ID"]) == (1, 0, 0, "abc")
    assert "LINE_NUMBER" not in params


@pytest.mark.parametrize(
    ("direction", "disposition", "code"),
    [
        ("incoming", "answered", "200"),
        ("incoming", "busy", "304"),
        ("incoming", "no_answer", "304"),
        ("incoming", "congestion", "304"),
        ("incoming", "failed", "304"),
        ("outgoing", "answered", "200"),
        ("outgoing", "busy", "486"),
        ("outgoing", "no_answer", "480"),
        ("outgoing", "congestion", "503"),
        ("outgoing", "failed", "OTHER"),
    ],
)
def test_how_a_call_ended(direction: str, disposition: str, code: str) -> None:
    params = finish_params(ended(Direction(direction), Disposition(disposition), billsec=42), "externalCall.1", "2")
    assert params["STATUS_CODE"] == code
    assert params["DURATION"] == (42 if disposition == "answered" else 0)


def test_the_table_is_complete_and_documented() -> None:
    assert set(STATUS_CODES) == {(direction, disposition) for direction in Direction for disposition in Disposition}
    assert set(STATUS_CODES.values()) <= DOCUMENTED


@given(st.sampled_from(Direction), st.sampled_from(Disposition), st.integers(-5, 10**6), st.booleans())
def test_no_parameter_is_unknown_and_no_flag_but_0_and_1(
    direction: Direction, disposition: Disposition, billsec: int, flag: bool
) -> None:
    event = ended(direction, disposition, billsec)
    registered, finished = (
        register_params(event, "2", line=event.line, show=flag),
        finish_params(event, "externalCall.1", "2"),
    )
    assert set(registered) <= set(REGISTER.split())
    assert set(finished) <= set(FINISH.split())
    assert {registered["SHOW"], registered["CRM_CREATE"], registered["ADD_TO_CHAT"]} <= {0, 1}
    assert finished["DURATION"] >= 0
    assert finished["DURATION"] == 0 or finished["STATUS_CODE"] == "200"
    assert not any(isinstance(value, bool) or value is None for value in [*registered.values(), *finished.values()])
    assert datetime.fromisoformat(registered["CALL_START_DATE"]) == STARTED.replace(microsecond=0)


def test_a_recording_by_address() -> None:
    event = RecordingReady(
        call_id="0197f0",
        crm_call_id=None,
        url="https://c/r.mp3",
        filename="r.mp3",
        content_filename="r.mp3",
        read_content=lambda: b"",
    )
    assert attach_link_params(event, "e.1") == {"CALL_ID": "e.1", "RECORD_URL": "https://c/r.mp3", "FILENAME": "r.mp3"}


KEYS = st.text("ABC_", min_size=1, max_size=4)
VALUES = st.recursive(
    st.text(min_size=1) | st.integers(),
    lambda inner: st.dictionaries(KEYS, inner, min_size=1),
    max_leaves=4,
)


@given(st.dictionaries(KEYS, VALUES, max_size=3))
def test_a_batch_command_says_the_same_to_php(params: dict[str, object]) -> None:
    method, _, query = query_of(Command(method="m.n", params=params)).partition("?")
    assert (method, parse_form(query)) == ("m.n", _texts(params))


def _texts(value: object) -> object:
    return {key: _texts(item) for key, item in value.items()} if isinstance(value, dict) else str(value)


def test_batches_have_lists_booleans_and_gaps_in_phps_way() -> None:
    command = Command(method="m", params={"A": [1, 2], "B": True, "C": None})
    assert parse_qsl(query_of(command).partition("?")[2]) == [("A[0]", "1"), ("A[1]", "2"), ("B", "1")]
    assert list(batch_of([command, command])["cmd"]) == ["c0", "c1"]


def test_a_batchs_answer_command_by_command() -> None:
    body = {
        "result": {"result": {"c0": {"CALL_ID": "x"}}, "result_error": {"c1": {"error": "", "error_description": "no"}}}
    }
    first, second, third = results_of(body, 3)
    assert first == {"CALL_ID": "x"}
    assert isinstance(second, Refused)
    assert isinstance(third, Unreachable)
    assert third.maybe_done
    assert results_of({"result": {"result": [], "result_error": []}}, 0) == []


def answer(status: int, code: str | None, text: str = "why", **extra: object) -> Answer:
    body = {"result": 1} if code is None else {"error": code, "error_description": text, **extra}
    return Answer(status=status, body=body, text="")


@pytest.mark.parametrize(
    ("status", "code", "kind", "maybe_done"),
    [
        (503, "QUERY_LIMIT_EXCEEDED", Limited, False),
        (503, "query_limit_exceeded", Limited, False),
        (503, "OVERLOAD_LIMIT", Limited, False),
        (429, "OPERATION_TIME_LIMIT", Held, False),
        (429, "NEW_LIMIT", Refused, False),
        (401, "expired_token", SignInRefused, False),
        (401, "invalid_token", SignInRefused, False),
        (401, "NO_AUTH_FOUND", SignInRefused, False),
        (401, "authorization_error", SignInRefused, False),
        (401, "PAYMENT_REQUIRED", SignInRefused, False),
        (401, "ERROR_OAUTH", SignInRefused, False),
        (401, "insufficient_scope", SignInRefused, False),
        (403, "insufficient_scope", SignInRefused, False),
        (500, "PORTAL_DELETED", SignInRefused, False),
        (403, "user_access_error", SignInRefused, False),
        (401, "SOMETHING_NEW", SignInRefused, False),
        (400, "", Refused, False),
        (200, "", Refused, False),
        (400, "ERROR_CORE", Refused, False),
        (404, "ERROR_METHOD_NOT_FOUND", Refused, False),
        (403, "ACCESS_DENIED", Refused, False),
        (500, "INTERNAL_SERVER_ERROR", Unreachable, True),
        (500, "", Unreachable, True),
        (503, "SOMETHING_NEW", Unreachable, True),
    ],
)
def test_the_code_decides(status: int, code: str, kind: type[AdapterError], maybe_done: bool) -> None:
    error = error_of(answer(status, code))
    assert type(error) is kind
    assert error.maybe_done is maybe_done
    assert error.code == code


def test_answers_that_are_none() -> None:
    for status in (200, 404, 502):
        error = error_of(Answer(status=status, body=None, text="<html>"))
        assert isinstance(error, Unreachable)
        assert error.maybe_done
    assert isinstance(error_of(Answer(status=200, body={}, text="{}")), Unreachable)
    assert error_of(answer(200, None)) is None


def test_advice() -> None:
    plan = error_of(answer(403, "ACCESS_DENIED", "REST API is available only on commercial plans"))
    assert isinstance(plan, SignInRefused)
    assert "telephony" in str(error_of(answer(401, "insufficient_scope")))
    limited = error_of(
        answer(429, "OPERATION_TIME_LIMIT", time={"operating_reset_at": datetime.now(UTC).timestamp() + 90})
    )
    assert isinstance(limited, Held)
    assert 80 < limited.retry_after <= 90


def test_an_outage_within_a_batch_concerns_its_command_alone() -> None:
    error = of_command({"error": "INTERNAL_SERVER_ERROR"})
    assert type(error) is TryAgain
    assert error.maybe_done


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=8), inner),
    )
)
def test_no_answer_breaks_the_reading(value: object) -> None:
    lists_call(value, "x")
    body = value if isinstance(value, dict) else {"result": value, "error": value}
    error_of(Answer(status=200, body=body, text=""))
    assert len(results_of({"result": value}, 2)) == 2
