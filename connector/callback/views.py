"""The button's doors: its scripts for sites, the form's values, requests for a call, what became of one.

Answers to sites of the connection's list are readable for their scripts (CORS), for exactly that site and without
cookies; others learn nothing but that they are not in the list.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from flask import Blueprint, Response, jsonify, make_response, request
from limits.errors import StorageError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import RequestEntityTooLarge

from connector.callback import assets
from connector.callback.asking import read_wanted
from connector.callback.button import Button, button_of
from connector.callback.fields import site_of
from connector.callback.form import form_of, shown_time
from connector.callback.progress import Status, status_of
from connector.callback.refusals import Refused, count_refusal
from connector.callback.requests import take_request
from connector.callback.texts import ERRORS, REFUSALS
from connector.callback.tokens import new_token
from connector.connections.store import Connection
from connector.db import now
from connector.deployment import Deployment, deployment
from connector.locks import Lock, locked_by
from connector.models import CallbackState
from connector.networks import network_of
from connector.panel.language import LANGUAGES
from connector.texts import in_language

logger = logging.getLogger(__name__)

PREFIX = "/callback"
SEEN_WITHIN = 60
"""Seconds that browsers keep the loader: so soon changed settings are seen."""
PREFLIGHT_LASTS = "600"
IMMUTABLE = "public, max-age=31536000, immutable"

blueprint = Blueprint("callback", __name__, url_prefix=PREFIX)
Opened = Callable[[Deployment, Connection, Button, str], Response]


@blueprint.get("/<name>.js")
@locked_by(Lock.PUBLIC)
def loader(name: str) -> Response:
    """The script that sites name in their pages."""
    here = deployment()
    connection = here.connections.get(name)
    button = button_of(connection)
    base = f"{here.settings.public_url}{PREFIX}/{connection.name}"
    content = assets.loader_script(base, button.origins, connection.get("language"), button.phone)
    return _script(content, f"public, max-age={SEEN_WITHIN}")


@blueprint.get("/<name>/form.js")
@locked_by(Lock.PUBLIC)
def form_script(name: str) -> Response:
    """The script with the form, the same for all; its address changes with its content."""
    deployment().connections.get(name)
    return _script(assets.form_script(), IMMUTABLE)


@blueprint.route("/<name>/form", methods=["GET", "OPTIONS"], provide_automatic_options=False)
@locked_by(Lock.SITE)
def form(name: str) -> Response:
    """What the form shows now, and a token to send it with."""
    return _for_site(name, _form)


@blueprint.route("/<name>", methods=["POST", "OPTIONS"], provide_automatic_options=False)
@locked_by(Lock.SITE)
def ask(name: str) -> Response:
    """A visitor asks for a call."""
    return _for_site(name, _ask)


@blueprint.route("/<name>/requests/<request_id>", methods=["GET", "OPTIONS"], provide_automatic_options=False)
@locked_by(Lock.SIGNED_LINK)
def progress(name: str, request_id: str) -> Response:
    """What became of a request, for whoever has its ID, which nobody can guess."""
    here = deployment()
    connection = here.connections.get(name)
    origin = _site()
    if request.method == "OPTIONS":
        return _open_to(Response(status=204), button_of(connection), origin)
    found = status_of(here, connection, request_id) if request_id.isalnum() else None
    answer = _status(connection, found) if found else _json({"error": "unknown"}, 404)
    return _open_to(answer, button_of(connection), origin)


def _for_site(name: str, opened: Opened) -> Response:
    """The door's answer, for the sites of the list alone."""
    here = deployment()
    connection = here.connections.get(name)
    button, origin = button_of(connection), _site()
    try:
        if origin not in _allowed(here, button):
            raise Refused("origin")
        answer = Response(status=204) if request.method == "OPTIONS" else opened(here, connection, button, origin)
    except Refused as refusal:
        answer = _refused(here, connection, refusal)
    except RequestEntityTooLarge:
        answer = _refused(here, connection, Refused("body"))
        answer.status_code = 413
    except (SQLAlchemyError, StorageError) as error:
        logger.error("a request for a call could not be taken: %s", type(error).__name__)
        answer = _refusal(connection, Refused("unavailable", 30))
    return _open_to(answer, button, origin)


def _site() -> str:
    """The site that asks, as browsers tell it; our own pages tell it in another header. Empty where there is none."""
    origin = request.headers.get("Origin", "")
    if not origin and request.method == "GET" and request.headers.get("Sec-Fetch-Site") == "same-origin":
        return _own_site(deployment())
    return origin


def _own_site(here: Deployment) -> str:
    return site_of(here.settings.public_url)


