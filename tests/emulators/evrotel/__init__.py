"""Evrotel's side on loopback: the sender of call events, the host with the recordings, and the web apps.

Source: Evrotel, "API real time call events"; what that document leaves open follows Evrotel's published client
libraries (wearesho-team/evrotel, wearesho-team/yii2-evrotel) and PHP's own behaviour, as its sample sender is in PHP.
"""

from tests.emulators.evrotel.exchange import Exchange
from tests.emulators.evrotel.recordings import NOT_FOUND, SIGN_IN, Asked, Recorded, Recordings
from tests.emulators.evrotel.sounds import wav
from tests.emulators.evrotel.transmitter import (
    BOM,
    FORM,
    JSON,
    Answer,
    Transmitter,
    Variant,
    encode,
    end_event,
    start_event,
)
from tests.emulators.evrotel.web_apps import DIRECT, AppRequest, WebApps, record_row

__all__ = [
    "BOM",
    "DIRECT",
    "FORM",
    "JSON",
    "NOT_FOUND",
    "SIGN_IN",
    "Answer",
    "AppRequest",
    "Asked",
    "Exchange",
    "Recorded",
    "Recordings",
    "Transmitter",
    "Variant",
    "WebApps",
    "encode",
    "end_event",
    "record_row",
    "start_event",
    "wav",
]
