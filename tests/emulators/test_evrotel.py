"""The emulated Evrotel: its sender, its recordings and its web apps."""

from __future__ import annotations

import io
import json
import socket
import time
import wave
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.emulators.evrotel import Recordings, Transmitter, Variant, WebApps, end_event, start_event, wav
from tests.emulators.http import Loopback, Request, Response


class Receiver:
    """Keeps what it is sent and answers like the document's own receiver."""

    def __init__(self) -> None:
        self.got: list[Request] = []
        self.server = Loopback(self.answer)

    def answer(self, request: Request) -> Response:
        self.got.append(request)
        return Response(b"externalCall.1", content_type="text/plain; charset=utf-8")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    with made.server:
        yield made


@pytest.fixture
def recordings() -> Iterator[Recordings]:
    with Recordings() as host:
        yield host


@pytest.fixture
def apps() -> Iterator[WebApps]:
    with WebApps() as made:
        yield made


# --- The transmitter --------------------------------------------------------------------------------------------------


def test_a_start_looks_like_phps(receiver: Receiver) -> None:
    answer = Transmitter(f"{receiver.server.url}/evrotel/default/events", "TOK").start("0987858227", "0679853913")
    assert (answer.status, answer.content_type, answer.callid) == (200, "text/plain; charset=utf-8", "externalCall.1")
    assert 0 < answer.seconds < 5
    [request] = receiver.got
    assert (request.verb, request.path) == ("POST", "/evrotel/default/events")
    assert dict(request.headers.items()) == {
        "Host": receiver.server.address,
        "Connection": "close",
        "Authorization": "TOK",
        "Content-Length": str(len(request.body)),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    assert request.body == (
        b"callstatus=start&calldate=2018-04-01+00%3A00%3A11&numberA=0987858227&numberB=0679853913&direction=i"
    )


@pytest.mark.parametrize(
    ("variant", "label", "marked"),
    [
        ("json", "application/json", False),
        ("json-as-form", "application/x-www-form-urlencoded", False),
        ("bom", "application/json", True),
        ("bom-as-form", "application/x-www-form-urlencoded", True),
    ],
)
def test_json_variants(receiver: Receiver, variant: Variant, label: str, marked: bool) -> None:
    event = end_event("123456789")
    Transmitter(receiver.server.url, "TOK").send(event, variant)
    [request] = receiver.got
    assert request.content_type == label
    assert request.body.startswith(b"\xef\xbb\xbf") is marked
    assert b"\\/wav\\/9\\/" in request.body
    assert json.loads(request.body.decode("utf-8-sig")) == event


def test_events_can_be_bent(receiver: Receiver) -> None:
    sender = Transmitter(receiver.server.url, "TOK", authorization="Bearer TOK")
    sender.end(None, billsec=None, numberA="101", Recfile="NULL")
    assert receiver.got[0].headers["Authorization"] == "Bearer TOK"
    assert b"callid" not in receiver.got[0].body
    assert b"Recfile=NULL" in receiver.got[0].body
    Transmitter(receiver.server.url, "TOK", authorization="").send_raw(b"\xff\xfe")
    assert "Authorization" not in receiver.got[1].headers
    assert start_event("1", "2")["billsec"] is None


# --- Recordings -------------------------------------------------------------------------------------------------------


def test_recordings_are_real_wav() -> None:
    with wave.open(io.BytesIO(wav(0.5))) as sound:
        form = (sound.getnchannels(), sound.getsampwidth(), sound.getframerate(), sound.getnframes())
    assert form == (1, 2, 8000, 4000)


def test_recordings_appear_late(recordings: Recordings) -> None:
    content = recordings.add("/wav/a.wav", absent_requests=2)
    statuses = [requests.get(recordings.address("/wav/a.wav"), timeout=5).status_code for _ in range(3)]
    assert statuses == [404, 404, 200]
    recordings.add("/wav/b.wav", ready_after=0.1)
    assert requests.get(recordings.address("/wav/b.wav"), timeout=5).status_code == 404
    time.sleep(0.12)
    answer = requests.get(recordings.address("/wav/b.wav"), timeout=5)
    assert (answer.content, answer.headers["Content-Type"]) == (content, "audio/x-wav")
    assert recordings.request_count("/wav/a.wav") == 3
    assert recordings.request_count() == 5
    assert requests.head(recordings.address("/wav/a.wav"), timeout=5).headers["Content-Length"] == str(len(content))


def test_recordings_misbehave(recordings: Recordings) -> None:
    recordings.html("/page.wav")
    recordings.error("/error.wav")
    recordings.redirect("/inside.wav", "http://169.254.169.254/")
    recordings.huge("/huge.wav", 3_000_001)
    recordings.lying("/short.wav", 99_999)
    recordings.drip("/drip.wav", 0.05)
    page = requests.get(recordings.address("/page.wav"), timeout=5)
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html")
    assert requests.get(recordings.address("/error.wav"), timeout=5).status_code == 500
    moved = requests.get(recordings.address("/inside.wav"), timeout=5, allow_redirects=False)
    assert (moved.status_code, moved.headers["Location"]) == (302, "http://169.254.169.254/")
    assert len(requests.get(recordings.address("/huge.wav"), timeout=5).content) == 3_000_001
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        _ = requests.get(recordings.address("/short.wav"), timeout=5).content
    begun = time.monotonic()
    with requests.get(recordings.address("/drip.wav"), timeout=5, stream=True) as answer:
        pieces = answer.iter_content(1)
        assert b"".join(next(pieces) for _ in range(4)) == b"RIFF"
    assert time.monotonic() - begun >= 0.1
    recordings.go_down()
    with pytest.raises(requests.ConnectionError):
        requests.get(recordings.address("/page.wav"), timeout=5)
    recordings.come_up()
    recordings.remove("/page.wav")
    assert requests.get(recordings.address("/page.wav"), timeout=5).status_code == 404


# --- The web apps -----------------------------------------------------------------------------------------------------


def post(apps: WebApps, path: str, token: str | None = None, **content: Any) -> str:
    headers = {"Authorization": apps.token if token is None else token}
    return requests.post(f"{apps.url}/{path}", json=content, headers=headers, timeout=5).text


CALL: dict[str, Any] = {"billcode": "20558", "numberA": ["101", "102"], "numberB": "0679853913", "routing": "rand"}


def test_click_to_call(apps: WebApps) -> None:
    assert post(apps, "webapp/", **CALL) == "ok"
    found = apps.wait_for("/webapp/")
    assert found is not None
    assert found.content == CALL
    for wrong in ({"billcode": "1"}, {"numberA": "101"}, {"routing": "random"}, {"numberB": "anonymous"}):
        assert post(apps, "webapp/", **{**CALL, **wrong}) == "bad"
    assert post(apps, "webapp/", token="wrong", **CALL) == "Access denied"
    apps.refuse = True
    assert post(apps, "webapp/", **CALL) == "bad"
    assert len(apps.refusals) == 6


def test_autodial(apps: WebApps, recordings: Recordings) -> None:
    recordings.add("/media/playfile1.wav")
    recordings.html("/media/page.wav")
    media: dict[str, Any] = {"billcode": "20558", "mediafile": recordings.address("/media/playfile1.wav")}
    start: dict[str, Any] = {"billcode": "20558", "mediafile": "20558_playfile1.wav", "chnum": 5}
    assert post(apps, "autodial/", **start) == "bad"
    for wrong in ("/media/page.wav", "/media/none.wav"):
        assert (
            post(apps, "autodial/media/", **{**media, "mediafile": recordings.address(wrong)}) == "wrong mediafile name"
        )
    assert post(apps, "autodial/media/", **media) == "saved: 20558_playfile1.wav"
    assert post(apps, "autodial/", **start) == "ok"
    assert post(apps, "autodial/", **{**start, "chnum": "5"}) == "bad"


def test_one_number_at_a_time(apps: WebApps) -> None:
    apps.media["20558_a.wav"] = wav()
    apps.dial_answers["380679853913"] = ["BUSY", "ANSWER"]
    form = {"billcode": "20558", "mediafile": "20558_a.wav", "nm": "380679853913"}
    answers = [requests.post(apps.dial_url, data=form, timeout=5).text for _ in range(3)]
    assert answers == ["BUSY", "ANSWER", "ANSWER"]
    assert requests.post(apps.dial_url, data={**form, "nm": "0679853913"}, timeout=5).text == "BAD"
    apps.repeat_seconds = 60
    assert requests.post(apps.dial_url, data=form, timeout=5).text == "TimeLimit 60 sec !"


def test_call_records(apps: WebApps) -> None:
    row = apps.add_record("2018-12-25", direction="i")
    apps.add_record("2018-12-25", auto=True, linkedid=row["linkedid"])
    url = f"{apps.url}/statusers/stat_20558.php"
    ask = {"billcode": "20558", "start": "2018-12-25"}
    headers = {"Authorization": apps.token}
    assert requests.get(url, params=ask, headers=headers, timeout=5).json() == {"calls": [row]}
    empty = requests.get(url, params={**ask, "start": "2018-12-26"}, headers=headers, timeout=5)
    assert empty.json() == {"calls": []}
    auto = requests.get(url.replace(".php", "_auto.php"), params=ask, headers=headers, timeout=5)
    assert auto.json()["calls"][0]["linkedid"] == row["linkedid"]
    assert requests.get(url, params=ask, timeout=5).status_code == 403
    assert requests.get(url, headers=headers, timeout=5).text == "bad"
    assert apps.requests[0].content == ask


# --- The shared base --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "half", [b"POST /x HT", b"POST /x HTTP/1.1\r\nHost: a\r\n", b"POST /x HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf"]
)
def test_a_client_that_dies_half_way_was_never_heard(receiver: Receiver, half: bytes) -> None:
    with socket.create_connection(("127.0.0.1", receiver.server.port), timeout=5) as connection:
        connection.sendall(half)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(10) == b""
    assert (receiver.got, receiver.server.crashes) == ([], [])


def test_nonsense_is_the_test_s_mistake(receiver: Receiver) -> None:
    with socket.create_connection(("127.0.0.1", receiver.server.port), timeout=5) as connection:
        connection.sendall(b"hello\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 400"
    assert len(receiver.server.crashes) == 1
