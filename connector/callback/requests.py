"""Takes a visitor's request: what it must be, and how it is kept, together with the call that is to come of it."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection as SQLConnection
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from connector.callback.announcing import requested
from connector.callback.asking import Wanted
from connector.callback.button import Button, version_of
from connector.callback.limits import Asker, Brake
from connector.callback.numbers import NOT_ALLOWED, own_numbers, read_phone, refusal_of
from connector.callback.refusals import Refused
from connector.callback.tokens import OldToken, WrongToken, read_token
from connector.calls.kinds import autodial_numbers
from connector.click_to_call.dial_requests import SAME_WISH, AskedBefore, DialRequest, keep_request
from connector.connections.store import Connection
from connector.db import insert_or_ignore, now
from connector.delivery.announcements import CALLBACK_REQUESTED, announce
from connector.deployment import Deployment
from connector.frame.lines import known_lines
from connector.models import CallbackRequest, CallbackState, ConsentText, DialOrigin
from connector.panel.language import LANGUAGES

logger = logging.getLogger(__name__)


def take_request(
    here: Deployment, connection: Connection, button: Button, wanted: Wanted, *, origin: str, network: str
) -> str:
    """Keeps the request, to be called at once or at its time; its ID. The same form sent again gives the same ID.

    Raises Refused, and what the database and the counting of limits raise.
    """
    at = now()
    if wanted.honeypot:
        raise Refused("bot")
    nonce = _nonce(here, connection, wanted.token, origin)
    number = read_phone(wanted.phone, connection.get("phone_region"))
    if reason := refusal_of(number, button.countries, _own(connection, button)):
        raise Refused(reason)
    assert number is not None  # noqa: S101 - else it is refused; for the type checker
    if nonce and (earlier := _earlier(here, connection, nonce, number)):
        return earlier
    row = {
        "id": secrets.token_hex(16),
        "connection_id": connection.id,
        "key": nonce or secrets.token_hex(16),
        "number": number,
        "due_at": _due_at(button, wanted.slot, at),
        "attempts": 0,
        "origin": origin,
        "page": wanted.page,
        "title": wanted.title,
        "referrer": wanted.referrer,
        "utm": dict(wanted.utm),
        "network": network,
        "language": wanted.language,
        "consent_version": _consented(button, wanted.consent),
        "created_at": at,
        "updated_at": at,
    }
    if not connection.get("evrotel_billcode"):
        logger.error("connection %s: a call was asked for, and evrotel_billcode is not set", connection.name)
        raise Refused("unavailable")
    _brake(here, connection, button, Asker(number=number, network=network, origin=origin, has_token=bool(nonce)))
    if number in known_lines(here, connection):  # looked for last: it takes a moment
        raise Refused(NOT_ALLOWED)
    return _keep(here, connection, button, row, at)


def dial_request(
    connection: Connection, extensions: Sequence[str], request_id: str, number: str, tries: int
) -> DialRequest:
    """What Evrotel is to be asked for one try."""
    return DialRequest(
        key=f"{DialOrigin.SITE}-{request_id}-{tries}",
        origin=DialOrigin.SITE,
        number=number,
        extensions=tuple(extensions),
        routing=connection.get("routing") if extensions else "",
    )


def _nonce(here: Deployment, connection: Connection, token: str, origin: str) -> str:
    """What makes this form's request the same when it is sent again; empty where no token came."""
    if not token:
        return ""
    try:
        return read_token(here.settings.secret_keys, token, connection.id, origin)
    except OldToken:
        raise Refused("token_expired") from None
    except WrongToken:
        raise Refused("token") from None


def _own(connection: Connection, button: Button) -> frozenset[str]:
    """The company's own numbers by its settings: what the autodial calls from, what visitors are told to call."""
    named = {*autodial_numbers(connection), *filter(None, (button.phone,))}
    return own_numbers(named, connection.get("phone_region"))


def _earlier(here: Deployment, connection: Connection, nonce: str, number: str) -> str | None:
    """The request that this form was sent with before. Raises Refused where that was for another number."""
    query = select(CallbackRequest.id, CallbackRequest.number).where(
        CallbackRequest.connection_id == connection.id, CallbackRequest.key == nonce
    )
    with here.database.read() as db:
        row = db.execute(query).first()
    if row is not None and row.number != number:
        raise Refused("token_used")
    return None if row is None else str(row.id)


def _due_at(button: Button, slot: str, at: datetime) -> datetime:
    """When to call: now, when work begins, or at the time that was chosen."""
    opening = button.hours.next_open(at)
    if opening != at and (opening is None or not button.takes_slots):
        raise Refused("closed")
    if not slot:
        return opening or at
    try:
        chosen = datetime.fromisoformat(slot)
    except ValueError:
        raise Refused("slot_unfit") from None
    if chosen.tzinfo is None:
        chosen = chosen.replace(tzinfo=button.hours.zone)
    if not button.hours.fits(chosen, at):
        raise Refused("slot_unfit")
    return chosen


def _consented(button: Button, version: str) -> str | None:
    """The version that was agreed to, in whichever language it was shown; None where nothing is asked."""
    asked = {version_of(text, button.consent_url) for each in LANGUAGES if (text := button.consent_text(each))}
    if asked and version not in asked:
        raise Refused("consent_required")
    return version if asked else None


def _brake(here: Deployment, connection: Connection, button: Button, asker: Asker) -> None:
    brake = Brake(here.counting, connection.id, button.limits)
    exceeded = brake.take(asker)
    if exceeded:
        raise Refused(exceeded.name, exceeded.seconds)
    if stopped := brake.stopped():
        logger.error(
            "connection %s: the call-back button takes nothing for %s s: the ceiling of callback_limits is reached",
            connection.name,
            stopped.seconds,
        )


def _keep(here: Deployment, connection: Connection, button: Button, row: dict[str, Any], at: datetime) -> str:
    """Writes the request, and the call of one that is due, in one transaction."""
    begins = row["due_at"] <= at
    try:
        with here.database.write() as db:
            _keep_consent(db, button, row)
            if begins:
                wanted = dial_request(connection, button.extensions, row["id"], row["number"], 1)
                row |= {"call_id": keep_request(db, connection, wanted, at), "attempts": 1}
            state = CallbackState.CALLING if begins else CallbackState.SCHEDULED
            db.execute(insert(CallbackRequest).values(row | {"state": state}))
            announce(db, connection, CALLBACK_REQUESTED, requested(connection, row), key=row["id"], at=at)
            here.database.wake_workers(db)
    except AskedBefore:
        raise Refused("number", int(SAME_WISH.total_seconds())) from None
    except IntegrityError:  # the same form came twice at once
        earlier = _earlier(here, connection, row["key"], row["number"])
        if earlier is None:
            raise
        return earlier
    return str(row["id"])


def _keep_consent(db: SQLConnection, button: Button, row: dict[str, Any]) -> None:
    """The text of the version that was agreed to stays readable when the setting has changed."""
    version = row["consent_version"]
    shown = {version_of(text := button.consent_text(each), button.consent_url): text for each in LANGUAGES}
    if version:
        text = " ".join(filter(None, (shown[version], button.consent_url)))
        kept = {
            "connection_id": row["connection_id"],
            "version": version,
            "text": text,
            "created_at": row["created_at"],
        }
        db.execute(insert_or_ignore(db, ConsentText, ["connection_id", "version"]).values(kept))
