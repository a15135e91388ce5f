"""Logs: a call's ID on its lines, no telephone number and no secret on any."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator

import pytest
from gunicorn.config import Config
from hypothesis import example, given
from hypothesis import strategies as st

from connector.app import create_app
from connector.deployment import Deployment
from connector.log import NOISY, about, mask_number, mask_text, set_up_logging
from connector.serve.gunicorn import Log
from tests.conftest import MakeDeployment

CALL_ID = "01890a5d-ac96-774b-bcce-b302099a8057".replace("-", "")
logger = logging.getLogger("connector.tests")


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """What was written to standard error; logging is as it was before the test when it ends."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in NOISY}
    yield lambda: capsys.readouterr().err
    root.handlers[:] = before
    root.setLevel(level)
    for name, former in levels.items():
        logging.getLogger(name).setLevel(former)


def test_text_carries_the_calls_id(logged: Callable[[], str]) -> None:
    set_up_logging("INFO", "text")
    logger.info("call ended, %s s", 42, extra=about(CALL_ID))
    assert re.fullmatch(rf"\S+ \S+ INFO +connector\.tests: call ended, 42 s call={CALL_ID}\n", logged())


def test_json_is_one_object_a_line(logged: Callable[[], str]) -> None:
    set_up_logging("INFO", "json")
    logger.warning("first\nsecond", extra=about(CALL_ID))
    logger.info("without a call")
    first, second = (json.loads(line) for line in logged().splitlines())
    assert (first["level"], first["logger"], first["message"]) == ("WARNING", "connector.tests", "first\nsecond")
    assert first["call_id"] == CALL_ID
    assert {"time", "level", "logger", "message"} == set(second)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_arguments_and_tracebacks_are_masked(logged: Callable[[], str], log_format: str) -> None:
    set_up_logging("INFO", log_format)
    try:
        raise ValueError("no user for +380987858227, access_token=canary-1")
    except ValueError:
        logger.exception("call of %s with %s", "0987858227", {"refresh_token": "canary-2"})
    written = logged().replace("\\u2026", "…")
    assert "…8227" in written
    assert re.search(r"\d{7}", written) is None
    assert "canary" not in written
    assert "ValueError" in written


SEPARATOR = st.sampled_from(
    [" ", '"', "'", "(", ")", "[", "]", "{", "}", ",", ":", ";", "=", "/", "<", ">", "\n", "\t", ""]
)
PERSON = st.from_regex(r"\A\+?[0-9]{7,15}\Z") | st.from_regex(
    r"\A\+?38 ?\(0[0-9]{2}\) ?[0-9]{3}[- ][0-9]{2}[- ][0-9]{2}\Z"
)


@given(st.lists(st.tuples(SEPARATOR, PERSON, SEPARATOR), min_size=1, max_size=4))
@example([("", "+380987858227", ".")])
@example([("from ", "0987858227", " to 101")])
@example([('{"numberA": "', "380987858227", '"}')])
def test_no_number_of_a_person_survives(parts: list[tuple[str, str, str]]) -> None:
    masked = mask_text(" ".join("".join(part) for part in parts))
    assert re.search(r"\d{7}", masked) is None
    assert [number for _, number, _ in parts if number in masked] == []


@pytest.mark.parametrize(
    "kept", [CALL_ID, "externalCall.62b1bd6bba9ad5.1522566805", "extension 101", "20 calls", "01001"]
)
def test_what_is_no_number_of_a_person_stays(kept: str) -> None:
    assert mask_text(f"about {kept}") == f"about {kept}"


@pytest.mark.parametrize(
    ("number", "masked"), [("+380987858227", "…8227"), ("101", "101"), ("", ""), ("10011", "10011")]
)
def test_mask_number(number: str, masked: str) -> None:
    assert mask_number(number) == masked


@pytest.mark.parametrize(
    "text",
    [
        "access_token=canary",
        "{'refresh_token': 'canary'}",
        '{"client_secret": "canary"}',
        "https://portal/rest/x?auth=canary&y=1",
        "AUTH_ID=canary",
        "password: canary",
        "auth[application_token]=canary",
        "SECRET_KEY=canary",
        "Authorization: canary",
        "Authorization: canary was refused",
        "Authorization: Bearer canary",
        "{'Authorization': 'Bearer canary'}",
        "postgresql://user:canary@host/name",
    ],
)
def test_named_secrets_are_stars(text: str) -> None:
    assert "canary" not in mask_text(text)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_nothing_secret_is_logged_at_debug(make_deployment: MakeDeployment, logged: Callable[[], str]) -> None:
    """A connection is set up and used, rightly and wrongly, with secrets and numbers that are easy to find again."""
    set_up_logging("DEBUG", "json")
    canaries = {
        "evrotel_token": "canary-evrotel-token",
        "bitrix24_client_id": "local.62b1bd6bba9ad5",
        "bitrix24_client_secret": "canary-client-secret",
    }
    deployment: Deployment = make_deployment(secret_keys=("canary-secret-key-of-enough-length",))
    deployment.connections.add("acme", "bitrix24", canaries)
    client = create_app(deployment.settings, deployment).test_client()
    start = {"callstatus": "start", "numberA": "0987858227", "numberB": "0443334455", "direction": "i"}
    end = {"callstatus": "end", "numberA": "0987858227", "numberB": "0443334455", "direction": "i", "billsec": "1"}
    unreadable = {"callstatus": "start", "numberA": "0987858227", "direction": "sideways"}
    for event in (start, end, unreadable):
        for token in (canaries["evrotel_token"], "canary-of-a-stranger"):
            client.post("/evrotel/acme/events", data=event, headers={"Authorization": f"Bearer {token}"})
    client.post(
        "/bitrix24/acme/install?DOMAIN=127.0.0.1:9&PROTOCOL=0", data={"AUTH_ID": "canary", "REFRESH_ID": "canary"}
    )
    client.post("/bitrix24/acme/events", data={"event": "ONAPPTEST", "auth[application_token]": "canary"})
    client.get("/recordings/canary.wav")
    client.post("/sign-in", data={"name": "canary", "password": "canary"})
    client.get("/api/v1/connections/acme/calls", headers={"Authorization": "Bearer canary"})
    written = logged()
    assert "incoming call of acme started" in written
    assert "canary" not in written
    assert "987858227" not in written


def test_the_web_server_writes_no_addresses_at_debug(logged: Callable[[], str]) -> None:
    set_up_logging("DEBUG", "text")
    log = Log(Config())
    log.debug("GET /recordings/canary.wav")
    log.info("Listening at: %s", "127.0.0.1:8000")
    written = logged()
    assert "Listening at" in written
    assert "canary" not in written
