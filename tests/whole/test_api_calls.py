"""A program has a call made by the HTTP API: one request to Evrotel, one call in the CRM, an answer that is true."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from sqlalchemy import update

from connector.api.keys import create_api_key
from connector.click_to_call.dialling import give_up_late
from connector.db import now
from connector.models import Dial
from tests.emulators.bitrix24 import Bitrix24
from tests.emulators.evrotel import Exchange, WebApps
from tests.running import ROOT, Installation, wait_for
from tests.served import Served

CALL = {"to": "067 123-45-67", "from": ["101", "102"], "routing": "inline"}
Answer = requests.Response


class Program:
    """Speaks to the HTTP API with a key."""

    def __init__(self, served: Served) -> None:
        deployment = served.deployment
        key = create_api_key(deployment.database, deployment.connections.get("acme").id, "shop")
        self.url = f"{served.url}/api/v1/connections/acme"
        self.headers = {"Authorization": f"Bearer {key}"}

    def ask(self, call: Any, **headers: str) -> Answer:
        return requests.post(f"{self.url}/calls", json=call, headers=self.headers | headers, timeout=30)

    def call(self, call_id: str) -> Any:
        return requests.get(f"{self.url}/calls/{call_id}", headers=self.headers, timeout=30).json()


@pytest.fixture
def program(served: Served) -> Program:
    return Program(served)


@pytest.mark.parametrize("language", ["curl", "Python"])
def test_the_samples_of_the_documentation_work(
    served: Served, evrotel_apps: WebApps, program: Program, language: str
) -> None:
    page = (ROOT / "docs" / "api.md").read_text().partition(f"### {language}\n")[2].partition("\n### ")[0]
    sample = page.replace("https://connector.example/api/v1/connections/shop", program.url)
    key = program.headers["Authorization"].removeprefix("Bearer ")
    command = [sys.executable, "-c", f"key = {key!r}\n{sample.partition('```python')[2].partition('```')[0]}"]
    if language == "curl":
        command = ["sh", "-c", textwrap.dedent(sample)]
        if shutil.which("curl") is None:
            pytest.skip("curl is not here")
    subprocess.run(command, env={**os.environ, "KEY": key}, check=True, timeout=60)
    assert [each["numberB"] for each in dialled(evrotel_apps)] == ["380671234567"]


def dialled(apps: WebApps) -> list[Any]:
    return [each.content for each in apps.requests if each.path == "/webapp/"]


def problem(answer: Answer, status: int) -> Any:
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    return answer.json()


def test_a_call_is_dialled_followed_and_logged(
    served: Served, portal: Bitrix24, evrotel_apps: WebApps, program: Program
) -> None:
    evrotel_apps.exchange = Exchange(transmitter=served.transmitter(), outcomes={"380671234567": ("ANSWERED", 42)})
    answer = program.ask(CALL)
    assert answer.status_code == 202
    call_id = answer.json()["id"]
    assert answer.json()["state"] in {"accepted", "started"}
    assert dialled(evrotel_apps) == [
        {"billcode": "20558", "numberA": ["101", "102"], "numberB": "380671234567", "routing": "inline"}
    ]
    assert evrotel_apps.requests[0].authorization == evrotel_apps.token
    ended = wait_for(lambda: (call := program.call(call_id))["state"] == "ended" and call)
    assert (ended["disposition"], ended["billsec"], ended["extension"]) == ("answered", 42, "101")
    assert (ended["dial"]["state"], ended["dial"]["asked_by"], ended["dial"]["origin"]) == ("started", "shop", "api")
    wait_for(lambda: len(portal.calls) == 1 and portal.calls[0].finished)
    assert (portal.calls[0].phone_number, portal.calls[0].duration) == ("+380671234567", 42)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"to": "101"}, "to"),
        ({"to": "who"}, "to"),
        ({"to": None}, "to"),
        ({"from": []}, "from"),
        ({"from": "101"}, "from"),
        ({"from": ["101", "101"]}, "from"),
        ({"from": ["0671234567"]}, "from"),
        ({"from": ["101\n"]}, "from"),
        ({"to": "+3806712345678"}, "to"),
        ({"routing": "best"}, "routing"),
        ({"number": "1"}, "number"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_dialled(
    evrotel_apps: WebApps, program: Program, changes: dict[str, Any], named: str
) -> None:
    assert named in problem(program.ask(CALL | changes), 422)["errors"]
    assert dialled(evrotel_apps) == []


def test_evrotel_refusing_and_not_answering_are_502(
    served: Served, portal: Bitrix24, evrotel_apps: WebApps, program: Program
) -> None:
    evrotel_apps.refuse = True
    refused = problem(program.ask(CALL), 502)
    assert (refused["reason"], refused["answer"], refused["state"]) == ("refused", "bad", "failed")
    assert program.call(refused["id"])["disposition"] == "failed"
    evrotel_apps.go_down()
    unreachable = problem(program.ask(CALL, **{"Idempotency-Key": "a"}), 502)
    assert (unreachable["reason"], unreachable["state"]) == ("unreachable", "failed")
    evrotel_apps.refuse = False
    evrotel_apps.come_up()
    assert program.ask(CALL, **{"Idempotency-Key": "a"}).status_code == 202  # it had never reached Evrotel
    assert len(dialled(evrotel_apps)) == 2


def test_no_clear_answer_is_502_and_the_call_that_comes_all_the_same_is_the_same(
    served: Served, evrotel_apps: WebApps, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.evrotel.client.CALL_SECONDS", 0.3)
    evrotel_apps.answer_seconds = 0.8
    unclear = problem(program.ask(CALL, **{"Idempotency-Key": "b"}), 502)
    assert (unclear["reason"], unclear["state"]) == ("unclear", "sent")
    start = served.transmitter().start("102", "0671234567", "o", calldate="")
    assert program.call(unclear["id"])["callid"] == start.callid
    again = program.ask(CALL, **{"Idempotency-Key": "b"})
    assert (again.status_code, again.json()["id"], again.json()["state"]) == (202, unclear["id"], "started")
    assert len(dialled(evrotel_apps)) == 1


def test_a_repeated_request_dials_once(evrotel_apps: WebApps, program: Program) -> None:
    key = {"Idempotency-Key": "order-1843"}
    first = program.ask(CALL, **key)
    again = program.ask(CALL | {"to": "+380671234567"}, **key)  # another spelling is the same request
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    assert "Idempotency-Key" in problem(program.ask(CALL | {"from": ["103"]}, **key), 422)["detail"]
    assert len(dialled(evrotel_apps)) == 1
    assert program.ask(CALL).json()["id"] != first.json()["id"]
    assert len(dialled(evrotel_apps)) == 2


def test_repeats_at_the_same_time_dial_once(evrotel_apps: WebApps, program: Program) -> None:
    evrotel_apps.answer_seconds = 0.3
    together = threading.Barrier(6)

    def ask(_: int) -> Answer:
        together.wait()
        return program.ask(CALL, **{"Idempotency-Key": "once"})

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, range(6)))
    assert sorted({answer.status_code for answer in answers}) in ([202], [202, 409])
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(dialled(evrotel_apps)) == 1


@pytest.mark.parametrize("seconds", [0.0, 0.5])
def test_a_repeat_long_after_is_answered_as_the_first_request_was(
    served: Served,
    evrotel_apps: WebApps,
    program: Program,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
) -> None:
    status = 502 if seconds else 202
    monkeypatch.setattr("connector.evrotel.client.CALL_SECONDS", 0.3)
    evrotel_apps.answer_seconds = seconds
    first = program.ask(CALL, **{"Idempotency-Key": "c"})
    with served.deployment.database.write() as db:
        db.execute(update(Dial).values(expires_at=now()))
    give_up_late(served.deployment)  # no start has come within two minutes
    again = program.ask(CALL, **{"Idempotency-Key": "c"})
    assert (first.status_code, again.status_code, again.json()["state"]) == (status, status, "failed")
    assert (again.json()["id"], again.json().get("reason")) == (first.json()["id"], first.json().get("reason"))
    assert len(dialled(evrotel_apps)) == 1


def test_with_no_thread_to_spare_a_worker_dials(served: Served, evrotel_apps: WebApps, program: Program) -> None:
    while served.deployment.waiting_dials.enter():
        pass
    asked = program.ask(CALL, **{"Idempotency-Key": "d"})
    assert (asked.status_code, asked.json()["state"]) == (202, "pending")
    wait_for(lambda: program.call(asked.json()["id"])["dial"]["state"] == "accepted")
    assert program.ask(CALL, **{"Idempotency-Key": "d"}).json()["id"] == asked.json()["id"]
    assert len(dialled(evrotel_apps)) == 1


def test_without_a_billcode_it_says_who_has_to_do_what(served: Served, evrotel_apps: WebApps, program: Program) -> None:
    served.set(evrotel_billcode="")
    assert "evrotel_billcode" in problem(program.ask(CALL), 409)["detail"]
    assert dialled(evrotel_apps) == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.processes
def test_a_process_that_dies_while_it_asks_dials_no_second_time(running: Installation, evrotel_apps: WebApps) -> None:
    evrotel_apps.answer_seconds = 30
    key = running.command("api-key", "create", "--connection", "acme").stdout.splitlines()[-1]
    asking = threading.Thread(target=_ask_whoever_dies, args=(running.url, key))
    asking.start()
    wait_for(lambda: dialled(evrotel_apps))
    running.kill("web")
    asking.join()
    evrotel_apps.answer_seconds = 0
    running.start_web()
    again = _ask(running.url, key)
    assert (again.status_code, again.json().get("reason")) in {(409, None), (502, "unclear")}
    assert len(dialled(evrotel_apps)) == 1


def _ask(url: str, key: str) -> Answer:
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "x"}
    return requests.post(f"{url}/api/v1/connections/acme/calls", json=CALL, headers=headers, timeout=30)


def _ask_whoever_dies(url: str, key: str) -> None:
    with pytest.raises(requests.ConnectionError):
        _ask(url, key)
