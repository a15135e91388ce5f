"""What we rely on in fast_bitrix24 1.8.14: one call is one request, and every answer comes back as it was.

Private details are part of it (`srh.failure`, `operating_time_limit`), so a new version has to pass here first.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from importlib.metadata import version

import pytest
from fast_bitrix24 import BitrixAsync

from crm_adapters.bitrix24 import transport
from crm_adapters.bitrix24.transport import Answer, post, post_file
from crm_adapters.errors import Unreachable
from tests.emulators.http import Dropped, Loopback, Request, Response

JSON = "application/json; charset=utf-8"


class Portal:
    """A server that counts requests and answers what a test wants."""

    def __init__(self) -> None:
        self.response: Response | None = Response(b'{"result": true}', content_type=JSON)
        self.seconds = 0.0
        self.requests: list[Request] = []
        self.server = Loopback(self._answer)

    def _answer(self, request: Request) -> Response:
        self.requests.append(request)
        time.sleep(self.seconds)
        if self.response is None:
            raise Dropped
        return self.response

    def post(self, seconds: float = 5.0) -> Answer:
        return post(f"{self.server.url}/rest/", "profile", {"auth": "a"}, seconds=seconds, allow_local=True)


@pytest.fixture
def portal() -> Iterator[Portal]:
    made = Portal()
    with made.server:
        yield made


def test_the_private_details_are_still_there() -> None:
    assert version("fast-bitrix24") == "1.8.14"
    bitrix = BitrixAsync("https://example.com/rest/", verbose=False)
    assert callable(bitrix.srh.failure)
    assert bitrix.srh.operating_time_limit == 480


def test_its_log_of_all_arguments_is_off() -> None:
    assert not logging.getLogger("fast_bitrix24").isEnabledFor(logging.INFO)


@pytest.mark.parametrize(
    ("status", "body", "content_type"),
    [
        (200, b'{"result": {"CALL_ID": "x"}, "time": {"operating": 1.5}}', JSON),
        (200, b'{"error": "", "error_description": "no"}', JSON),
        (400, b'{"error": "", "error_description": "Call is not found"}', JSON),
        (401, b'{"error": "expired_token"}', JSON),
        (429, b'{"error": "OPERATION_TIME_LIMIT"}', JSON),
        (500, b'{"error": "INTERNAL_SERVER_ERROR"}', JSON),
        (503, b'{"error": "QUERY_LIMIT_EXCEEDED"}', JSON),
        (200, b'{"result": 1}', "text/html"),
        (502, b"<html>Bad Gateway</html>", "text/html"),
        (200, b"<html>login</html>", "text/html"),
        (200, b'{"result": tru', JSON),
        (200, b"[1, 2]", JSON),
    ],
)
def test_no_hidden_repeats_and_every_body_kept(portal: Portal, status: int, body: bytes, content_type: str) -> None:
    portal.response = Response(body, status, content_type)
    answer = portal.post()
    assert (answer.status, answer.text) == (status, body.decode())
    try:
        expected = json.loads(body)
    except ValueError:
        expected = None
    assert answer.body == (expected if isinstance(expected, dict) else None)
    assert len(portal.requests) == 1


def test_the_parameters_travel_as_json_and_nothing_is_added(portal: Portal) -> None:
    portal.post()
    assert json.loads(portal.requests[0].body) == {"auth": "a"}
    assert portal.requests[0].path == "/rest/profile"


def test_a_redirect_is_told_and_not_followed(portal: Portal) -> None:
    portal.response = Response(status=302, headers={"Location": "https://new.example/rest/profile"})
    answer = portal.post()
    assert (answer.status, answer.location, len(portal.requests)) == (302, "https://new.example/rest/profile", 1)


def test_a_slow_portal_is_asked_once_and_left_in_time(portal: Portal) -> None:
    portal.seconds = 2.0
    began = time.monotonic()
    with pytest.raises(Unreachable) as caught:
        portal.post(seconds=0.3)
    assert time.monotonic() - began < 1.8
    assert caught.value.maybe_done
    time.sleep(0.3)  # its first repeat would come at once
    assert len(portal.requests) == 1


def test_a_reset_after_sending_is_ambiguous_and_not_repeated(portal: Portal) -> None:
    portal.response = None
    with pytest.raises(Unreachable) as caught:
        portal.post()
    assert caught.value.maybe_done
    assert len(portal.requests) == 1


def test_a_refused_connection_is_certainly_not_done(portal: Portal) -> None:
    portal.server.go_down()
    with pytest.raises(Unreachable) as caught:
        portal.post()
    assert not caught.value.maybe_done


def test_failures_slow_nothing_down(portal: Portal) -> None:
    portal.response = Response(b"<html>", 502, "text/html")
    began = time.monotonic()
    for _ in range(15):
        portal.post()
    assert time.monotonic() - began < 5
    portal.response = Response(b'{"result": 1, "time": {"operating": 400}}', content_type=JSON)
    for _ in range(5):
        portal.post()
    assert len(portal.requests) == 20
    assert time.monotonic() - began < 8


def test_many_threads_share_one_loop(portal: Portal) -> None:
    portal.seconds = 0.1
    answers: list[Answer] = []
    threads = [threading.Thread(target=lambda: answers.append(portal.post())) for _ in range(30)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == len(portal.requests) == 30
    assert time.monotonic() - began < 2.5  # one after another: 3
    assert len([each for each in threading.enumerate() if each.name == "bitrix24"]) == 1


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9/rest/", "https://127.0.0.1:9/rest/", "https://[::1]:9/rest/"])
def test_local_addresses_are_refused_without_a_connection(endpoint: str) -> None:
    for send in (post, post_file):
        with pytest.raises(Unreachable, match=r"refused to connect|no connection") as caught:
            send(endpoint, "profile", {}, seconds=2, allow_local=False)
        assert not caught.value.maybe_done


def test_a_file_goes_from_the_callers_thread(portal: Portal) -> None:
    content = "QUJD" * 700_000
    answer = post_file(f"{portal.server.url}/rest/", "m", {"FILE": content}, seconds=5, allow_local=True)
    assert answer.body == {"result": True}
    assert json.loads(portal.requests[0].body)["FILE"] == content


def test_a_child_of_a_fork_gets_its_own_loop(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    portal.post()
    mine = transport._process()
    monkeypatch.setattr("crm_adapters.bitrix24.transport.os.getpid", lambda: mine.pid + 1)
    child = transport._process()
    assert child is not mine
    portal.post()
    child.close()
    transport._processes.remove(child)
