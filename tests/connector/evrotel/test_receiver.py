"""What Evrotel's transmitter is answered, and what is kept of what it sent. Journal: no CRM to wait for."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event, func, select, text, update
from werkzeug.test import TestResponse

from connector.app import create_app
from connector.calls.replay import replay
from connector.deployment import Deployment
from connector.models import Call, Connection, Counter, Delivery, InboundEvent
from connector.secrets import Cipher
from tests.conftest import MakeDeployment

TOKEN = "G7bng65jYk8GF294"
START = {
    "callstatus": "start",
    "calldate": "2026-04-01 00:00:11",
    "numberA": "0987858227",
    "numberB": "0443334455",
    "direction": "i",
}
END = {
    "callstatus": "end",
    "calldate": "2026-04-01 00:02:11",
    "direction": "i",
    "billsec": "78",
    "disposition": "ANSWERED",
    "recfile": "/wav/9/2026-04-01/1522566805.1461640-1198614775.wav",
}


@pytest.fixture
def client(deployment: Deployment) -> Iterator[FlaskClient]:
    deployment.connections.add("acme", "journal", {"evrotel_token": TOKEN})
    with create_app(deployment.settings, deployment).test_client() as client:
        yield client


def post(
    client: FlaskClient, event: Mapping[str, object] | bytes, token: str = TOKEN, name: str = "acme"
) -> TestResponse:
    """As PHP's http_post sends it: a form and a bare token."""
    body = event if isinstance(event, bytes) else urlencode(event).encode()
    return client.post(
        f"/evrotel/{name}/events",
        data=body,
        headers={"Authorization": token, "Content-Type": "application/x-www-form-urlencoded"},
    )


def rows(deployment: Deployment, *columns: object) -> list[tuple[object, ...]]:
    with deployment.database.read() as db:
        return [tuple(row) for row in db.execute(select(*columns))]  # type: ignore[call-overload]  # columns of any type


def test_a_start_is_answered_with_its_callid_and_nothing_else(client: FlaskClient, deployment: Deployment) -> None:
    answer = post(client, START)
    assert answer.status_code == 200
    assert answer.mimetype == "text/plain"
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", answer.text)
    assert rows(deployment, Call.callid, Call.client_number, Call.line, Call.state) == [
        (answer.text, "+380987858227", "+380443334455", "open")
    ]


def test_the_callid_brings_the_end_home(client: FlaskClient, deployment: Deployment) -> None:
    callid = post(client, START).text
    answer = post(client, END | {"callid": callid})
    assert (answer.status_code, answer.text, answer.mimetype) == (200, "OK", "text/plain")
    assert rows(deployment, Call.callid, Call.state, Call.disposition, Call.billsec) == [
        (callid, "ended", "answered", 78)
    ]


def test_a_repeated_start_makes_no_second_call(client: FlaskClient, deployment: Deployment) -> None:
    other_spelling = START | {"numberA": "+38 (098) 785-82-27", "numberB": "380443334455"}
    assert post(client, START).text == post(client, START).text == post(client, other_spelling).text
    assert rows(deployment, func.count(Call.id)) == [(1,)]
    assert rows(deployment, func.count(InboundEvent.id)) == [(3,)]


def test_a_repeated_end_changes_nothing(client: FlaskClient, deployment: Deployment) -> None:
    callid = post(client, START).text
    for billsec in ("78", "78", "500"):
        assert post(client, END | {"callid": callid, "billsec": billsec}).status_code == 200
    assert rows(deployment, Call.billsec) == [(78,)]


def test_an_end_without_callid_finds_its_call_by_its_numbers(client: FlaskClient, deployment: Deployment) -> None:
    post(client, START)
    post(client, START | {"numberA": "0501112233"})
    post(client, END | {"numberA": "380987858227", "numberB": "0443334455"})
    states = rows(deployment, Call.client_number, Call.state)
    assert sorted(map(str, states)) == ["('+380501112233', 'open')", "('+380987858227', 'ended')"]


def test_an_end_alone_makes_its_call_and_a_late_start_joins_it(client: FlaskClient, deployment: Deployment) -> None:
    numbers = {"numberA": "0987858227", "numberB": "0443334455"}
    assert post(client, END | numbers).status_code == 200
    assert post(client, END | numbers).status_code == 200
    callid = post(client, START).text
    assert rows(deployment, Call.callid, Call.state) == [(callid, "ended")]
    assert post(client, START).text == callid
    assert rows(deployment, func.count(Call.id)) == [(1,)]


@pytest.mark.parametrize("caller", ["0987858227", "anonymous"])
def test_a_late_start_joins_the_call_of_its_end_wherever_that_was_answered(
    client: FlaskClient, deployment: Deployment, caller: str
) -> None:
    """A start names the line that was called, its end may name the extension that answered."""
    answered = "101" if caller != "anonymous" else START["numberB"]
    post(client, END | {"numberA": caller, "numberB": answered})
    callid = post(client, START | {"numberA": caller}).text
    assert rows(deployment, Call.callid, Call.state, Call.line) == [(callid, "ended", "+380443334455")]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer at a time
