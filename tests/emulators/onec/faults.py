"""What goes wrong between us and a base."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tests.emulators.http import Response


@dataclass(frozen=True, kw_only=True)
class Fault:
    """The next matching request meets this. `effect`: it is carried out all the same, and only the answer is lost."""

    response: Response | None = None
    seconds: float = 0.0
    drop: bool = False
    effect: bool = False


def odata_error(status: int, code: str, text: str) -> Response:
    """An error as 1C words it."""
    error = {"odata.error": {"code": code, "message": {"lang": "ru", "value": text}}}
    return Response(json.dumps(error, ensure_ascii=False).encode(), status, "application/json;charset=utf-8")


def exception(text: str = "Превышен лимит звонков") -> Fault:
    """The configuration's own code raises."""
    return Fault(response=odata_error(500, "-1", text))


def page(status: int = 502) -> Fault:
    """The web server in front answers instead."""
    return Fault(response=Response(b"<html><body>Bad Gateway</body></html>", status))
