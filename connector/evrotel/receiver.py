"""The door that Evrotel's transmitter calls: POST /evrotel/{connection}/events."""

from __future__ import annotations

import logging
import time

from flask import Blueprint, Response, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import RequestEntityTooLarge

from connector.calls.arrivals import INCOMPLETE, Arrival
from connector.calls.endings import Unplaceable
from connector.connections.store import Connection
from connector.db import Unavailable, now
from connector.delivery.first import answer_to, claim_until
from connector.deployment import Deployment, deployment
from connector.evrotel.parser import EndEvent, StartEvent, Unreadable, parse_event
from connector.locks import Lock, locked_by
from connector.log import about
from connector.secrets import WrongKey, same

logger = logging.getLogger(__name__)

PREFIX = "/evrotel"
WAITING_PART = 0.95
"""Of the time for an answer so much may be spent on waiting for the CRM: what came of it is kept in the rest."""
MAX_BODY_BYTES = 64 * 1024
blueprint = Blueprint("evrotel", __name__, url_prefix=PREFIX)


@blueprint.post("/<name>/events")
@locked_by(Lock.EVROTEL_TOKEN)
def events(name: str) -> Response:
    """Takes one event. The answers are the contract's: callid or OK, 400, 401, 404, 413, 503, all plain text."""
    arrived = time.monotonic()
    here = deployment()
    try:
        connection = here.connections.get(name)
        if not authorized(request.headers.get("Authorization", ""), connection.get("evrotel_token")):
            return _refused(here, connection)
        return _take(here, connection, arrived)
    except RequestEntityTooLarge:
        return _plain(413, "The event is over 64 KiB", {"Connection": "close"})  # the rest of it is not read
    except SQLAlchemyError as error:
        logger.error("an event of %s was not kept, the database does not answer: %s", name, type(error).__name__)
    except WrongKey as error:
        logger.error("an event of %s was not kept: %s", name, error)
    return _plain(503, "The event was not kept, send it again", {"Retry-After": "1"})


@blueprint.get("/<name>/events")
@locked_by(Lock.PUBLIC)
def only_by_post(name: str) -> Response:  # noqa: ARG001 - of the address, which says nothing of its connections
    """Somebody looks in a browser whether the address is right."""
    return _plain(405, "Evrotel's transmitter sends its events here by POST", {"Allow": "POST"})


def _refused(here: Deployment, connection: Connection) -> Response:
    try:
        here.intake.count(connection, "refused_token")
    except SQLAlchemyError as error:
        logger.warning("a refused token was not counted: %s", type(error).__name__)
    return _plain(401, "Access denied")


def authorized(header: str, token: str) -> bool:
    """Whether an Authorization header carries the token, bare or after a scheme (`Bearer TOKEN`)."""
    given = header.strip()
    scheme, _, rest = given.partition(" ")
    return same(given, token) or (scheme.isalpha() and same(rest.strip(), token))


def _take(here: Deployment, connection: Connection, arrived: float) -> Response:
    body, fault = _read_body()
    arrival = Arrival(body=body, content_type=request.headers.get("Content-Type", ""), at=now())
    try:
        if fault:
            raise Unreadable(fault)
        event = parse_event(body)
        if isinstance(event, StartEvent):
            return _start(here, connection, event, arrival, arrived)
        return _end(here, connection, event, arrival)
    except (Unreadable, Unplaceable) as error:
        here.intake.reject(connection, arrival, str(error))
        logger.warning("connection %s: an event was rejected: %s", connection.name, error)
        return _plain(400, str(error))
    except Unavailable:
        raise
    except Exception as error:  # a fault of ours must not lose the event: it is run through again when that is mended
        here.intake.reject(connection, arrival, f"not understood: {type(error).__name__}")
        logger.exception("connection %s: an event could not be dealt with", connection.name)
        return _plain(500, "The event was kept and will be looked at")


def _read_body() -> tuple[bytes, str | None]:
    """The body as far as it came, and why that is not the whole. Raises RequestEntityTooLarge.

    Flask would hand over the first part of a body that is longer than the limit (where no length was said before) or
    shorter than was said, as if it were the whole.
    """
    request.max_content_length = MAX_BODY_BYTES + 1  # the one more tells a body over the limit from one that fills it
    body = bytearray()
    try:
        while len(body) <= MAX_BODY_BYTES and (part := request.stream.read(MAX_BODY_BYTES)):
            body += part
    except RequestEntityTooLarge:
        raise
    except Exception as error:  # noqa: BLE001 - each server has errors of its own for a body that breaks off
        return bytes(body), f"{INCOMPLETE}: {type(error).__name__}"
    if len(body) > MAX_BODY_BYTES:
        raise RequestEntityTooLarge
    if request.content_length is not None and len(body) < request.content_length:
        return bytes(body), f"{INCOMPLETE}: {len(body)} of {request.content_length} bytes came"
    return bytes(body), None


def _start(here: Deployment, connection: Connection, event: StartEvent, arrival: Arrival, arrived: float) -> Response:
    deadline = arrived + WAITING_PART * here.settings.start_answer_seconds
    taken = here.intake.start(connection, event, arrival, claim_until(here, connection, arrival.at))
    try:
        callid = answer_to(here, connection, taken, deadline)
    except Exception:  # the start is kept: whatever failed after that is no reason to answer that it was not
        logger.exception("a start is answered with our own ID", extra=about(taken.call_id))
        callid = taken.callid or taken.call_id
    logger.info("%s call of %s started", event.direction, connection.name, extra=about(taken.call_id))
    return _plain(200, callid)


def _end(here: Deployment, connection: Connection, event: EndEvent, arrival: Arrival) -> Response:
    call_id = here.intake.end(connection, event, arrival)
    logger.info("call of %s ended, %s, %s s", connection.name, event.disposition, event.billsec, extra=about(call_id))
    return _plain(200, "OK")


def _plain(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return Response(text, status=status, mimetype="text/plain", headers=headers)
