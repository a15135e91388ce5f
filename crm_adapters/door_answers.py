"""Requests at a CRM's doors, and what they can mean: plain values that the connector acts on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crm_adapters.oauth import Tokens


@dataclass(frozen=True, kw_only=True)
class DoorRequest:
    """An HTTP request at a door in plain values; of repeated keys the first one."""

    door: str
    method: str
    query: Mapping[str, str]
    form: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Installed:
    """A genuine installation: keep the tokens and wake what waits.

    `account_key` is the account's stable ID; a connection bound to another one refuses. `opened` is the frame in which
    the browser shows the application, None where a server called; `finishes` tells whether its page has to tell the CRM
    that all is installed, `moved` that the account still points to a former address of ours. `name` is the account's,
    for people.
    """

    account_key: str
    tokens: Tokens
    opened: Opened | None = None
    finishes: bool = False
    moved: bool = False
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A verified user of the account `account_key` opened the application in a frame of the site `frame_ancestor`.

    `script` is the CRM's own library for pages in its frames. `number` is the client's where the frame belongs to a
    call's card, empty where that call's number is hidden; None elsewhere.
    """

    account_key: str
    frame_ancestor: str
    script: str
    user_id: str
    is_admin: bool
    number: str | None = None


@dataclass(frozen=True, kw_only=True)
class InstallOffered:
    """Somebody installed the application from within the account at `host`: `code` may be exchanged for its tokens.

    Nobody has proved whose wish it is: it is kept, exchanged in the background, and bound to the connection only after
    a user of the same account has proved themselves, or an administrator of ours has accepted it.
    """

    host: str
    code: str


@dataclass(frozen=True, kw_only=True)
class ClickToCall:
    """An employee clicked a number. `key` is the same at every repeat; `crm_call_id` is set where the CRM has
    registered the call already. With `waits`, somebody looks on who is told what becomes of it, in a page of the
    account `account_key`. A CRM that knows extensions instead of users gives the `extension`."""

    key: str
    number: str
    user_id: str
    extension: str = ""
    crm_call_id: str | None = None
    waits: bool = False
    account_key: str = ""


@dataclass(frozen=True, kw_only=True)
class NumbersGiven:
    """An administrator of the account gave employees their inner numbers: by CRM user ID. They replace what was there,
    and are kept in the connection's `setting`."""

    account_key: str
    extensions: Mapping[str, str]
    setting: str


@dataclass(frozen=True, kw_only=True)
class StateAsked:
    """A user of the account wants to know whether the connection works."""

    account_key: str


@dataclass(frozen=True, kw_only=True)
class ExtensionsAsked:
    """The CRM wants to know which extensions there are, and whose."""


@dataclass(frozen=True, kw_only=True)
class CallsAsked:
    """A user's page asks which calls ring for them now, or have just been missed."""

    account_key: str
    user_id: str


@dataclass(frozen=True, kw_only=True)
class CallbackWanted:
    """A client asked to be called back. `notes` are kept with the call."""

    number: str
    line: str
    notes: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class RobotCall:
    """An automation robot wants a client called: by the user `user_id` (empty: who is responsible), or, where a
    `mediafile` is named, by a voice. The workflow waits for an answer to `ticket`, the idempotency key as well."""

    ticket: str
    number: str
    user_id: str = ""
    mediafile: str = ""


@dataclass(frozen=True, kw_only=True)
class Echo:
    """The test event that a check asked for has come: the way back from the CRM works."""


@dataclass(frozen=True, kw_only=True)
class AccessDoubted:
    """Somebody genuine says, or repeats what was once said, that the access was taken away: the account is asked."""


@dataclass(frozen=True, kw_only=True)
class Uninstalled:
    """The account took the application away: the connection is paused with this reason."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Ignored:
    """Genuine, and nothing to do."""


@dataclass(frozen=True, kw_only=True)
class DoorRefused:
    """Not genuine or not understood: `status` 400, 401 or 403 and one line."""

    status: int
    text: str


DoorAnswer = (
    Installed
    | InstallOffered
    | Opened
    | ClickToCall
    | NumbersGiven
    | StateAsked
    | CallsAsked
    | ExtensionsAsked
    | CallbackWanted
    | RobotCall
    | Echo
    | AccessDoubted
    | Uninstalled
    | Ignored
    | DoorRefused
)
