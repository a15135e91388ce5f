"""Evrotel's HTTP API: has it dial, gives it audio files, starts its own list, reads its call records.

The operator's document names the requests and no answer; known are a few one-word bodies of older endpoints (packages
wearesho-team/evrotel and wearesho-team/yii2-evrotel). What can't be understood is never taken for a yes that matters.
"""

from __future__ import annotations

import codecs
import json
import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

import requests
from urllib3.exceptions import NewConnectionError

from connector.connections.store import Connection
from connector.settings import Settings
from crm_adapters.events import Disposition
from crm_adapters.http import BodyTooLarge, DeadlinePassed, read_capped

logger = logging.getLogger(__name__)

CONNECT_SECONDS, CALL_SECONDS = 3.0, 10.0
MEDIA_SECONDS, RECORDS_SECONDS = 60.0, 30.0
"""Evrotel fetches an audio file while we wait; a day's records can be long."""
PLAY_SECONDS, SHORT_MESSAGE = 150.0, 60.0
"""The call that plays a message answers when it is over: a minute of ringing, one of the message, what is over that."""
LONGEST_ANSWER, SHOWN = 65536, 300
LONGEST_RECORDS = 64 * 1024 * 1024
_NO = re.compile(r"[\s\"']*(?:bad|access denied|error|fail|forbidden|invalid|unknown|wrong)", re.IGNORECASE)
"""How bodies begin that come with status 200 and mean no: `bad` (package wearesho-team/evrotel), `Access denied` (the
operator's own sample receiver), `wrong mediafile name`, and other words that begin no yes."""
DOORS_SHUT = frozenset({401, 403, 408, 429})
"""Statuses that say nothing of the number: nobody was called, and the same request may go through later."""
PLAYED: dict[str, Disposition] = {
    "answer": Disposition.ANSWERED,
    "busy": Disposition.BUSY,
    "noanswer": Disposition.NO_ANSWER,
    "congestion": Disposition.CONGESTION,
    "bad": Disposition.FAILED,
    "none": Disposition.FAILED,
}
"""What the call that plays a message answers when it is over (wearesho-team/evrotel, src/AutoDial/Disposition.php);
anything else, such as `good`, says that it was taken."""


class Verdict(StrEnum):
    """What became of a request to dial."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    """It certainly was not sent: it may be sent again."""
    TOO_SOON = "too_soon"
    """Evrotel takes no second call to the number within a minute."""
    UNCLEAR = "unclear"
    """It was sent, and nobody knows what became of it."""


@dataclass(frozen=True, kw_only=True)
class DialAnswer:
    """The verdict and what Evrotel said, shortened; with `disposition` how a played message ended, and with
    `wait_seconds` how long Evrotel wants to be left alone where it was asked too soon. `status` is HTTP's, 0 where no
    answer came."""

    verdict: Verdict
    text: str = ""
    status: int = 0
    disposition: Disposition | None = None
    wait_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class MediaAnswer:
    """Whether Evrotel has fetched an audio file; `mediafile` is then the name that it keeps it under."""

    verdict: Verdict
    text: str = ""
    mediafile: str | None = None


@dataclass(frozen=True, kw_only=True)
class RecordsAnswer:
    """A day's call records, as they came. `verdict` is not ACCEPTED where there is nothing that could be read."""

    verdict: Verdict
    text: str = ""
    rows: Sequence[Any] = field(default_factory=tuple)