@pytest.mark.parametrize("first", ["start", "end"])
def test_a_start_and_its_end_in_two_processes_at_once_are_one_call(make_deployment: MakeDeployment, first: str) -> None:
    deployments = [make_deployment(), make_deployment()]
    deployments[0].connections.add("acme", "journal", {"evrotel_token": TOKEN})
    events = [START, END | {"numberA": START["numberA"], "numberB": START["numberB"]}]
    if first == "end":
        events.reverse()
    commits, may_commit = threading.Event(), threading.Event()

    @event.listens_for(deployments[0].database.engine, "commit")
    def hold(_connection: Any) -> None:
        if threading.current_thread() is sending[0]:
            commits.set()
            may_commit.wait(10)

    def send(number: int) -> None:
        with create_app(deployments[number].settings, deployments[number]).test_client() as client:
            assert post(client, events[number]).status_code == 200

    sending = [threading.Thread(target=send, args=(number,)) for number in (0, 1)]
    sending[0].start()
    assert commits.wait(10)
    sending[1].start()
    sending[1].join(0.3)  # it waits for what is not committed yet
    may_commit.set()
    for each in sending:
        each.join()
    assert len(rows(deployments[0], Call.id)) == 1


def test_a_start_of_another_line_is_another_call(client: FlaskClient, deployment: Deployment) -> None:
    post(client, END | {"numberA": "0987858227", "numberB": "0443334456"})
    post(client, START)
    assert sorted(map(str, rows(deployment, Call.state))) == ["('ended',)", "('open',)"]


def test_an_accepted_event_has_no_effect_again(client: FlaskClient, deployment: Deployment) -> None:
    """Nothing tells a start without a date from the client's next call."""
    post(client, {key: value for key, value in START.items() if key != "calldate"})
    [(event_id,)] = rows(deployment, InboundEvent.id)
    assert "accepted before" in replay(deployment, int(str(event_id)))
    assert rows(deployment, func.count(Call.id)) == [(1,)]


def test_an_end_with_numbers_alone_is_known_as_a_repeat(client: FlaskClient, deployment: Deployment) -> None:
    numbers = {"callstatus": "end", "numberA": "0987858227", "numberB": "0443334455", "disposition": "BUSY"}
    for start in (START, START | {"calldate": "2026-04-01 00:01:11"}):
        post(client, start)
        for _ in range(2):
            assert post(client, numbers | {"direction": "i", "billsec": "0"}).status_code == 200
    assert rows(deployment, Call.state, Call.disposition) == [("ended", "busy")] * 2
    post(client, numbers | {"direction": "i", "billsec": "7", "disposition": "ANSWERED"})
    assert rows(deployment, func.count(Call.id)) == [(3,)]


@pytest.mark.parametrize("number", ["anonymous", "unknown", ""])
def test_an_end_of_a_withheld_number_alone_is_of_nobody(client: FlaskClient, number: str) -> None:
    assert post(client, END | {"callid": "unknown", "numberA": number}).status_code == 400


def test_somebody_who_looks_in_a_browser_is_told(client: FlaskClient) -> None:
    answer = client.get("/evrotel/acme/events")
    assert (answer.status_code, answer.mimetype, answer.headers["Allow"]) == (405, "text/plain", "POST")
    assert client.put("/evrotel/acme/events").mimetype == "text/plain"
    assert client.post("/evrotel/acme/events/").mimetype == "text/plain"


