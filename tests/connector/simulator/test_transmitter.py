"""What goes over the wire is what PHP's http_post sends."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from connector.simulator.transmitter import (
    Answer,
    NotAsAgreed,
    Transmitter,
    Unanswered,
    callid_of,
    expect_ok,
    start_fields,
)
from tests.connector.simulator.receiver import Receiver

START = start_fields(
    calldate=datetime(2018, 4, 1, 0, 0, 11),  # noqa: DTZ001 - the PBX's wall time
    number_a="0987858227",
    number_b="0679853913",
    direction="i",
)


def test_a_form_has_the_headers_of_php_and_leaves_nulls_out() -> None:
    with Receiver() as receiver:
        Transmitter(f"{receiver.url}/x", "TOK").send(START)
    (request,) = receiver.requests
    assert (request.verb, request.path, request.version) == ("POST", "/x", "HTTP/1.1")
    assert {name.lower(): value for name, value in request.headers.items()} == {
        "host": receiver.address,
        "connection": "close",
        "authorization": "TOK",
        "content-type": "application/x-www-form-urlencoded",
        "content-length": str(len(request.body)),
    }
    assert request.body == (
        b"callstatus=start&calldate=2018-04-01+00%3A00%3A11&numberA=0987858227&numberB=0679853913&direction=i"
    )


def test_json_goes_out_under_the_forms_label_with_its_nulls() -> None:
    with Receiver(lambda _: (200, "1")) as receiver:
        Transmitter(receiver.url, "TOK", as_json=True).send(START)
    (request,) = receiver.requests
    assert request.content_type == "application/x-www-form-urlencoded"
    assert json.loads(request.body) == START


def test_a_receiver_that_is_not_there_is_an_error_of_its_own() -> None:
    with Receiver() as receiver:
        receiver.go_down()
        with pytest.raises(Unanswered, match="did not answer"):
            Transmitter(receiver.url, "TOK").send(START)


@pytest.mark.parametrize("url", ["receiver", "ftp://host/x", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not a web address"):
        Transmitter(url, "TOK")


@pytest.mark.parametrize("body", ["1", "externalCall.716dba6b1f8fbdb24bf1cda6d7b97b1b.1522566811"])
def test_a_callid_is_the_body_and_nothing_else(body: str) -> None:
    assert callid_of(Answer(status=200, body=body)) == body


@pytest.mark.parametrize(
    ("status", "body"),
    [(401, "Access denied"), (200, ""), (200, "1\n"), (200, "two words"), (500, "1"), (200, "x" * 201)],
)
def test_other_answers_to_a_start_are_not_as_agreed(status: int, body: str) -> None:
    with pytest.raises(NotAsAgreed):
        callid_of(Answer(status=status, body=body))


@pytest.mark.parametrize(("status", "body"), [(200, ""), (503, "OK"), (400, "no callid")])
def test_other_answers_to_an_end_are_not_as_agreed(status: int, body: str) -> None:
    expect_ok(Answer(status=200, body="OK"))
    with pytest.raises(NotAsAgreed):
        expect_ok(Answer(status=status, body=body))
