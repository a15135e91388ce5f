"""Errors of the HTTP API as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from flask import Blueprint, Flask, Response, request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException, default_exceptions
from werkzeug.http import HTTP_STATUS_CODES

from connector.connections.store import NoSuchConnection
from connector.db import Unavailable

MEDIA_TYPE = "application/problem+json"
PREFIX = "/api/"
_DETAILS = {
    404: "There is no such path: /api/v1/openapi.json lists those that are",
    405: "This path does not take {method}: the header Allow lists what it takes",
}
"""Of errors that no view raised."""


def problem(
    status: int,
    detail: str = "",
    *,
    errors: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    """An error's answer: `type` stays about:blank, whose meaning is the status alone; `errors` by parameter, `more`
    members of that error's own."""
    body: dict[str, Any] = {"type": "about:blank", "title": HTTP_STATUS_CODES.get(status, "Error"), "status": status}
    if detail:
        body["detail"] = detail
    if errors:
        body["errors"] = errors
    body |= more
    return Response(json.dumps(body), status=status, mimetype=MEDIA_TYPE, headers=dict(headers or {}))


def register(app: Flask) -> None:
    """Errors under /api/ that no view raised (no such path, wrong method) leave as problems too."""
    app.after_request(_translated)


def answer_errors_of(blueprint: Blueprint) -> None:
    """Whatever a view of the blueprint raises is answered as a problem."""
    for code in default_exceptions:  # by code: an application's handler of one code would win over one of all
        blueprint.register_error_handler(code, _of_exception)
    blueprint.register_error_handler(NoSuchConnection, no_such_connection)
    for unavailable in Unavailable:
        blueprint.register_error_handler(unavailable, _unavailable)


def _of_exception(error: Exception) -> Response:
    raised = cast(HTTPException, error)
    answer = raised.get_response()
    if raised.code is None or raised.code < 400 or answer.mimetype == MEDIA_TYPE:
        return cast(Response, answer)
    data: Mapping[str, Any] = getattr(raised, "data", {})  # webargs puts the errors of each parameter there
    errors: dict[str, Any] = {}
    for place, wrong in data.get("messages", {}).items():
        errors |= wrong if isinstance(wrong, dict) else {place: wrong}  # a body that is no JSON has no parameters
    return problem(
        raised.code,
        "Some parameters are wrong" if errors else raised.description or "",
        errors=errors,
        headers=_kept(answer.headers),
    )


def _translated(response: Response) -> Response:
    if response.status_code < 400 or response.mimetype == MEDIA_TYPE or not request.path.startswith(PREFIX):
        return response
    detail = _DETAILS.get(response.status_code, "").format(method=request.method)
    return problem(response.status_code, detail, headers=_kept(response.headers))


def _kept(headers: Headers) -> dict[str, str]:
    return {name: headers[name] for name in ("Allow", "Retry-After", "WWW-Authenticate") if name in headers}


def no_such_connection(_: object = None) -> Response:
    """The answer where there is none and where it is another key's: the same, so that nobody learns which."""
    return problem(404, "This key opens no such connection")


def _unavailable(_: Exception) -> Response:
    return problem(503, "The database can't be reached now", headers={"Retry-After": "5"})