def test_secrets_of_another_key_lose_no_event(
    client: FlaskClient, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command with another SECRET_KEY changed the connection: only a person can mend that, and is told to."""
    with deployment.database.write() as db:
        db.execute(update(Connection).values(secrets=Cipher(["another-key-of-enough-length"]).seal({})))
    monkeypatch.setattr("connector.connections.store.FRESH_SECONDS", 0.0)
    answer = post(client, START)
    assert (answer.status_code, answer.mimetype) == (503, "text/plain")


def test_an_end_of_nobody_is_kept_as_rejected_and_can_be_replayed(client: FlaskClient, deployment: Deployment) -> None:
    answer = post(client, END | {"callid": "unknown"})
    assert answer.status_code == 400
    assert "\n" not in answer.text.strip()
    [(event_id, reason)] = rows(deployment, InboundEvent.id, InboundEvent.reason)
    assert reason == answer.text
    with pytest.raises(ValueError, match="rejected again"):
        replay(deployment, int(str(event_id)))
    with deployment.database.write() as db:
        fixed = urlencode(END | {"numberA": "0987858227", "numberB": "101"}).encode()
        db.execute(text("UPDATE inbound_events SET body = :body"), {"body": fixed})
    assert "end of the call" in replay(deployment, int(str(event_id)))
    replay(deployment, int(str(event_id)))
    assert rows(deployment, Call.state, Call.extension) == [("ended", "101")]
    assert rows(deployment, InboundEvent.reason) == [(None,)]


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff\xfe\x00", b"[1]", b"{", b"callstatus=ringing", b"callstatus=start&direction=i", b"x" * 2000],
)
def test_wrong_content_is_kept_as_rejected(client: FlaskClient, deployment: Deployment, body: bytes) -> None:
    answer = post(client, body)
    assert answer.status_code == 400
    assert answer.text
    assert "\n" not in answer.text
    assert rows(deployment, InboundEvent.body) == [(body,)]
    assert rows(deployment, func.count(Call.id)) == [(0,)]


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x", f"Bearer {TOKEN}x", "Bearer"])
def test_a_wrong_token_stores_nothing_but_a_counter(client: FlaskClient, deployment: Deployment, token: str) -> None:
    answer = post(client, START, token=token)
    assert (answer.status_code, answer.text) == (401, "Access denied")
    assert rows(deployment, func.count(InboundEvent.id)) == [(0,)]
    assert rows(deployment, Counter.name, Counter.value) == [("refused_token", 1)]


@pytest.mark.parametrize("token", [TOKEN, f"Bearer {TOKEN}", f"Token {TOKEN}", f" {TOKEN} "])
def test_a_token_comes_bare_or_after_a_scheme(client: FlaskClient, token: str) -> None:
    assert post(client, START, token=token).status_code == 200


def test_an_unknown_connection_is_not_found(client: FlaskClient) -> None:
    assert post(client, START, name="nobody").status_code == 404


def post_terminated(client: FlaskClient, body: bytes, said: int | None) -> TestResponse:
    """As gunicorn hands a body over: its stream ends where the body does. `said` is Content-Length, None is chunked."""
    return client.post(
        "/evrotel/acme/events",
        headers={"Authorization": TOKEN},
        environ_overrides={
            "wsgi.input": BytesIO(body),
            "wsgi.input_terminated": True,
            "CONTENT_LENGTH": "" if said is None else str(said),
        },
    )


@pytest.mark.parametrize("over", [1, 2, 5_000_000])
def test_a_body_over_64_kib_is_refused(client: FlaskClient, deployment: Deployment, over: int) -> None:
    body = urlencode(START).encode() + b"&x="
    body += b"x" * (64 * 1024 + over - len(body))
    assert post(client, body).status_code == 413
    for said in (len(body), None):
        answer = post_terminated(client, body, said)
        assert (answer.status_code, answer.mimetype) == (413, "text/plain")
        assert answer.headers["Connection"] == "close"
    assert rows(deployment, func.count(InboundEvent.id)) == [(0,)]


@pytest.mark.parametrize("said", [64 * 1024, None])
def test_a_body_of_64_kib_is_taken(client: FlaskClient, said: int | None) -> None:
    body = urlencode(START).encode() + b"&x="
    assert post_terminated(client, body.ljust(64 * 1024, b"x"), said).status_code == 200


def test_a_body_that_was_cut_off_is_kept_as_rejected(client: FlaskClient, deployment: Deployment) -> None:
    """Else 0987858227 becomes a call of 0987858, and the repeat a second one."""
    body = urlencode({name: START[name] for name in ("callstatus", "direction", "numberB", "numberA")}).encode()
    answer = post_terminated(client, body[:-3], len(body))
    said = f"the body is incomplete: {len(body) - 3} of {len(body)} bytes came"
    assert (answer.status_code, answer.text) == (400, said)
    assert rows(deployment, InboundEvent.body, InboundEvent.reason) == [(body[:-3], said)]
    [(event_id,)] = rows(deployment, InboundEvent.id)
    with pytest.raises(ValueError, match="incomplete"):
        replay(deployment, int(str(event_id)))
    assert rows(deployment, func.count(Call.id)) == [(0,)]


class BrokenStream:
    """A server's stream of a body whose transfer breaks off after its first part."""

    def __init__(self, first: bytes) -> None:
        self._parts = [first]

    def read(self, _size: int) -> bytes:
        if self._parts:
            return self._parts.pop()
        raise EOFError


def test_a_transfer_that_breaks_off_is_kept_as_rejected(client: FlaskClient, deployment: Deployment) -> None:
    answer = client.post(
        "/evrotel/acme/events",
        headers={"Authorization": TOKEN},
        environ_overrides={"wsgi.input": BrokenStream(b"callstatus=start&direc"), "wsgi.input_terminated": True},
    )
    assert (answer.status_code, answer.mimetype) == (400, "text/plain")
    assert answer.text == "the body is incomplete: EOFError"
    assert rows(deployment, InboundEvent.body) == [(b"callstatus=start&direc",)]


def test_a_database_that_is_away_is_a_503(client: FlaskClient, deployment: Deployment) -> None:
    post(client, START)
    with deployment.database.write() as db:
        db.execute(text("ALTER TABLE inbound_events RENAME TO gone"))
    answer = post(client, START)
    assert answer.status_code == 503


def test_withheld_callers_are_kept_with_the_reason(client: FlaskClient, deployment: Deployment) -> None:
    assert post(client, START | {"numberA": "anonymous"}).status_code == 200
    [(number, note)] = rows(deployment, Call.client_number, Call.note)
    assert number is None
    assert "withheld" in str(note)
    assert rows(deployment, func.count(Delivery.id)) == [(0,)]