def _allowed(here: Deployment, button: Button) -> set[str]:
    """The sites of the list. The panel may show the form as well, but has no call unless it is in the list too."""
    return {*button.origins, *((_own_site(here),) if request.method == "GET" else ())}


def _form(here: Deployment, connection: Connection, button: Button, origin: str) -> Response:
    token = new_token(here.settings.secret_keys, connection.id, origin)
    wanted = request.args.get("slots") == "1"
    language = _language(connection)
    return jsonify(form_of(button, language=language, token=token, moment=now(), with_slots=wanted))


def _ask(here: Deployment, connection: Connection, button: Button, origin: str) -> Response:
    wanted = read_wanted(_fields(), page=request.headers.get("Referer", ""), language=_language(connection))
    network = network_of(request.remote_addr)
    request_id = take_request(here, connection, button, wanted, origin=origin, network=network)
    found = status_of(here, connection, request_id)
    if found is None:
        raise Refused("unavailable")
    answer = _status(connection, found, language=wanted.language, eta=button.countdown)
    answer.status_code = 202
    answer.headers["Location"] = f"{here.settings.public_url}{PREFIX}/{connection.name}/requests/{request_id}"
    return answer


def _fields() -> dict[str, Any]:
    """The fields of the body, a form's or JSON's, whatever its label says. Raises Refused."""
    body = request.get_data(cache=True)
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = request.form.to_dict() or None
    if not isinstance(fields, dict):
        raise Refused("body")
    return fields


def _status(connection: Connection, found: Status, *, language: str = "", eta: int = 0) -> Response:
    """`calling` and within how many seconds right after the request, then the state as it is."""
    scheduled = found.state == CallbackState.SCHEDULED
    values: dict[str, Any] = {"id": found.id, "state": "calling" if eta and not scheduled else found.state}
    if eta and not scheduled:
        values["eta"] = eta
    if found.due_at is not None:
        values["due_at"] = found.due_at.isoformat(timespec="seconds")
        values["due"] = shown_time(found.due_at, connection.zone, language or _language(connection), now())
    return _json(values, 200)


def _refused(here: Deployment, connection: Connection, refusal: Refused) -> Response:
    if request.method != "OPTIONS":
        with suppress(SQLAlchemyError):  # what can't be counted is refused all the same
            count_refusal(here.database, connection, refusal.reason)
    return _refusal(connection, refusal)


def _refusal(connection: Connection, refusal: Refused) -> Response:
    """Why not, for scripts and for the visitor."""
    status, text = REFUSALS[refusal.reason]
    values = {
        "error": ERRORS.get(refusal.reason, refusal.reason),
        "message": in_language(_language(connection), text),
    }
    if ERRORS.get(refusal.reason) == "too_many":
        values["limit"] = refusal.reason
    if refusal.reason.startswith("token"):
        values["form"] = f"{deployment().settings.public_url}{PREFIX}/{connection.name}/form"
    answer = _json(values, status)
    if refusal.seconds:
        answer.headers["Retry-After"] = str(refusal.seconds)
    return answer


def _language(connection: Connection) -> str:
    """The form's, else what the browser asks for, else the connection's."""
    asked = request.args.get("lang", "").lower()
    if asked in LANGUAGES:
        return asked
    return request.accept_languages.best_match(list(LANGUAGES)) or connection.get("language")


def _json(values: dict[str, Any], status: int) -> Response:
    answer = make_response(jsonify(values), status)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _open_to(answer: Response, button: Button, origin: str) -> Response:
    """The headers of CORS (https://fetch.spec.whatwg.org/#http-cors-protocol)."""
    answer.headers["Vary"] = "Origin"
    answer.headers.setdefault("Cache-Control", "no-store")
    if origin in button.origins:
        answer.headers["Access-Control-Allow-Origin"] = origin
        answer.headers["Access-Control-Allow-Methods"] = "GET, POST, OPTIONS"
        answer.headers["Access-Control-Allow-Headers"] = "Content-Type"
        answer.headers["Access-Control-Expose-Headers"] = "Retry-After"
        answer.headers["Access-Control-Max-Age"] = PREFLIGHT_LASTS
    return answer


def _script(content: bytes, kept: str) -> Response:
    """A script that any site may load; compressed where the browser takes that."""
    packed = request.accept_encodings["gzip"] > 0
    answer = Response(assets.compressed(content) if packed else content, mimetype="text/javascript")
    if packed:
        answer.headers["Content-Encoding"] = "gzip"
    answer.headers["Cache-Control"] = kept
    answer.headers["Vary"] = "Accept-Encoding"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    answer.set_etag(assets.etag_of(content) + ("-gz" if packed else ""))
    answer.make_conditional(request)
    return answer
