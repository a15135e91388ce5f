"""All that the author of an adapter implements.

What a CRM can do is declared in its package's `DESCRIPTION`; what is not declared fails loudly with `NotSupported`.
An adapter object belongs to one connection, may be used by several threads at once, and keeps nothing that must
survive the process: progress of a telling is saved through the service.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from crm_adapters.errors import AdapterError, NotSupported
from crm_adapters.events import Event
from crm_adapters.oauth import Tokens, TokenStore
from crm_adapters.settings import Field


class Capability(StrEnum):
    """What a CRM can be told or asked."""

    CALL_ID = "call_id"
    """A start is registered and the CRM's call ID comes back: the answer to Evrotel waits for it a little."""
    CARD = "card"
    """A start opens the client's card and gives no ID: it is told in the background, within seconds or not at all."""
    FINISH = "finish"
    """The end of a call is logged. Works also where the start could not be told."""
    RECORDING = "recording"
    """A recording is attached after the end."""
    USERS = "users"
    """The CRM knows its users' inner numbers."""
    TASK = "task"
    """A missed call becomes something to do, which is done by itself when the client is reached."""
    NOTICE = "notice"
    """An employee can be told something."""
    WORKFLOW = "workflow"
    """Robots ask for calls and wait for what becomes of them."""


@dataclass(frozen=True, kw_only=True)
class Door:
    """An address under /{crm}/{connection}/ that the CRM or its users' browsers call.

    `lock` says in a few words what proves that a request is genuine; a door without one does not exist. `for_scripts`:
    scripts in the CRM's pages ask here, are answered in JSON, and only those of a site that the adapter `trusts`.
    """

    methods: tuple[str, ...]
    lock: str
    for_scripts: bool = False


@dataclass(frozen=True, kw_only=True)
class Description:
    """What there is to know of a CRM before its adapter is loaded."""

    slug: str
    title: str
    fields: tuple[Field, ...] = ()
    capabilities: frozenset[Capability] = frozenset()
    doors: Mapping[str, Door] = field(default_factory=dict)
    consent_sites: Mapping[str, str] = field(default_factory=dict)
    """The CRM's sites with a page of consent where an administrator connects it, and what each is called; none where
    there is no such page."""
    signs_in_by_settings: bool = False
    """Whether settings alone may sign in to an account, without a consent or an installation."""
    widget: str = ""
    """What its archive of scripts for the CRM's pages is called, such as widget.zip; empty where there is none."""
    needs_mp3: bool = False
    """Whether its player takes nothing but MP3: recordings are made into it, and links end in `.mp3` from the first
    moment."""


class Priority(StrEnum):
    """Who asks for a request of the account's budget: a ringing phone, or the rest."""

    START = "start"
    BACKGROUND = "background"


class Limiter(Protocol):
    """The account's request budget, shared by all processes."""

    def take(self, key: str, *, burst: float, per_second: float) -> float:
        """Takes one request from the leaky bucket `key` where it fits: 0. Else the seconds until it would."""

    def fill(self, key: str, *, burst: float) -> None:
        """The CRM said that the budget is spent: nothing more until it drains."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """What the service hands an adapter: one connection's settings and the means to reach its CRM account.

    `allow_local` permits loopback and private addresses and plain http. `oauth_url` is the base of the CRM's own
    sign-in server where the deployment names one. `echoed_at` tells when a test event last came back from the CRM.
    `take_state` says whether a consent was asked for with this state, once; `first_use` whether something that is good
    for one use until that moment is used for the first time. `bound_to` is the stable ID of the CRM account that the
    connection is bound to, None before it is.
    """

    connection: str
    settings: Mapping[str, str]
    tokens: TokenStore
    limiter: Limiter
    public_url: str
    language: str = "uk"
    allow_local: bool = False
    oauth_url: str = ""
    echoed_at: Callable[[], datetime | None] = lambda: None
    take_state: Callable[[str], bool] = lambda state: False  # noqa: ARG005 - the parameter's name is the explanation
    bound_to: Callable[[], str | None] = lambda: None
    first_use: Callable[[str, datetime], bool] = lambda key, until: False  # noqa: ARG005 - as above


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One request to the CRM and its answer, as texts fit to be kept: no secrets, shortened. Times in milliseconds."""

    request: str
    answer: str
    milliseconds: int


@dataclass(kw_only=True)
class Telling:
    """One event on its way to the CRM.

    `progress` (JSON values) is what earlier tries saved; the adapter changes it and calls `save` before every step
    that must not be repeated blindly. `notes` (JSON values too) are the adapter's own on the call, the same for all its
    tellings. `exchanges` collects what was sent and answered. `crm_call_id`, `crm_user_id` (the user whom the CRM has
    the call under) and `error` are the outcome: no error means that the CRM has heard it.
    """

    event: Event
    progress: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    exchanges: list[Exchange] = field(default_factory=list)
    crm_call_id: str | None = None
    crm_user_id: str | None = None
    error: AdapterError | None = None


