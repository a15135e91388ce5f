"""Every door declares what locks it; a test walks the URL map and fails on a view without a declaration."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

View = TypeVar("View", bound=Callable[..., Any])


class Lock(StrEnum):
    """What a request must prove before it learns or changes anything."""

    PUBLIC = "nothing to protect: says no more than that the process lives"
    EVROTEL_TOKEN = "the connection's Evrotel token, in constant time"  # noqa: S105 - says what the lock is
    ADAPTER = "the adapter's own proof, named by its Door"
    API_KEY = "a key of the connection's HTTP API"
    OPERATOR = "loopback, or any API key"
    FRAME_PASS = "a signed pass of an hour, given to a user whom the CRM has verified"  # noqa: S105 - as above
    SIGNED_LINK = "an unguessable signature"
    LISTENING_PASS = "a signed pass of some hours for one recording and listener"  # noqa: S105 - as above
    SITE = "a page of a site in the connection's list, by its Origin; all it can have is a call, within limits"
    SIGN_IN = "the door where one signs in: rate limited"
    SESSION = "a signed-in panel user"
    SUPERVISOR = "a signed-in panel user of role supervisor or admin"
    ADMIN = "a signed-in panel user of role admin"
    SETUP_TOKEN = "the generated set-up token"  # noqa: S105 - as above


def locked_by(lock: Lock) -> Callable[[View], View]:
    """Declares the lock of a view. The view (or what it calls first) enforces it."""

    def declare(view: View) -> View:
        view.lock = lock  # type: ignore[attr-defined]  # a function takes any attribute
        return view

    return declare
