"""What amoCRM's statuses and bodies mean (Kommo docs, "HTTP codes"; issues of amocrm-api-php in docs/amocrm.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crm_adapters.errors import AdapterError, Limited, Refused, SignInRefused, Unreachable

NOT_FOUND, FORBIDDEN, INVALID = "404", "403", "400"
BLOCKED_WAIT = 10.0
"""Seconds before a blocked address knocks again: insisting is what one is blocked for."""
SILENCE = "silence"
"""The code of an Unreachable that was sent and never answered: it may still be worked on."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A response as it came. `body` is the JSON value, None where there was none or it could not be read."""

    status: int
    body: Any
    text: str
    retry_after: float | None = None

    @property
    def is_json(self) -> bool:
        return self.body is not None


def parsed(status: int, text: str, headers: Mapping[str, str]) -> Answer:
    try:
        body = json.loads(text) if text.strip() else None
    except (ValueError, RecursionError):
        body = None
    return Answer(status=status, body=body, text=text, retry_after=_retry_after(body, headers))


def error_of(answer: Answer) -> AdapterError | None:
    """What went wrong; None for 2xx, and for 400, whose body says what of it was wrong."""
    status = answer.status
    if 200 <= status < 300 or (status == 400 and answer.is_json):
        return None
    if (error := concerning_all(answer)) is not None:
        return error
    if 400 <= status < 500:
        return Refused(f"amoCRM refused ({status}): {_detail(answer)}", code=str(status))
    return Unreachable(f"amoCRM answered {status}", code=str(status), maybe_done=True)


def concerning_all(answer: Answer) -> AdapterError | None:
    """What an answer says of the account, or of us, whatever was asked."""
    status = answer.status
    if status == 429:
        return Limited("amoCRM asks to slow down", code="429", retry_after=answer.retry_after)
    if status == 402:
        return SignInRefused("The amoCRM account is not paid: pay for it, then resume the connection", code="402")
    if 300 <= status < 400 or (status == 404 and not answer.is_json):
        return Unreachable(f"no amoCRM account answers there ({status})", code="moved")
    return _forbidden(answer) if status == 403 else None


def _forbidden(answer: Answer) -> AdapterError:
    if answer.is_json:
        text = f"amoCRM does not allow this to the integration's user: {_detail(answer)}"
        return Refused(text, code=FORBIDDEN)
    text = "amoCRM blocks this server's address or the account (403): if it lasts, write to amoCRM's support"
    return Limited(text, code="blocked", retry_after=BLOCKED_WAIT)


def problems_of(body: Any) -> dict[str, list[Mapping[str, Any]]]:
    """The validation errors by `request_id`."""
    rows = body.get("validation-errors") if isinstance(body, dict) else None
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in objects_in(rows):
        found.setdefault(str(row.get("request_id")), []).extend(objects_in(row.get("errors")))
    return found


def worded(problems: list[Mapping[str, Any]]) -> str:
    """Validation errors for people."""
    texts = [f"{each.get('path') or '?'}: {each.get('detail') or each.get('code') or '?'}" for each in problems]
    return "; ".join(texts) or "no reason given"


def items_of(body: Any, name: str) -> list[dict[str, Any]]:
    """The objects of a list's `_embedded`."""
    embedded = body.get("_embedded") if isinstance(body, dict) else None
    return objects_in(embedded.get(name)) if isinstance(embedded, dict) else []


def objects_in(rows: Any) -> list[dict[str, Any]]:
    """The objects of a list; none where it is no list."""
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _detail(answer: Answer) -> str:
    body = answer.body if isinstance(answer.body, dict) else {}
    text = next((str(body[key]) for key in ("hint", "detail", "title") if body.get(key)), "")
    return text[:300] or "no reason given"


def _retry_after(body: Any, headers: Mapping[str, str]) -> float | None:
    said = body.get("retry_after") if isinstance(body, dict) else None
    for value in (said, headers.get("Retry-After")):
        try:
            seconds = float(value) if value is not None and not isinstance(value, bool) else 0.0
        except (TypeError, ValueError, OverflowError):
            continue
        if 0 < seconds < 10**6:
            return seconds
    return None
