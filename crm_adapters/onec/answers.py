"""What 1C's answers mean: its codes before the status. Pure; the table is that of 1C's guide, chapter 17.4."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crm_adapters.addresses import address_parts
from crm_adapters.asking import Reply
from crm_adapters.errors import AdapterError, Misconfigured, Refused, SignInRefused, TryAgain, Unreachable
from crm_adapters.onec.fields import ODATA

NO_SUCH_KEY, EXISTS, EXCEPTION, NOT_PUBLISHED, NO_RIGHT = "9", "15", "-1", "8", "20"
_AWAY = {429, 502, 503, 504}


class Exists(Refused):
    """There is an object with this key already."""


class NoSuchKey(Refused):
    """There is no object with this key."""


class Exceptional(TryAgain):
    """The configuration's own code has refused: a rule of the company, which a repeat seldom changes."""


_BY_CODE: Mapping[str, type[AdapterError]] = {
    EXISTS: Exists,
    NO_SUCH_KEY: NoSuchKey,
    EXCEPTION: Exceptional,
    **dict.fromkeys(("4", "5", "6", "10", "14", "16"), Refused),  # our data or our address: no repeat helps
}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer. `body` is the JSON, None where it is none."""

    status: int
    body: Any
    text: str
    retry_after: float | None = None


def answer_of(reply: Reply) -> Answer:
    """Reads an answer; raises nothing."""
    text = reply.content.decode("utf-8-sig", errors="replace")
    try:
        body = json.loads(text) if text.strip() else None
    except (ValueError, RecursionError):
        body = None
    return Answer(status=reply.status, body=body, text=text[:1000], retry_after=reply.retry_after)


def error_of(answer: Answer) -> AdapterError | None:
    """What went wrong, None where it did not."""
    code, said = _said(answer.body)
    if 200 <= answer.status < 300:
        return _unless_json(answer)
    if answer.status == 412:
        return TryAgain(f"1C answered 412: {said}", code=code)
    why = f"1C: {said} (code {code})" if code else f"1C answered {answer.status}"
    if answer.status == 401:
        return _unauthorised(code, why)
    if code == NOT_PUBLISHED:
        return Misconfigured(f"{why}: add the object to the composition of the OData interface", code=code)
    if kind := _BY_CODE.get(code):
        return kind(why, code=code)
    return _by_status(answer, code, why)


def _by_status(answer: Answer, code: str, why: str) -> AdapterError:
    status = answer.status
    if status in _AWAY or status >= 500:
        return Unreachable(why, code=code, maybe_done=True, retry_after=answer.retry_after)
    if status == 414:
        return Refused(why, code=code)  # an address too long for the web server: no repeat helps
    if status in {301, 302, 307, 308, 404, 405} and not code:
        return Misconfigured(f"{why}: onec_url should end with /odata/standard.odata, and the base be published there")
    if status == 403:
        return Misconfigured(why, code=code)
    return Refused(why, code=code) if code else TryAgain(why)


def _unauthorised(code: str, why: str) -> AdapterError:
    if code == NO_RIGHT:
        return Misconfigured(
            f"{why}: the user has no right to the object: add the roles for OData and for interactions", code=code
        )
    return SignInRefused(
        "1C refuses the user or the password: a user with password sign-in and the role for OData is needed. Set "
        "onec_user and onec_password, then resume",
        code=code,
    )


def _unless_json(answer: Answer) -> AdapterError | None:
    if isinstance(answer.body, dict) or answer.status == 204:
        return None
    return Misconfigured("1C did not answer in JSON: onec_url should end with /odata/standard.odata")


def _said(body: Any) -> tuple[str, str]:
    """The code and the words of an error; empty where there is none."""
    error = body.get("odata.error") if isinstance(body, Mapping) else None
    if not isinstance(error, Mapping):
        return "", ""
    message = error.get("message")
    text = message.get("value") if isinstance(message, Mapping) else message
    return str(error.get("code", "")), " ".join(str(text or "").split())[:300]


def rows_of(body: Any) -> list[dict[str, Any]]:
    """The rows of a list."""
    value = body.get("value") if isinstance(body, Mapping) else None
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def no_answer(error: Exception, url: str) -> AdapterError:
    """No connection, or none that held: the request may have taken effect."""
    host = address_parts(url).netloc
    unless = ", unless onec_url is wrong: it should end with /odata/standard.odata" if ODATA in url else ""
    return Unreachable(f"no answer from {host}: {type(error).__name__}{unless}", maybe_done=True)
