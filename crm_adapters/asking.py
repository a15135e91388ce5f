"""One request to a CRM at an address that a stranger may have chosen, and what is kept of it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests

from crm_adapters.contract import Exchange
from crm_adapters.http import BodyTooLarge, DeadlinePassed, mask, patient_with_head, read_capped

CONNECT_SECONDS = 5.0
LONGEST_WAIT = 86400.0 * 365


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer. `retry_after` is how many seconds the server asks for, None where it names none."""

    status: int
    content: bytes
    retry_after: float | None


def ask(
    session: requests.Session,
    verb: str,
    url: str,
    *,
    body: bytes | Mapping[str, str] | None,
    headers: Mapping[str, str],
    most: int,
    deadline: float,
    needs_body: bool = True,
) -> Reply:
    """Asks by a guarded session until `deadline` (monotonic seconds).

    Raises ForbiddenAddress, DeadlinePassed, BodyTooLarge above `most` bytes, and what `requests` raises. Where the
    status says it all and nobody `needs_body`, one that is too large, packed or broken off is empty instead.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise DeadlinePassed("no time was left to ask")
    timeout = (min(CONNECT_SECONDS, left), left)
    with patient_with_head(left):
        response = session.request(verb, url, data=body, headers=dict(headers), timeout=timeout, stream=True)
    try:
        content = read_capped(response, most, deadline)
    except (BodyTooLarge, DeadlinePassed, requests.RequestException):
        if needs_body:
            raise
        content = b""
    retry_after = read_retry_after(response.headers.get("Retry-After", ""))
    return Reply(status=response.status_code, content=content, retry_after=retry_after)


def read_retry_after(value: str) -> float | None:
    """Seconds from a Retry-After header: a number or a date of HTTP. None where it is neither."""
    value = value.strip()
    if re.fullmatch(r"[0-9]+", value):
        return min(float(value), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError):
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return max((moment - datetime.now(UTC)).total_seconds(), 0.0)


def kept(request: str, answer: str, began: float, secrets: Iterable[str]) -> Exchange:
    """What is kept of a request that began at `began` (monotonic seconds)."""
    milliseconds = int((time.monotonic() - began) * 1000)
    return Exchange(request=mask(request, secrets), answer=mask(answer, secrets), milliseconds=milliseconds)