class EvrotelClient:
    """One connection's account at Evrotel."""

    def __init__(self, settings: Settings, connection: Connection) -> None:
        self._settings = settings
        self._billcode = connection.get("evrotel_billcode")
        self._headers = {"Authorization": connection.get("evrotel_token"), "Accept-Encoding": "identity"}

    def call(self, extensions: Sequence[str], number: str, routing: str) -> DialAnswer:
        """Has one of the extensions ring, and the client called when somebody picks up."""
        content = {
            "billcode": self._billcode,
            "numberA": list(extensions),
            "numberB": dialled_number(number),
            "routing": routing,
        }
        return self._yes_or_no(self._app("webapp/"), content)

    def start_autodial(self, mediafile: str, chnum: int) -> DialAnswer:
        """Has a file played to the list of numbers that is kept in Evrotel's own cabinet, `chnum` calls at once."""
        content = {"billcode": self._billcode, "mediafile": mediafile, "chnum": chnum}
        return self._yes_or_no(self._app("autodial/"), content)

    def push_media(self, url: str) -> MediaAnswer:
        """Has Evrotel fetch a WAV (mono, 16 bit, 8000 Hz) from a public address whose path ends in its name."""
        content = {"billcode": self._billcode, "mediafile": url}
        answer, _ = self._send("POST", self._app("autodial/media/"), MEDIA_SECONDS, json=content)
        if answer.verdict is not Verdict.ACCEPTED:
            return MediaAnswer(verdict=answer.verdict, text=answer.text)
        saved = re.fullmatch(r"saved:\s*(?P<name>[\w.-]{1,200})", answer.text, re.ASCII)
        if saved is None:
            return MediaAnswer(verdict=Verdict.REFUSED, text=answer.text)
        return MediaAnswer(verdict=Verdict.ACCEPTED, text=answer.text, mediafile=saved["name"])

    def play(self, mediafile: str, number: str, message: timedelta | None = None) -> DialAnswer:
        """Calls one client and plays a file that Evrotel has, of the length `message`; answers when that is over."""
        longer = 0.0 if message is None else max(message.total_seconds() - SHORT_MESSAGE, 0.0)
        content = {"billcode": self._billcode, "mediafile": mediafile, "nm": dialled_number(number)}
        answer, _ = self._send("POST", self._settings.evrotel_dial_url, PLAY_SECONDS + longer, data=content)
        if answer.verdict is Verdict.REFUSED and answer.status in DOORS_SHUT:
            return replace(answer, verdict=Verdict.UNREACHABLE)
        if answer.verdict is not Verdict.ACCEPTED:
            return answer
        if limit := _TIME_LIMIT.search(answer.text):
            return _too_soon(limit, answer.text)
        return DialAnswer(verdict=Verdict.ACCEPTED, text=answer.text, disposition=played(answer.text))

    def records(self, day: date, *, auto: bool = False) -> RecordsAnswer:
        """The call records of a day in the PBX's zone; `auto`: those of the autodial."""
        url = self._app(f"statusers/stat_{self._billcode}{'_auto' if auto else ''}.php")
        query = {"billcode": self._billcode, "start": day.isoformat()}
        answer, body = self._send("GET", url, RECORDS_SECONDS, params=query, longest=LONGEST_RECORDS)
        if answer.verdict is not Verdict.ACCEPTED:
            return RecordsAnswer(verdict=answer.verdict, text=answer.text)
        try:
            # One name in another encoding, or one number of thousands of digits, does not cost the whole day.
            rows = json.loads(body.decode(json.detect_encoding(body), "replace"), parse_int=_whole_number)["calls"]
        except (ValueError, LookupError, TypeError, RecursionError):
            rows = None
        if not isinstance(rows, list):
            return RecordsAnswer(verdict=Verdict.REFUSED, text=answer.text)
        return RecordsAnswer(verdict=Verdict.ACCEPTED, rows=rows)

    def _without_token(self, text: str) -> str:
        """An answer may repeat what it was asked with; it is shown to people and kept in the log."""
        token = self._headers["Authorization"]
        return text.replace(token, "***") if token else text

    def _app(self, path: str) -> str:
        return f"{self._settings.evrotel_api_url.rstrip('/')}/{path}"

    def _yes_or_no(self, url: str, content: dict[str, Any]) -> DialAnswer:
        answer, body = self._send("POST", url, CALL_SECONDS, json=content)
        if answer.verdict is not Verdict.ACCEPTED:
            return answer
        if limit := _TIME_LIMIT.search(answer.text):
            return _too_soon(limit, answer.text)
        if _NO.match(answer.text) or _names_error(body):
            return DialAnswer(verdict=Verdict.REFUSED, text=answer.text)
        if answer.text.startswith("<"):  # a page, such as a sign-in or a script's warning: nobody's yes
            return DialAnswer(verdict=Verdict.UNCLEAR, text=answer.text)
        return answer

    def _send(
        self, method: str, url: str, seconds: float, *, longest: int = LONGEST_ANSWER, **content: Any
    ) -> tuple[DialAnswer, bytes]:
        """One request, kept in the log, which masks secrets and numbers; its verdict, and the whole body."""
        began = time.monotonic()
        answer, body = self._exchange(method, url, seconds, longest, content)
        logger.info(
            "Evrotel %s %s %s: %s after %.1f s, %s",
            method,
            url,
            _shown(content.get("json") or content.get("data") or content.get("params")),
            "answered" if answer.verdict is Verdict.ACCEPTED else answer.verdict,
            time.monotonic() - began,
            answer.text[:100],
        )
        return answer, body

    def _exchange(
        self, method: str, url: str, seconds: float, longest: int, content: dict[str, Any]
    ) -> tuple[DialAnswer, bytes]:
        deadline = time.monotonic() + seconds
        try:
            with direct_session() as session:
                response = session.request(
                    method,
                    url,
                    headers=self._headers,
                    timeout=(CONNECT_SECONDS, seconds),
                    allow_redirects=False,
                    stream=True,
                    **content,
                )
                body = read_capped(response, longest, deadline)
        except (requests.RequestException, BodyTooLarge, DeadlinePassed) as error:
            verdict = Verdict.UNREACHABLE if _not_sent(error) else Verdict.UNCLEAR
            return DialAnswer(verdict=verdict, text=type(error).__name__), b""
        text, status = self._without_token(_one_line(body[:LONGEST_ANSWER])), response.status_code
        if status < 300:
            return DialAnswer(verdict=Verdict.ACCEPTED, text=text[:SHOWN], status=status), body
        # 5xx is a proxy's, perhaps, after Evrotel has taken the request
        verdict = Verdict.UNCLEAR if status >= 500 else Verdict.REFUSED
        return DialAnswer(verdict=verdict, text=f"{status} {text}"[:SHOWN], status=status), body


