"""Recordings for CRMs and players: the link is the key; parts can be asked for, as players do."""

from __future__ import annotations

import logging
import re

from flask import Blueprint, Response, request, send_file
from sqlalchemy.exc import SQLAlchemyError

from connector.deployment import deployment
from connector.locks import Lock, locked_by
from connector.models import RecordingState
from connector.recordings import links
from connector.recordings.files import ensure_file

logger = logging.getLogger(__name__)

blueprint = Blueprint("recordings", __name__)

ON_DEMAND_SECONDS = 20.0
"""How long a request may wait for a file that another machine has."""

_ONE_RANGE = re.compile(r"bytes=(\d+-\d*|-\d+)")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Access-Control-Allow-Origin": "*",  # players in the pages of CRMs fetch it by script; the link is the only key
    "Access-Control-Expose-Headers": "Accept-Ranges, Content-Length, Content-Range",
}


@blueprint.get("/recordings/<signed>.<any(wav, mp3, ogg):extension>")
@locked_by(Lock.SIGNED_LINK)
def recording(signed: str, extension: str) -> Response:
    """The file, or the part that is asked for; 503 while it is not here yet, or the database is away."""
    try:
        return _answer(signed, extension)
    except SQLAlchemyError as error:
        logger.error("a recording could not be served, the database does not answer: %s", type(error).__name__)
        return _later()


def _answer(signed: str, extension: str) -> Response:
    found = links.call_of(deployment(), signed)
    if found is None:
        return _not_found()
    kept = links.EXTENSIONS.get(found.content_type)
    # A link that was given before the file was seen stays good, whatever came: the content type is the file's own.
    if extension not in {kept, links.promised_extension(found.recfile, found.crm)}:
        return _not_found()
    if found.state == RecordingState.PENDING:
        return _later()
    if found.state != RecordingState.READY:
        return _not_found()
    path = ensure_file(deployment(), found, seconds=ON_DEMAND_SECONDS)
    if path is None:
        return _later()
    _heed_only_a_plain_range(path.stat().st_size)
    return send_file(
        path,
        mimetype=found.content_type,
        download_name=f"{found.call_id}.{kept}",
        etag=f"{found.call_id}-{found.size}",  # the same on every machine that has the file
        last_modified=found.created_at,
        conditional=True,
    )


@blueprint.after_request
def _guard(response: Response) -> Response:
    response.headers.update(_HEADERS)
    return response


def _heed_only_a_plain_range(size: int) -> None:
    """RFC 9110, 14: a range that is malformed, or not of a GET, is ignored; several may be; the last N bytes of fewer
    are all of them. Werkzeug answers 416 to each of these.
    """
    asked = _ONE_RANGE.fullmatch(request.headers.get("Range", "").strip())
    if request.method != "GET" or not asked:
        request.environ.pop("HTTP_RANGE", None)
    elif asked[1].startswith("-") and int(asked[1][1:]) > size:
        request.environ["HTTP_RANGE"] = "bytes=0-"


def _not_found() -> Response:
    return Response("Not found", status=404, mimetype="text/plain")


def _later() -> Response:
    return Response("The recording is not there yet", status=503, mimetype="text/plain", headers={"Retry-After": "30"})
