"""What a receiver's answer means. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crm_adapters.addresses import address_parts
from crm_adapters.errors import AdapterError, SignInRefused, TryAgain, Unreachable

_ID = re.compile(r"[\x21-\x7e]{1,128}")
_UNFIT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""No page and no database takes half of a surrogate pair, PostgreSQL no NUL."""
LONGEST_NAME, LONGEST_ADDRESS = 200, 2000
SLOW_DOWN = frozenset({429, 502, 503, 504})
"""The specification's three, and 503, which says the same."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a receiver says of a call that starts: its own ID of it, and what to show while the phone rings."""

    id: str | None = None
    name: str = ""
    responsible: str = ""
    url: str = ""

    @property
    def shown(self) -> dict[str, str]:
        """What the live board's card shows, without what is empty."""
        told = {"name": self.name, "responsible": self.responsible, "url": self.url}
        return {key: value for key, value in told.items() if value}


def read_card(body: bytes) -> Card:
    """The answer to `call.started`; an empty card where it is none. Raises nothing."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return Card()
    if not isinstance(answer, dict):
        return Card()
    url = _text(answer, "url", LONGEST_ADDRESS)
    return Card(
        id=read_id(_text(answer, "id", 200)),
        name=_text(answer, "name", LONGEST_NAME),
        responsible=_text(answer, "responsible", LONGEST_NAME),
        url=url if address_parts(url).scheme in {"http", "https"} else "",
    )


def read_id(text: str) -> str | None:
    """A call ID that Evrotel gives back as it is: printable, without spaces, at most 128 characters. Else None.

    Nor is "null" one: in what Evrotel sends that stands for nothing.
    """
    return text if _ID.fullmatch(text) and text.casefold() != "null" else None


def _text(answer: Mapping[str, Any], key: str, most: int) -> str:
    value = answer.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return " ".join(_UNFIT.sub(" ", str(value)).split())[:most]


def error_of(status: int, retry_after: float | None, host: str) -> AdapterError | None:
    """What went wrong, None where the receiver has taken it (2xx). A redirect is a failure and is not followed."""
    if 200 <= status < 300:
        return None
    if status == 410:
        return SignInRefused(
            f"{host} answered 410 Gone: it wants no more events. Mend it or set another webhook_url, then resume",
            code="410",
        )
    if status in SLOW_DOWN:
        return Unreachable(f"{host} answered {status}", code=str(status), retry_after=retry_after)
    if 300 <= status < 400:
        return TryAgain(f"{host} answered {status}: redirects are not followed, set its final address", code="3xx")
    return TryAgain(f"{host} answered {status}", code=str(status))


def no_answer(error: Exception, host: str) -> AdapterError:
    """A request that was sent, or could not be, without an answer: the receiver may have taken it."""
    return Unreachable(f"no answer from {host}: {type(error).__name__}", maybe_done=True)
