"""Evrotel's HTTP API: has it dial. What it answers is documented nowhere; known are a few one-word bodies."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import requests
from urllib3.exceptions import NewConnectionError

from connector.connections.store import Connection
from connector.settings import Settings
from crm_adapters.events import Disposition
from crm_adapters.http import BodyTooLarge, DeadlinePassed, read_capped

CONNECT_SECONDS, CALL_SECONDS = 3.0, 10.0
PLAY_SECONDS = 150.0
"""The call that plays a message answers when it is over."""
LONGEST_ANSWER, SHOWN = 65536, 300
REFUSALS = frozenset({"bad", "access denied"})
"""Bodies that come with status 200 and mean no (package wearesho-team/evrotel; the operator's own sample receiver)."""
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
    """The verdict and what Evrotel said, shortened; with `disposition` how a played message ended."""

    verdict: Verdict
    text: str = ""
    disposition: Disposition | None = None


class EvrotelClient:
    """One connection's account at Evrotel."""

    def __init__(self, settings: Settings, connection: Connection) -> None:
        self._settings = settings
        self._billcode = connection.get("evrotel_billcode")
        self._headers = {"Authorization": connection.get("evrotel_token")}

    def call(self, extensions: list[str], number: str, routing: str) -> DialAnswer:
        """Has one of the extensions ring, and the client called when somebody picks up."""
        content = {
            "billcode": self._billcode,
            "numberA": extensions,
            "numberB": dialled_number(number),
            "routing": routing,
        }
        url = f"{self._settings.evrotel_api_url.rstrip('/')}/webapp/"
        answer = self._post(url, CALL_SECONDS, json=content)
        if answer.verdict is Verdict.ACCEPTED and answer.text.lower() in REFUSALS:
            return DialAnswer(verdict=Verdict.REFUSED, text=answer.text)
        return answer

    def play(self, mediafile: str, number: str) -> DialAnswer:
        """Calls one client and plays a file that Evrotel has; answers when that is over."""
        content = {"billcode": self._billcode, "mediafile": mediafile, "nm": dialled_number(number)}
        answer = self._post(self._settings.evrotel_dial_url, PLAY_SECONDS, data=content)
        if answer.verdict is not Verdict.ACCEPTED:
            return answer
        if "timelimit" in answer.text.lower():
            return DialAnswer(verdict=Verdict.TOO_SOON, text=answer.text)
        return DialAnswer(verdict=Verdict.ACCEPTED, text=answer.text, disposition=played(answer.text))

    def _post(self, url: str, seconds: float, **content: Any) -> DialAnswer:
        deadline = time.monotonic() + seconds
        try:
            with direct_session() as session:
                response = session.post(
                    url,
                    headers=self._headers,
                    timeout=(CONNECT_SECONDS, seconds),
                    allow_redirects=False,
                    stream=True,
                    **content,
                )
                body = read_capped(response, LONGEST_ANSWER, deadline)
        except (requests.RequestException, BodyTooLarge, DeadlinePassed) as error:
            verdict = Verdict.UNREACHABLE if _not_sent(error) else Verdict.UNCLEAR
            return DialAnswer(verdict=verdict, text=type(error).__name__)
        text = body.decode("utf-8", "replace").strip()
        if response.status_code >= 500:  # a proxy's, perhaps, after Evrotel has taken the request
            return DialAnswer(verdict=Verdict.UNCLEAR, text=f"{response.status_code} {text}"[:SHOWN])
        if response.status_code >= 300:
            return DialAnswer(verdict=Verdict.REFUSED, text=f"{response.status_code} {text}"[:SHOWN])
        return DialAnswer(verdict=Verdict.ACCEPTED, text=text[:SHOWN])


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
