"""What the suite asks of each CRM's stage. Nothing here says what an adapter need not keep."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from enum import StrEnum
from types import TracebackType
from typing import Any, ClassVar, Self

from crm_adapters.contract import CRMAdapter
from crm_adapters.events import Event

PAGE = b"<html><head><title>Sign in</title></head><body>nginx</body></html>"


class Trouble(StrEnum):
    """What a CRM as a whole may do to us, whatever it is asked."""

    AWAY = "refuses connections"
    FAILING = "fails by itself or its proxy does, such as by a 503"
    BUSY = "asks to slow down"
    NO_ANSWER = "answers with what is no answer of its, such as a page"
    REVOKED = "refuses us until a person acts"


class Stage(ABC):
    """A CRM that answers, and a connection that is signed in to it. `user_id` is an employee of it, `samples` values
    for the settings that have no default and are not made up."""

    slug: ClassVar[str]
    user_id: ClassVar[str] = "2"
    samples: ClassVar[Mapping[str, str]] = {}
    recording_url: ClassVar[str | None] = None
    """The link that it is told of a recording by; none where it is sent the file."""

    def __init__(self) -> None:
        self.crm = self.make()

    @abstractmethod
    def make(self) -> Any:
        """The emulator."""

    @abstractmethod
    def adapter(self) -> CRMAdapter:
        """The connection's adapter."""

    @abstractmethod
    def found(self, kind: type[Event]) -> int:
        """How many things that such events make somebody who looks finds in the CRM."""

    @abstractmethod
    def writes(self) -> int:
        """How many requests so far have changed something."""

    @abstractmethod
    def trouble(self, trouble: Trouble) -> None:
        """Lets it happen to all requests from now on."""

    @abstractmethod
    def refuse_one(self) -> Mapping[str, Any]:
        """The CRM will not take the next ended call, and the one after that it will. What has to be special about the
        facts of the first."""

    def cards(self) -> int:
        """How many times a client's card was opened to somebody; where none is, the call's notes have it."""
        return 0

    def secrets(self) -> list[str]:
        """What must stand in no log and no kept exchange besides the secret settings and the tokens."""
        return []

    def __enter__(self) -> Self:
        self.crm.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.crm.__exit__(None, None, None)
