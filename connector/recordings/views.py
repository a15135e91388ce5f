"""Recordings for CRMs and players: the link is the key; parts can be asked for, as players do."""

from __future__ import annotations

import logging
from typing import Any

from flask import Blueprint, Response, request
from sqlalchemy.exc import SQLAlchemyError

from connector.connections.store import Connection
from connector.deployment import Deployment, deployment
from connector.locks import Lock, locked_by
from connector.log import about
from connector.models import Recording
from connector.recordings import links
from connector.recordings.guesses import Guesses
from connector.recordings.listening import Way, note_play, read_listening
from connector.recordings.proxy import Changed, GoneThere
from connector.recordings.serving import Later, Nowhere, answer, filename_of, playable

logger = logging.getLogger(__name__)

blueprint = Blueprint("recordings", __name__)
guesses = Guesses()

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cache-Control": "private, no-cache",  # a link that was withdrawn ends in the player's cache too
}
_OPEN_TO_SCRIPTS = {
    "Access-Control-Allow-Origin": "*",  # players in the pages of CRMs fetch it by script; the link is the only key
    "Access-Control-Expose-Headers": "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag",
}


@blueprint.route("/recordings/<signed>.<any(wav, mp3, ogg):extension>", methods=["GET", "OPTIONS"])
@locked_by(Lock.SIGNED_LINK)
def recording(signed: str, extension: str) -> Response:
    """The file, or the part that is asked for; 503 while it is not here yet, or the database is away."""
    if request.method == "OPTIONS":
        return _preflight()
    if not links.is_ours(deployment().settings.secret_keys, signed):
        wait = guesses.wait_after_one(request.remote_addr)
        return _too_many(wait) if wait else not_found()
    try:
        return _answer(signed, mp3=extension == "mp3")
    except SQLAlchemyError as error:
        logger.error("a recording could not be served, the database does not answer: %s", type(error).__name__)
        return later(30)


def _answer(signed: str, *, mp3: bool) -> Response:
    found = links.call_of(deployment(), signed)
    return not_found() if found is None else served(found, mp3=mp3)


def served(found: Any, *, mp3: bool, attached: bool = False) -> Response:
    """The recording of a row of `links.recording_row`, as the request wants it."""
    here = deployment()
    connection = here.connections.by_id(found.connection_id)
    if connection is None:
        return not_found()
    try:
        try:
            return _served(here, connection, found, mp3=mp3, attached=attached)
        except Changed as change:  # what Evrotel has now counts
            renewed = links.resized(here, found.call_id, change.size)
            return _served(here, connection, renewed, mp3=mp3, attached=attached) if renewed else not_found()
    except (Nowhere, GoneThere):
        return not_found()
    except Later as wait:
        return later(wait.seconds)
    except OSError as error:
        logger.warning("a recording can't be read: %s", error, extra=about(found.call_id))
        return later(30)


def _served(here: Deployment, connection: Connection, found: Any, *, mp3: bool, attached: bool) -> Response:
    there = playable(here, connection, found, mp3=mp3)
    filename = filename_of(connection, found, there.content_type)
    return answer(there, filename=filename, created_at=found.created_at, attached=attached)


@blueprint.get("/listen/<token>.<any(wav, mp3):extension>")
@locked_by(Lock.LISTENING_PASS)
def listen(token: str, extension: str) -> Response:
    """The recording for a person in a CRM's frame, who is written down as a listener."""
    here = deployment()
    given = read_listening(here.settings.secret_keys, token)
    if given is None:
        wait = guesses.wait_after_one(request.remote_addr)
        return _too_many(wait) if wait else not_found()
    try:
        return heard(given.call_id, given.listener, "frame", mp3=extension == "mp3")
    except SQLAlchemyError as error:
        logger.error("a recording could not be served, the database does not answer: %s", type(error).__name__)
        return later(30)


def heard(call_id: str, listener: str, way: Way, *, mp3: bool) -> Response:
    """The recording of a call for a person; what is played is written down first. Raises SQLAlchemyError."""
    here = deployment()
    found = links.recording_row(here, Recording.call_id == call_id)
    response = not_found() if found is None else served(found, mp3=mp3, attached=way == "download")
    if request.method == "GET" and response.status_code in {200, 206}:
        try:
            note_play(here.database, call_id, listener, way)
        except SQLAlchemyError:
            response.close()
            raise
    return response


@blueprint.after_request
def _guard(response: Response) -> Response:
    response.headers.update(HEADERS)
    if request.endpoint == "recordings.recording":
        response.headers.update(_OPEN_TO_SCRIPTS)
    return response


def _preflight() -> Response:
    """Scripts that ask for a part with a Range header of their own ask this first."""
    headers = {
        "Access-Control-Allow-Methods": "GET, HEAD",
        "Access-Control-Allow-Headers": "Range, If-Range",
        "Access-Control-Max-Age": "86400",
    }
    return Response(status=204, headers=headers)


def not_found() -> Response:
    return Response("Not found", status=404, mimetype="text/plain")


def later(seconds: int) -> Response:
    headers = {"Retry-After": str(seconds)}
    return Response("The recording is not there yet", status=503, mimetype="text/plain", headers=headers)


def _too_many(seconds: int) -> Response:
    headers = {"Retry-After": str(seconds)}
    return Response("Too many wrong links", status=429, mimetype="text/plain", headers=headers)
