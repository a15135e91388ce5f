"""Click-to-call, autodial and the call records."""

from __future__ import annotations

import http.client
import io
import json
import re
import threading
import time
import urllib.error
import urllib.request
import wave
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import parse_qs, parse_qsl, urlsplit

from tests.emulators.evrotel.exchange import Exchange
from tests.emulators.evrotel.recordings import NOT_FOUND
from tests.emulators.http import Emulator, Request, Response, wait_until

OUTCOMES = {
    "ANSWER": ("ANSWERED", 5),
    "good": ("ANSWERED", 5),
    "BUSY": ("BUSY", 0),
    "NOANSWER": ("NO ANSWER", 0),
    "CONGESTION": ("CONGESTION", 0),
}
"""How the PBX names what the per-number call answers, and the seconds of talk."""
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class AppRequest(NamedTuple):
    """A request to one of the web apps."""

    path: str
    authorization: str
    content: Any


@dataclass
class WebApps(Emulator):
    """Click-to-call, autodial and the call records, for one account.

    Evrotel documents no answers; a refusal is status 200 with the body `bad`, and `refusals` says why. With an
    `exchange` what is accepted becomes a call. The per-number call lasts `play_seconds`; `plays` are the numbers it
    called, in order, `heard` those that were answered, and `most_playing` how many were called at the same time.
    """

    token: str = "G7bng65jYk8GF294"
    billcode: str = "20558"
    accepted: str = "ok"
    refuse: bool = False
    fails: bool = False
    repeat_seconds: float = 0.0
    answer_seconds: float = 0.0
    requests: list[AppRequest] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    media: dict[str, bytes] = field(default_factory=dict)
    records: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    auto_records: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    dial_answers: dict[str, list[str]] = field(default_factory=dict)
    autodial_number: str = "001"
    play_seconds: float = 0.0
    exchange: Exchange | None = None
    plays: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    playing: int = 0
    most_playing: int = 0
    knows_records: bool = True
    records_body: bytes | None = None
    _dialled: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._counting = threading.Lock()
        super().__init__()

    @property
    def url(self) -> str:
        """EVROTEL_API_URL."""
        return self._server.url

    @property
    def dial_url(self) -> str:
        """EVROTEL_DIAL_URL."""
        return f"{self._server.url}/autodialapi/call_worker_api.php"

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
        if self.fails:
            return Response(b"Internal Server Error", 500)
        if request.path == "/autodialapi/call_worker_api.php":
            return _text(self._dial(content))
        if self.token not in authorization:
            self.refusals.append(f"{request.path}: wrong token")
            return Response(b"Access denied", 403)
        statistics = re.fullmatch(rf"/statusers/stat_{self.billcode}(_auto)?\.php", request.path)
        if statistics and request.verb == "GET" and self.knows_records:
            if self.records_body is not None:
                return Response(self.records_body)
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
        if self.exchange is not None:
            self.exchange.add_record = self.add_record
            self.exchange.begin(extensions[0], str(content["numberB"]))
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
        with self._counting:
            asked = self._dialled.get(number)
            if asked is not None and time.monotonic() - asked < self.repeat_seconds:
                return f"TimeLimit {self.repeat_seconds:g} sec !"
            self._dialled[number] = time.monotonic()
            self.plays.append(number)
            self.playing += 1
            self.most_playing = max(self.most_playing, self.playing)
            answers = self.dial_answers.get(number, ["ANSWER"])
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if answer in {"ANSWER", "good"}:
                self.heard.append(number)
        try:
            time.sleep(self.play_seconds)
            if self.exchange is not None and answer in OUTCOMES:
                self.exchange.add_record = self.add_record
                self.exchange.make(self.autodial_number, number, *OUTCOMES[answer], auto=True)
        finally:
            with self._counting:
                self.playing -= 1
        return answer

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
