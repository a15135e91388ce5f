"""Evrotel's transmitter as it is on the wire: PHP's `http_post` of the operator's API document.

What that function sends: a form body, the bare token as `Authorization`, `Connection: close`, and no other header of
its own. Nulls are left out of a form. A JSON body goes out under the form's label too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlencode

from crm_adapters.addresses import address_parts

PATIENCE_SECONDS = 60.0
"""PHP's `default_socket_timeout`."""
LONGEST_CALLID = 200

Fields = Mapping[str, str | None]


class Unanswered(Exception):
    """The receiver could not be reached, or what it said is not HTTP."""


class NotAsAgreed(Exception):
    """The receiver answered something else than its contract says."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the receiver said."""

    status: int
    body: str

    def __str__(self) -> str:
        return f"{self.status} {self.body[:200]!r}"


class Transmitter:
    """Sends events to one receiver. Safe in threads: each event has its own connection, as with PHP."""

    def __init__(self, url: str, token: str, *, as_json: bool = False) -> None:
        """Raises ValueError where `url` is no web address, or `token` can't be sent."""
        parts = address_parts(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or not url.isascii():
            raise ValueError(f"{url!r} is not a web address such as https://host/evrotel/default/events")
        if not re.fullmatch(r"[\x21-\x7e]+", token):
            raise ValueError("the token should be letters, digits and signs of ASCII, without spaces")
        self._https = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._token = token
        self._as_json = as_json

    def send(self, fields: Fields) -> Answer:
        """Sends one event. Raises Unanswered."""
        body = (
            json.dumps(fields)
            if self._as_json
            else urlencode({key: it for key, it in fields.items() if it is not None})
        )
        make = HTTPSConnection if self._https else HTTPConnection
        connection = make(self._host, self._port, timeout=PATIENCE_SECONDS)
        try:
            connection.putrequest("POST", self._path, skip_accept_encoding=True)
            connection.putheader("Connection", "close")
            connection.putheader("Authorization", self._token)
            connection.putheader("Content-Type", "application/x-www-form-urlencoded")
            connection.putheader("Content-Length", str(len(body.encode())))
            connection.endheaders(body.encode())
            response = connection.getresponse()
            return Answer(status=response.status, body=response.read(65536).decode(errors="replace"))
        except (OSError, HTTPException) as error:
            raise Unanswered(f"the receiver did not answer: {error}") from error
        finally:
            connection.close()


def start_fields(*, calldate: datetime, number_a: str, number_b: str, direction: str) -> dict[str, str | None]:
    """A start. `calldate` is the PBX's local time, `direction` is `i` or `o`."""
    return {
        "callstatus": "start",
        "calldate": calldate.strftime("%Y-%m-%d %H:%M:%S"),
        "numberA": number_a,
        "numberB": number_b,
        "direction": direction,
        "billsec": None,
        "disposition": None,
        "recfile": None,
    }


def end_fields(
    *,
    calldate: datetime,
    number_a: str,
    number_b: str,
    direction: str,
    callid: str | None,
    billsec: int,
    disposition: str,
    recfile: str | None,
) -> dict[str, str | None]:
    """An end. `callid` is what the start was answered with, None where that answer was lost."""
    return {
        "callstatus": "end",
        "calldate": calldate.strftime("%Y-%m-%d %H:%M:%S"),
        "numberA": number_a,
        "numberB": number_b,
        "callid": callid,
        "direction": direction,
        "billsec": str(billsec),
        "disposition": disposition,
        "recfile": recfile,
    }


def callid_of(answer: Answer) -> str:
    """The callid that a start was answered with. Raises NotAsAgreed."""
    callid = answer.body
    if answer.status != 200 or not callid or len(callid) > LONGEST_CALLID or callid != "".join(callid.split()):
        raise NotAsAgreed(f"a start should be answered with 200 and a callid, not {answer}")
    return callid


def expect_ok(answer: Answer) -> None:
    """What an end is to be answered with. Raises NotAsAgreed."""
    if (answer.status, answer.body) != (200, "OK"):
        raise NotAsAgreed(f"an end should be answered with 200 'OK', not {answer}")