def _whole_number(digits: str) -> int | float:
    """A number of JSON; one with more digits than Python reads is infinite, which is no value of a record's."""
    try:
        return int(digits)
    except ValueError:
        return float("inf")


def _shown(content: Any) -> Any:
    """What was sent as the log may have it: the address of an audio file is as good as the file."""
    return {key: "(link)" if "://" in str(value) else value for key, value in (content or {}).items()}


def _one_line(body: bytes) -> str:
    """A body as a text for people: what a BOM says of it is heeded, and no control character is left of it, since
    PostgreSQL takes no NUL and a log line is one line."""
    is_utf16 = body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = body.decode("utf-16" if is_utf16 else "utf-8-sig", "replace")
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def _names_error(body: bytes) -> bool:
    """Whether this is a JSON object that tells of an error, however it does."""
    try:
        content = json.loads(body[:LONGEST_ANSWER])
    except (ValueError, RecursionError):
        return False
    if not isinstance(content, dict):
        return False
    says_no = any(isinstance(value, str) and _NO.match(value) for value in content.values())
    return says_no or bool(content.get("error") or content.get("errors")) or content.get("success") is False


def _too_soon(limit: re.Match[str], text: str) -> DialAnswer:
    wait = float(limit["seconds"]) if limit["seconds"] else None
    return DialAnswer(verdict=Verdict.TOO_SOON, text=text, wait_seconds=wait)


_TIME_LIMIT = re.compile(r"timelimit\s*(?P<seconds>\d{1,5})?", re.IGNORECASE)


def played(answer: str) -> Disposition | None:
    """How a played message ended by Evrotel's answer; None where that does not say."""
    return PLAYED.get(re.sub(r"[^a-z]", "", answer.lower()))


def direct_session() -> requests.Session:
    """The environment's proxies and passwords (netrc) are for others: ours is the Authorization header alone."""
    session = requests.Session()
    session.trust_env = False
    return session


def _not_sent(error: Exception) -> bool:
    """Whether there was no connection at all."""
    cause = error.args[0] if isinstance(error, requests.ConnectionError) and error.args else None
    return isinstance(error, requests.ConnectTimeout) or isinstance(getattr(cause, "reason", None), NewConnectionError)


def dialled_number(number: str) -> str:
    """A number as Evrotel takes it: digits alone, of a Ukrainian one 380 and nine more."""
    return "".join(character for character in number if character.isdecimal())
