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

from crm_adapters.door_answers import DoorAnswer, DoorRequest, Installed, InstallOffered
from crm_adapters.errors import AdapterError, NotSupported
from crm_adapters.events import (
    Announced,
    CallEnded,
    CallMissed,
    CallReturned,
    CallStarted,
    EmployeeNotice,
    Event,
    RecordingReady,
    WorkflowAnswer,
)
from crm_adapters.oauth import TokenStore
from crm_adapters.settings import Field


class Capability(StrEnum):
    """What a CRM can be told or asked."""

    CALL_ID = "call_id"
    """A start is registered and the CRM's call ID comes back: the answer to Evrotel waits for it a little."""
    CARD = "card"
    """A start opens the client's card and gives no ID: it is told in the background, within seconds or not at all."""
    OUTGOING_CARD = "outgoing_card"
    """With CARD: so does the start of an outgoing call."""
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
    EVERY_EVENT = "every_event"
    """Each event is told in its turn, however late: a start after the end of its call, a missed call after the client
    was reached. The others are spared what has been overtaken."""
    WITHHELD = "withheld"
    """Calls from withheld numbers are told too, with an empty number."""
    TEST_EVENT = "test_event"
    """A test event can be sent, which changes nothing."""
    ANNOUNCEMENTS = "announcements"
    """It hears also of what is no call: requests of the call-back button, the ends of campaigns."""


TOLD_TO: Mapping[type[Event], frozenset[Capability]] = {
    CallStarted: frozenset({Capability.CALL_ID, Capability.CARD}),
    CallEnded: frozenset({Capability.FINISH}),
    RecordingReady: frozenset({Capability.RECORDING}),
    CallMissed: frozenset({Capability.TASK}),
    CallReturned: frozenset({Capability.TASK}),
    EmployeeNotice: frozenset({Capability.NOTICE}),
    WorkflowAnswer: frozenset({Capability.WORKFLOW}),
    Announced: frozenset({Capability.ANNOUNCEMENTS}),
}
"""Each event goes to the CRMs that declare one of these."""


@dataclass(frozen=True, kw_only=True)
class Door:
    """An address under /{crm}/{connection}/ that the CRM or its users' browsers call.

    `lock` says in a few words what proves that a request is genuine; a door without one does not exist. `for_scripts`:
    scripts in the CRM's pages ask here, are answered in JSON, and only those of a site that the adapter `trusts`.
    `title` is what the CRM's own form calls this address, empty where nobody enters it anywhere.
    """

    methods: tuple[str, ...]
    lock: str
    title: str = ""
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
"""Notes on a call for pages of the CRM and the panel: the client's card (`type`, `id`, `name`; where the CRM said so,
its `url` and who is `responsible`), and the IDs of the users to whom it was shown, none for everybody."""

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

    def declared(self, tellings: Sequence[Telling]) -> list[Telling]:
        """Those of events that the description declares, which `tell` goes on with; the others get NotSupported."""
        known = []
        for telling in tellings:
            if TOLD_TO[type(telling.event)] & self.description.capabilities:
                known.append(telling)
            else:
                telling.error = NotSupported(f"{self.description.title} is not told of {type(telling.event).__name__}")
        return known

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

    def test_event(self) -> Finding:
        """Sends the CRM an event that changes nothing, and says what came back. Raises nothing of the CRM's."""
        raise NotSupported(f"{self.description.title} takes no test event")

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
