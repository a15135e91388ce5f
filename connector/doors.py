"""The CRMs' own doors, one route for all: the adapter reads the request, this module acts on what it means."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta

from flask import Blueprint, Response, abort, render_template, request
from flask_babel import force_locale
from werkzeug.exceptions import RequestEntityTooLarge

from connector.calls.people import refresh
from connector.connections.accounts import account_key, keep_installation
from connector.connections.store import Connection
from connector.deployment import Deployment, deployment
from connector.locks import Lock, locked_by
from connector.panel.language import LANGUAGES
from crm_adapters.contract import DoorAnswer, DoorRefused, DoorRequest, Ignored, Installed, Opened, Uninstalled
from crm_adapters.errors import AccountTrouble, AdapterError
from crm_adapters.registry import DESCRIPTIONS

logger = logging.getLogger(__name__)

blueprint = Blueprint("doors", __name__)

NOBODY = "'none'"
USERS_SECONDS = 5.0


@blueprint.route("/<crm>/<name>/<door>", methods=["GET", "POST"])
@locked_by(Lock.ADAPTER)
def open_door(crm: str, name: str, door: str) -> Response:
    """Any declared door of any adapter."""
    if crm not in DESCRIPTIONS or door not in DESCRIPTIONS[crm].doors:
        abort(404)
    if request.method not in DESCRIPTIONS[crm].doors[door].methods:
        abort(405)
    here = deployment()
    connection = here.connections.get(name)
    if connection.crm != crm:
        abort(404)
    if not here.open_doors.enter():
        return _text(503, "Too many are at the door, try again in a moment")  # a stranger's knocking asks the CRM too
    try:
        answer = here.adapter(connection).open_door(_plain_request(door))
        return _act(here, connection, answer)
    except RequestEntityTooLarge:
        return _text(413, "The request is over 64 KiB")
    except AccountTrouble as error:
        logger.warning("connection %s: the door %s could not ask the CRM: %s", name, door, error)
        return _text(503, "The CRM does not answer, try again in a moment")
    except AdapterError as error:
        logger.warning("connection %s: the door %s refused: %s", name, door, error)
        return _text(403, str(error))
    finally:
        here.open_doors.leave()


def _plain_request(door: str) -> DoorRequest:
    body = request.get_data(cache=True)
    return DoorRequest(
        door=door,
        method=request.method,
        query=request.args.to_dict(),
        form=request.form.to_dict(),
        headers=dict(request.headers.items()),
        body=body,
    )


def _act(here: Deployment, connection: Connection, answer: DoorAnswer) -> Response:
    match answer:
        case Installed():
            return _installed(here, connection, answer)
        case Opened():
            return _framed_page(connection, (), answer.frame_ancestor)
        case Uninstalled():
            here.connections.pause(connection.id, by="connector", reason=answer.reason)
            return _text(200, "OK")
        case Ignored():
            return _text(200, "OK")
        case DoorRefused():
            logger.warning("connection %s: refused at a door: %s", connection.name, answer.text)
            return _text(answer.status, answer.text)


def _installed(here: Deployment, connection: Connection, installed: Installed) -> Response:
    """Keeps the sign-in, unless the connection belongs to another account, and wakes what waits."""
    bound = account_key(here.database, connection.id)
    if bound not in {None, installed.account_key}:
        logger.warning("connection %s: another account than the bound one tried to install", connection.name)
        return _text(403, "This connection belongs to another account")
    keep_installation(here.database, here.cipher, connection.id, installed.account_key, installed.tokens)
    refresh(here, connection, timedelta(0), USERS_SECONDS)
    if connection.paused_by != "admin":
        here.connections.resume(connection.id)
    logger.info("connection %s: the application was installed", connection.name)
    return _framed_page(connection, installed.scripts, installed.frame_ancestor)


def _framed_page(connection: Connection, scripts: Sequence[str], frame_ancestor: str) -> Response:
    """What the CRM's frame shows; with `scripts` it also tells the CRM that the installation is complete."""
    language = _language(connection)
    with force_locale(language):
        page = Response(render_template("panel/installed.html", scripts=scripts, language=language))
    sources = " ".join(("'self'", *scripts))
    page.headers["Content-Security-Policy"] = (
        f"default-src 'none'; script-src {sources}; style-src 'self'; img-src 'self' data:; base-uri 'none'; "
        f"form-action 'none'; frame-ancestors {frame_ancestor or NOBODY}"
    )
    page.headers["Cache-Control"] = "no-store"
    return page


def _language(connection: Connection) -> str:
    """The portal's own, where we speak it."""
    asked = request.args.get("LANG", "").lower()
    known = {"ua": "uk"}.get(asked, asked)
    return known if known in LANGUAGES else connection.get("language")


def _text(status: int, text: str) -> Response:
    return Response(text, status=status, mimetype="text/plain")