TASK_ID = "task_id"
"""The key in the progress of a CallMissed's telling for the CRM's ID of what is to be done."""

CARD, SHOWN_TO = "card", "shown_to"
"""Notes on a call for pages of the CRM: the client's card (`type`, `id`, `name`), and the IDs of the users to whom it
was shown, none for everybody."""

Save = Callable[[Sequence[Telling]], None]
"""Commits the progress, notes and CRM IDs of some tellings; raises where they are no longer ours to tell."""


@dataclass(frozen=True, kw_only=True)
class CRMUser:
    """An employee as the CRM knows them; `extension` is None or empty where the CRM has no inner number."""

    id: str
    name: str
    extension: str | None
    active: bool = True


class FindingStatus(StrEnum):
    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is right or wrong with a connection, and what to do about it.

    `text` and `fix` are English and marked for translation, with `%(key)s` where one of the `values` belongs.
    """

    name: str
    status: FindingStatus
    text: str
    fix: str = ""
    values: Mapping[str, object] = field(default_factory=dict)

    def worded(self, translate: Callable[[str], str] = str) -> Finding:
        """The finding as it is shown: translated, the values in their places."""
        text, fix = (translate(each) % self.values if each else "" for each in (self.text, self.fix))
        return replace(self, text=text, fix=fix, values={})


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
    account `account_key`."""

    key: str
    number: str
    user_id: str
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
    | CallbackWanted
    | RobotCall
    | Echo
    | AccessDoubted
    | Uninstalled
    | Ignored
    | DoorRefused
)


class CRMAdapter(ABC):
    """The translator of one connection's calls into its CRM's requests."""

    description: Description

    def __init__(self, account: Account) -> None:
        self.account = account

    @abstractmethod
    def tell(self, tellings: Sequence[Telling], *, save: Save, priority: Priority, seconds: float) -> None:
        """Tells the CRM up to 50 events of different calls, in as few requests as it can, within `seconds`.

        Sets `crm_call_id` or `error` on each telling; raises nothing of the CRM's. An event that was told before and
        comes again has the same effect as once.
        """

    def users(self, *, seconds: float = 60.0) -> list[CRMUser]:  # noqa: ARG002 - for those that can
        """All employees that the CRM knows, within `seconds`. Raises AdapterError; never returns half of them."""
        raise NotSupported(f"{self.description.title} does not list users")

    def responsible(self, number: str, *, seconds: float = 5.0) -> str | None:  # noqa: ARG002 - for those that can
        """The user responsible for the client with this number, None where the CRM knows none. Raises AdapterError."""
        return None

    def set_up(self, lines: Sequence[str]) -> Iterator[Finding]:  # noqa: ARG002 - for those that can
        """Prepares the account after a sign-in (events, places, lines), one finding for each step as it is done.

        May be repeated at any time. Raises nothing of the CRM's.
        """
        return iter(())

    def check(self) -> list[Finding]:
        """Asks the CRM what is right and wrong with the connection; changes nothing. Raises nothing of the CRM's."""
        return []

    def keep_alive(self) -> None:  # noqa: B027 - most CRMs need none
        """Called once a day: renews a sign-in that silence would end. Raises AdapterError."""

    def consent_url(self, state: str, site: str) -> str:  # noqa: ARG002 - for those that have one
        """The page where an administrator consents to the connection, at one of the `consent_sites`; empty: at the
        account's own. Raises AdapterError where a setting that it needs is missing."""
        raise NotSupported(f"{self.description.title} asks for no consent")

    def redeem(self, offer: InstallOffered) -> Installed:
        """The account that installed the application by itself. Raises AdapterError."""
        raise NotSupported(f"{self.description.title} is not installed like this: {offer.host}")

    def sign_in(self) -> Installed | None:
        """The account that the settings alone sign in to, None where they do not. Raises AdapterError."""
        return None

    def prove_sign_in(self) -> None:  # noqa: B027 - for those that are told of a revoked access
        """Asks the account for something small. Raises AdapterError, SignInRefused where the access is gone."""

    def trusts(self, origin: str) -> bool:  # noqa: ARG002 - for those with scripts in the CRM's pages
        """Whether scripts of this site (`https://host`) may read the answers of doors that are `for_scripts`."""
        return False

    def widget(self, moment: datetime) -> bytes:  # noqa: ARG002 - for those that have one
        """The archive of scripts for the CRM's pages, as built at `moment`: each build is of a higher version."""
        raise NotSupported(f"{self.description.title} has no widget")

    def asks_at(self, request: DoorRequest) -> bool:  # noqa: ARG002 - for those that know better
        """Whether `open_door` has to ask the CRM about this request, which takes time and may be a stranger's doing."""
        return True

    def open_door(self, request: DoorRequest) -> DoorAnswer:
        """What a request at one of the declared doors means. Raises AdapterError where the CRM can't be asked."""
        raise NotSupported(f"{self.description.title} has no door {request.door}")
