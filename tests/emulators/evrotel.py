"""Evrotel's side on loopback: the sender of call events, the host with the recordings, and the web apps.

Source: Evrotel, "API real time call events"; what that document leaves open follows Evrotel's published client
libraries (wearesho-team/evrotel, wearesho-team/yii2-evrotel) and PHP's own behaviour, as its sample sender is in PHP.
"""

from __future__ import annotations

import http.client
import io
import json
import math
import re
import socket
import struct
import time
import urllib.error
import urllib.request
import wave
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from tests.emulators.http import Loopback, Request, Response, wait_until

NOT_FOUND = b"<html><head><title>404 Not Found</title></head><body><center>nginx</center></body></html>"
SIGN_IN = b"<!DOCTYPE html><html><body><form>Sign in</form></body></html>"
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def wav(seconds: float = 0.2, frequency: float = 440.0) -> bytes:
    """A tone as Evrotel records: mono, 16 bit, 8000 Hz."""
    samples = (int(12000 * math.sin(2 * math.pi * frequency * n / 8000)) for n in range(int(8000 * seconds)))
    frames = b"".join(struct.pack("<h", sample) for sample in samples)
    target = io.BytesIO()
    with wave.open(target, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(frames)
    return target.getvalue()


# --- Recordings -------------------------------------------------------------------------------------------------


@dataclass
class Recorded:
    """One path of the recordings host and how it behaves."""

    content: bytes = b""
    status: int = 200
    content_type: str = "audio/x-wav"
    ready_at: float = 0.0
    absent_requests: int = 0
    drip_seconds: float = 0.0
    redirect: str | None = None
    length: int | None = None
    size: int | None = None
    asked: int = 0

    def response(self) -> Response:
        """What this path answers now."""
        self.asked += 1
        if time.monotonic() < self.ready_at or self.asked <= self.absent_requests:
            return Response(NOT_FOUND, 404, "text/html")
        if self.redirect is not None:
            return Response(status=302, headers={"Location": self.redirect})
        if self.drip_seconds or self.size is not None:
            return Response(self._pieces(), self.status, self.content_type, length=self.size or len(self.content))
        return Response(self.content, self.status, self.content_type, length=self.length)

    def _pieces(self) -> Iterator[bytes]:
        if self.size is not None:
            yield self.content
            for begin in range(len(self.content), self.size, 65536):
                yield bytes(min(65536, self.size - begin))
            return
        for byte in self.content:
            yield bytes([byte])
            time.sleep(self.drip_seconds)


class Asked(NamedTuple):
    """A request to the recordings host."""

    time: float
    verb: str
    path: str
    headers: dict[str, str]


class Recordings:
    """The host that call events point to with `recfile`."""

    def __init__(self) -> None:
        self._server = Loopback(self._answer)
        self._files: dict[str, Recorded] = {}
        self.requests: list[Asked] = []
        self.knows_ranges = False

    def __enter__(self) -> Self:
        self._server.listen()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.close()

    @property
    def url(self) -> str:
        """The base for `recfile` paths."""
        return f"{self._server.url}/"

    def address(self, path: str) -> str:
        """A path's full address."""
        return self._server.url + path

    def add(
        self, path: str, content: bytes | None = None, *, ready_after: float = 0.0, absent_requests: int = 0
    ) -> bytes:
        """A recording, if wanted only after some seconds or some requests that meet 404; gives back its bytes."""
        content = wav() if content is None else content
        ready_at = time.monotonic() + ready_after if ready_after else 0.0
        self._files[path] = Recorded(content, ready_at=ready_at, absent_requests=absent_requests)
        return content

    def html(self, path: str) -> None:
        """A page with status 200 where a recording should be."""
        self._files[path] = Recorded(SIGN_IN, content_type="text/html")

    def error(self, path: str, status: int = 500) -> None:
        """An error."""
        self._files[path] = Recorded(b"error", status, "text/html")

    def drip(self, path: str, seconds_per_byte: float, content: bytes | None = None) -> None:
        """A recording that comes byte by byte."""
        self._files[path] = Recorded(wav() if content is None else content, drip_seconds=seconds_per_byte)

    def redirect(self, path: str, to: str) -> None:
        """A 302 to anywhere."""
        self._files[path] = Recorded(redirect=to)

    def huge(self, path: str, size: int) -> None:
        """A recording of that many bytes, true to its Content-Length."""
        self._files[path] = Recorded(wav(), size=size)

    def lying(self, path: str, claimed: int) -> None:
        """A recording whose Content-Length is wrong; where it claims more, the connection ends early."""
        self._files[path] = Recorded(wav(), length=claimed)

    def remove(self, path: str) -> None:
        """404 again."""
        self._files.pop(path, None)

    def request_count(self, path: str | None = None) -> int:
        """Requests, all or for one path."""
        return sum(path in (None, each.path) for each in self.requests)

    def go_down(self) -> None:
        """Refuses connections."""
        self._server.go_down()

    def come_up(self) -> None:
        """Listens again at the same address."""
        self._server.listen()

    def _answer(self, request: Request) -> Response:
        self.requests.append(Asked(time.monotonic(), request.verb, request.path, dict(request.headers.items())))
        known = self._files.get(request.path)
        response = known.response() if known else Response(NOT_FOUND, 404, "text/html")
        return self._part(response, request.headers.get("Range", "")) if self.knows_ranges else response

    @staticmethod
    def _part(response: Response, wanted: str) -> Response:
        """What nginx answers to `Range: bytes=FIRST-LAST`."""
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", wanted)
        if response.status != 200 or not found or not isinstance(response.body, bytes):
            return response
        begin, end = int(found[1]), min(int(found[2]) + 1, len(response.body))
        span = {"Content-Range": f"bytes {begin}-{end - 1}/{len(response.body)}"}
        return Response(response.body[begin:end], 206, response.content_type, headers=span)


# --- The transmitter --------------------------------------------------------------------------------------------

Variant = Literal["form", "json", "json-as-form", "bom", "bom-as-form"]
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
BOM = b"\xef\xbb\xbf"


class Answer(NamedTuple):
    """What a receiver answered, and after how long."""

    status: int
    content_type: str
    body: bytes
    seconds: float

    @property
    def callid(self) -> str:
        """The body as the ID that the end will bring back."""
        return self.body.decode()


@dataclass
class Transmitter:
    """Sends call events as Evrotel's http_post() does: PHP's stream wrapper, the bare token, one connection each."""

    url: str
    token: str
    timeout: float = 60.0  # default_socket_timeout
    authorization: str | None = None  # instead of the bare token; "" sends no such header

    def start(self, number_a: str, number_b: str, direction: str = "i", **more: Any) -> Answer:
        """A call begins; `more` adds or overrides keys, null ones included."""
        return self.send(start_event(number_a, number_b, direction, **more))

    def end(self, callid: str | None, direction: str = "i", **more: Any) -> Answer:
        """A call has ended."""
        return self.send(end_event(callid, direction, **more))

    def send(self, data: dict[str, Any], variant: Variant = "form") -> Answer:
        """Sends any content."""
        return self.send_raw(*encode(data, variant))

    def send_raw(self, body: bytes, content_type: str | None = FORM) -> Answer:
        """Sends any body; with no label PHP would add that of a form."""
        begun = time.monotonic()
        parts = urlsplit(self.url)
        place = (parts.hostname or "127.0.0.1", parts.port or 80)
        with socket.create_connection(place, timeout=self.timeout) as connection:
            connection.sendall(self._head(len(body), content_type or FORM) + body)
            response = http.client.HTTPResponse(connection, method="POST")
            try:
                response.begin()
                content = response.read()
                label = response.getheader("Content-Type", "") or ""
                return Answer(response.status, label, content, time.monotonic() - begun)
            finally:
                response.close()

    def _head(self, length: int, content_type: str) -> bytes:
        parts = urlsplit(self.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        authorization = self.token if self.authorization is None else self.authorization
        lines = [f"POST {target} HTTP/1.1", f"Host: {parts.netloc}", "Connection: close"]
        lines += [f"Authorization: {authorization}"] if authorization else []
        lines += [f"Content-Length: {length}", f"Content-Type: {content_type}"]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


def start_event(number_a: str, number_b: str, direction: str = "i", **more: Any) -> dict[str, Any]:
    """The content of a start; what is only known at the end is null."""
    return {
        "callstatus": "start",
        "calldate": "2018-04-01 00:00:11",
        "numberA": number_a,
        "numberB": number_b,
        "direction": direction,
        "billsec": None,
        "disposition": None,
        "recfile": None,
        **more,
    }


def end_event(callid: str | None, direction: str = "i", **more: Any) -> dict[str, Any]:
    """The content of an end; the document's own example has no numbers."""
    return {
        "callstatus": "end",
        "calldate": "2018-04-01 00:02:11",
        "callid": callid,
        "direction": direction,
        "billsec": "78",
        "disposition": "ANSWERED",
        "recfile": "/wav/9/2018-04-01/1522566805.1461640-1198614775.wav",
        **more,
    }


def encode(data: dict[str, Any], variant: Variant = "form") -> tuple[bytes, str]:
    """The body and its label in each form that has been seen; null vanishes from a form."""
    if variant == "form":
        return urlencode({key: value for key, value in data.items() if value is not None}).encode(), FORM
    body = json.dumps(data).replace("/", "\\/").encode()  # json_encode escapes slashes
    marked = BOM + body if variant.startswith("bom") else body
    return marked, FORM if variant.endswith("as-form") else JSON


# --- The web apps -----------------------------------------------------------------------------------------------


class AppRequest(NamedTuple):
    """A request to one of the web apps."""

    path: str
    authorization: str
    content: Any


@dataclass
class WebApps:
    """Click-to-call, autodial and the call records, for one account.

    Evrotel documents no answers; a refusal is status 200 with the body `bad`, and `refusals` says why.
    """

    token: str = "G7bng65jYk8GF294"
    billcode: str = "20558"
    accepted: str = "ok"
    refuse: bool = False
    repeat_seconds: float = 0.0
    answer_seconds: float = 0.0
    requests: list[AppRequest] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    media: dict[str, bytes] = field(default_factory=dict)
    records: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    auto_records: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    dial_answers: dict[str, list[str]] = field(default_factory=dict)
    _dialled: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._server = Loopback(self._answer)

    def __enter__(self) -> Self:
        self._server.listen()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.close()

    @property
    def url(self) -> str:
        """EVROTEL_API_URL."""
        return self._server.url

    @property
    def dial_url(self) -> str:
        """EVROTEL_DIAL_URL."""
        return f"{self._server.url}/autodialapi/call_worker_api.php"

    def go_down(self) -> None:
        """Refuses connections."""
        self._server.go_down()

    def come_up(self) -> None:
        """Listens again at the same address."""
        self._server.listen()

    def add_record(self, day: date | str, *, auto: bool = False, **row: Any) -> dict[str, Any]:
        """A row of a day's call records."""
        rows = (self.auto_records if auto else self.records).setdefault(str(day), [])
        made = {**record_row(len(rows) + 1), "billcode": self.billcode, **row}
        rows.append(made)
        return made

    def wait_for(self, path: str, timeout: float = 5.0) -> AppRequest | None:
        """The first request to a path, as soon as it is there."""
        wait_until(lambda: any(each.path == path for each in self.requests), timeout)
        return next((each for each in self.requests if each.path == path), None)

    def _answer(self, request: Request) -> Response:
        content = self._content(request)
        authorization = str(request.headers.get("Authorization", ""))
        self.requests.append(AppRequest(request.path, authorization, content))
        time.sleep(self.answer_seconds)
        if request.path == "/autodialapi/call_worker_api.php":
            return _text(self._dial(content))
        if self.token not in authorization:
            self.refusals.append(f"{request.path}: wrong token")
            return Response(b"Access denied", 403)
        statistics = re.fullmatch(rf"/statusers/stat_{self.billcode}(_auto)?\.php", request.path)
        if statistics and request.verb == "GET":
            return self._statistics(content, auto=bool(statistics[1]))
        apps = {"/webapp/": self._call, "/autodial/media/": self._upload, "/autodial/": self._autodial}
        if request.path not in apps or request.verb != "POST":
            return Response(NOT_FOUND, 404)
        return _text(apps[request.path](content))

    @staticmethod
    def _content(request: Request) -> Any:
        if request.verb == "GET":
            return {key: values[-1] for key, values in parse_qs(request.query).items()}
        try:
            return json.loads(request.body)
        except ValueError:
            return dict(parse_qsl(request.body.decode("utf-8", "replace")))

    def _refused(self, why: str) -> str:
        self.refusals.append(why)
        return "bad"

    def _call(self, content: dict[str, Any]) -> str:
        extensions = content.get("numberA")
        if self.refuse or content.get("billcode") != self.billcode:
            return self._refused("webapp: refused or wrong billcode")
        if not isinstance(extensions, list) or not extensions or not all(isinstance(each, str) for each in extensions):
            return self._refused(f"webapp: numberA must be an array of extensions, not {extensions!r}")
        if content.get("routing") not in ("rand", "inline", "all"):
            return self._refused(f"webapp: unknown routing {content.get('routing')!r}")
        if not re.fullmatch(r"(380|0)\d{9}|\d{7,15}", str(content.get("numberB"))):
            return self._refused(f"webapp: unusable numberB {content.get('numberB')!r}")
        return self.accepted

    def _upload(self, content: dict[str, Any]) -> str:
        """Fetches the file itself and insists on mono, 16 bit, 8000 Hz."""
        address = str(content.get("mediafile"))
        name = urlsplit(address).path.rsplit("/", 1)[-1]
        if content.get("billcode") != self.billcode:
            return self._refused("autodial/media: wrong billcode")
        try:
            with DIRECT.open(address, timeout=10) as answer:
                audio = bytes(answer.read())
            with wave.open(io.BytesIO(audio)) as sound:
                form = (sound.getnchannels(), sound.getsampwidth(), sound.getframerate())
        except (OSError, ValueError, EOFError, http.client.HTTPException, wave.Error) as trouble:
            if isinstance(trouble, urllib.error.HTTPError):
                trouble.close()
            self.refusals.append(f"autodial/media: {trouble}")
            return "wrong mediafile name"
        if form != (1, 2, 8000) or not name.endswith(".wav"):
            self.refusals.append(f"autodial/media: {name} is {form}")
            return "wrong mediafile name"
        self.media[f"{self.billcode}_{name}"] = audio
        return f"saved: {self.billcode}_{name}"

    def _autodial(self, content: dict[str, Any]) -> str:
        count = content.get("chnum")
        if self.refuse or content.get("billcode") != self.billcode or content.get("mediafile") not in self.media:
            return self._refused("autodial: refused, wrong billcode or unknown mediafile")
        if not isinstance(count, int) or count < 1:
            return self._refused(f"autodial: chnum must be a number, not {count!r}")
        return self.accepted

    def _dial(self, content: dict[str, Any]) -> str:
        """The per-number call answers one word: the answers set for the number in turn, the last one for ever."""
        number = str(content.get("nm"))
        if content.get("billcode") != self.billcode or content.get("mediafile") not in self.media:
            return self._refused("call_worker_api: wrong billcode or unknown mediafile").upper()
        if not re.fullmatch(r"380\d{9}", number):
            return self._refused(f"call_worker_api: nm must be 380XXXXXXXXX, not {number}").upper()
        asked, self._dialled[number] = self._dialled.get(number), time.monotonic()
        if asked is not None and time.monotonic() - asked < self.repeat_seconds:
            return f"TimeLimit {self.repeat_seconds:g} sec !"
        answers = self.dial_answers.get(number, ["ANSWER"])
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def _statistics(self, content: dict[str, Any], *, auto: bool) -> Response:
        if content.get("billcode") != self.billcode or not re.fullmatch(r"\d{4}-\d\d-\d\d", content.get("start", "")):
            self.refusals.append(f"statusers: wrong billcode or start {content}")
            return _text("bad")
        rows = (self.auto_records if auto else self.records).get(content["start"], [])
        return Response(json.dumps({"calls": rows}).encode(), content_type="application/json")


def record_row(number: int) -> dict[str, Any]:
    """A row like the published sample: the wall time 09:03:03 in Kyiv, with an offset that is not true."""
    begun = 1545721383 + number
    wall_time = datetime.fromtimestamp(begun, UTC) + timedelta(hours=2)
    return {
        "id": 1000 + number,
        "uniqueid": f"{begun}.{number}",
        "linkedid": f"{begun}.{number}",
        "calldate": wall_time.isoformat(timespec="seconds"),
        "billsec": 10,
        "duration": 15,
        "direction": "o",
        "numberA": "101",
        "numberB": "0679853913",
        "did": None,
        "disposition": "ANSWERED",
        "recfile": f"/var/www/html/wav/9/2018-12-25/{begun}.{number}-1.wav",
        "accountcode": None,
    }


def _text(body: str) -> Response:
    return Response(body.encode())
