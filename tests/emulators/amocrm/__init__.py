"""A strict amoCRM (Kommo): refuses what the real one refuses, does what it does, remembers what it was sent."""

from tests.emulators.amocrm.faults import Fault, Ordered
from tests.emulators.amocrm.portal import AmoCRM
from tests.emulators.amocrm.records import (
    Call,
    Company,
    Contact,
    Customer,
    Lead,
    Note,
    Person,
    Popup,
    Task,
    TokenPair,
    Unsorted,
    Violation,
)
from tests.emulators.amocrm.rest import HttpRequest

__all__ = [
    "AmoCRM",
    "Call",
    "Company",
    "Contact",
    "Customer",
    "Fault",
    "HttpRequest",
    "Lead",
    "Note",
    "Ordered",
    "Person",
    "Popup",
    "Task",
    "TokenPair",
    "Unsorted",
    "Violation",
]
