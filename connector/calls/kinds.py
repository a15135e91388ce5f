"""What a call is for, and whether a CRM is to hear of it at all."""

from __future__ import annotations

from sqlalchemy import Connection as SQLConnection
from sqlalchemy import select

from connector.calls.numbers import is_extension, normal_number
from connector.connections.store import Connection
from connector.models import Extension
from crm_adapters.contract import Capability
from crm_adapters.events import CallKind, Direction
from crm_adapters.settings import parse_user_by_extension

WITHHELD = "the number is withheld: there is nobody to log the call for"
AMONG_EMPLOYEES = "a call among employees: no client to log it for"


def tellable(connection: Connection, client_number: str | None, kind: CallKind) -> bool:
    """Whether the CRM is to hear of a call."""
    return call_note(connection, client_number, kind) is None


def call_note(connection: Connection, client_number: str | None, kind: CallKind) -> str | None:
    """Why no CRM is told of a call, None where it is."""
    if kind is CallKind.INNER:
        return AMONG_EMPLOYEES
    return None if client_number or connection.can(Capability.WITHHELD) else WITHHELD


def call_kind(connection: Connection, direction: Direction, number_a: str, *, inner: bool) -> CallKind:
    """What a call that nobody asked us for is for: one from an autodial number plays a message."""
    if inner:
        return CallKind.INNER
    if direction is not Direction.OUTGOING:
        return CallKind.NORMAL
    caller = normal_number(number_a, connection.get("phone_region"))
    return CallKind.AUTODIAL if caller in autodial_numbers(connection) else CallKind.NORMAL


def autodial_numbers(connection: Connection) -> set[str]:
    """The numbers that Evrotel's autodial calls from; they look like extensions and are nobody's."""
    region = connection.get("phone_region")
    named = (normal_number(number, region) for number in connection.get("autodial_numbers").split(","))
    return {number for number in named if number}


def is_employee(db: SQLConnection, connection: Connection, number: str | None) -> bool:
    """Whether a call's other side is no client but an employee's extension."""
    if not number or not is_extension(number):
        return False
    known = select(Extension.user_id).where(Extension.connection_id == connection.id, Extension.extension == number)
    return number in parse_user_by_extension(connection.get("extensions")) or db.execute(known).first() is not None
