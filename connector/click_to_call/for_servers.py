"""Dialling for a CRM's server that waits for the answer, to show it to whoever has clicked."""

from __future__ import annotations

from dataclasses import dataclass

from connector.calls.numbers import dialable_number, is_clients
from connector.calls.people import unknown_extensions, users_by_extension
from connector.click_to_call.at_once import AskedLately, DialStatus, NoBillcode, dial_at_once
from connector.click_to_call.dial_requests import DialRequest
from connector.connections.store import Connection
from connector.deployment import Deployment
from connector.models import DialOrigin, DialState
from connector.texts import DIAL_REASONS, UNCLEAR, in_language


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Why a call is not made: an HTTP status, and words for the employee in the connection's language."""

    status: int
    text: str


def dial_from(here: Deployment, connection: Connection, extension: str, number: str, key: str) -> Problem | None:
    """Has the extension ring at once, then the client; None where the call is on its way.

    A second click within seconds dials nothing. `key` is the idempotency key. Raises what the database raises.
    """
    client = dialable_number(number, connection.get("phone_region"))
    if client is None or not is_clients(client):
        return _problem(connection, 400, DIAL_REASONS["no_number"])
    known = users_by_extension(here, connection)
    if known and extension not in known and extension not in unknown_extensions(here, connection):
        return _problem(connection, 400, DIAL_REASONS["no_extension"])
    request = DialRequest(key=key, origin=DialOrigin.CLICK, number=client, extensions=(extension,))
    try:
        status = dial_at_once(here, connection, request, unless_lately=True)
    except AskedLately:
        return None
    except NoBillcode:
        return _problem(connection, 409, DIAL_REASONS["no_billcode"])
    return _problem_of(connection, status)


def _problem_of(connection: Connection, status: DialStatus) -> Problem | None:
    if status.state is DialState.FAILED and status.reason != "no_start":
        return _problem(connection, 502, DIAL_REASONS[status.reason or "refused"])
    # What did not reach Evrotel is tried again for some seconds: the phone may still ring.
    failed_once = status.state is DialState.PENDING and status.answer is not None
    return _problem(connection, 502, UNCLEAR) if status.is_unclear or failed_once else None


def _problem(connection: Connection, status: int, text: str) -> Problem:
    return Problem(status=status, text=in_language(connection.get("language"), text))
