"""`connector simulate`."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import func, select
from werkzeug.serving import WSGIRequestHandler, make_server

from connector.app import create_app
from connector.deployment import Deployment
from connector.models import Call, InboundEvent
from tests.connector.commands.conftest import Console
from tests.connector.simulator.receiver import Receiver, as_agreed


@pytest.fixture
def database_url(tmp_path: object) -> str:
    """The commands themselves need no database: one engine is enough."""
    return f"sqlite:///{tmp_path}/connector.db"


def test_a_call_is_played_and_its_answers_are_printed(connector: Console) -> None:
    with Receiver() as receiver:
        result = connector("simulate", "call", "--url", receiver.url, "--token", "TOK", "--seconds", "0")
    assert result.exit_code == 0
    callid = as_agreed(receiver.starts[0])[1]
    assert result.stdout == f"start: 200 {callid}\nend: 200 OK\n"
    (end,) = receiver.ends
    assert (end["callid"], end["disposition"], end["billsec"]) == (callid, "ANSWERED", "42")
    assert "recfile" not in end


def test_a_call_is_what_was_asked_for(connector: Console) -> None:
    options = "--direction o --from 105 --to 0679853913 --billsec 0 --disposition no_answer --seconds 0 --recording"
    with Receiver() as receiver:
        result = connector("simulate", "call", "--url", receiver.url, "--token", "TOK", *options.split())
    assert result.exit_code == 0
    for event in receiver.events:
        assert (event["direction"], event["numberA"], event["numberB"]) == ("o", "105", "0679853913")
    assert receiver.ends[0]["disposition"] == "NO ANSWER"
    assert receiver.ends[0]["recfile"].startswith("/wav/9/")


def test_json_is_sent_when_asked_for(connector: Console) -> None:
    with Receiver(lambda _: (200, "OK")) as receiver:
        options = ["--format", "json", "--seconds", "0"]
        assert connector("simulate", "call", "--url", receiver.url, "--token", "T", *options).exit_code == 0
    assert [json.loads(request.body)["callstatus"] for request in receiver.requests] == ["start", "end"]


@pytest.mark.parametrize(
    ("status", "body", "said"), [(401, "Access denied", "Access denied"), (200, "", "a callid"), (503, "", "503")]
)
def test_another_answer_than_agreed_did_not_work(connector: Console, status: int, body: str, said: str) -> None:
    with Receiver(lambda _: (status, body)) as receiver:
        result = connector("simulate", "call", "--url", receiver.url, "--token", "TOK", "--seconds", "0")
    assert result.exit_code == 1
    assert said in result.stderr
    assert len(receiver.events) == 1


def test_a_receiver_that_is_not_there_did_not_work(connector: Console) -> None:
    with Receiver() as receiver:
        receiver.go_down()
        result = connector("simulate", "call", "--url", receiver.url, "--token", "TOK")
    assert result.exit_code == 1
    assert "did not answer" in result.stderr


@pytest.mark.parametrize(
    "options",
    [
        ["call", "--url", "nowhere", "--token", "T"],
        ["call", "--url", "http://127.0.0.1:1"],
        ["call", "--url", "http://127.0.0.1:1", "--token", "T", "--disposition", "LOST"],
        ["call", "--url", "http://127.0.0.1:1", "--token", "T", "--timezone", "Mars"],
        ["traffic", "--url", "http://127.0.0.1:1", "--token", "T", "--calls", "0", "--speed", "0"],
    ],
)
def test_wrong_usage(connector: Console, options: list[str]) -> None:
    assert connector("simulate", *options).exit_code == 2


def test_the_same_seed_plays_the_same_calls(connector: Console) -> None:
    played = []
    for _ in range(2):
        with Receiver() as receiver:
            options = ["--calls", "25", "--speed", "0", "--seed", "7"]
            assert connector("simulate", "traffic", "--url", receiver.url, "--token", "T", *options).exit_code == 0
        keys = ("numberA", "numberB", "direction", "billsec", "disposition")
        played.append(sorted([event.get(key, "") for key in keys] for event in receiver.events))
    assert played[0] == played[1]
    assert len(played[0]) == 50


def test_traffic_that_is_refused_did_not_work(connector: Console) -> None:
    with Receiver(lambda _: (401, "Access denied")) as receiver:
        result = connector(
            "simulate", "traffic", "--url", receiver.url, "--token", "-", "--calls", "3", "--speed", "0", input="TOK\n"
        )
    assert result.exit_code == 1
    assert "6 events were not answered as agreed" in result.stderr
    assert {request.headers["Authorization"] for request in receiver.requests} == {"TOK"}


@pytest.fixture
def receiver_url(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The real receiver over HTTP."""
    deployment.connections.add("acme", "journal", {"evrotel_token": "G7bng65jYk8GF294"})
    monkeypatch.setattr(WSGIRequestHandler, "log_request", lambda *_: None)
    server = make_server("127.0.0.1", 0, create_app(deployment.settings, deployment), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/evrotel/acme/events"
    server.shutdown()
    thread.join()
    server.server_close()


def test_traffic_goes_through_the_real_receiver(connector: Console, receiver_url: str, deployment: Deployment) -> None:
    options = ["--calls", "60", "--speed", "0", "--seed", "3", "--recordings-port", "0"]
    result = connector("simulate", "traffic", "--url", receiver_url, "--token", "G7bng65jYk8GF294", *options)
    assert (result.exit_code, result.stderr) == (0, "")
    assert re.search(r"60 starts and 60 ends", result.stdout)
    with deployment.database.read() as db:
        states = db.execute(select(Call.state, func.count()).group_by(Call.state)).all()
        rejected = db.execute(select(func.count()).where(InboundEvent.reason.is_not(None))).scalar_one()
    assert [tuple(row) for row in states] == [("ended", 60)]
    assert rejected == 0
