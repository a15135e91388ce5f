"""What can go wrong between us and a CRM, by what is to be done about it.

    AdapterError
    ├── AccountTrouble      the account as a whole; everything of it waits, one probe asks for all
    │   ├── Unreachable     no connection, a time-out, an answer that is no answer (HTML, 5xx)
    │   ├── Limited         asked to slow down; `retry_after` seconds where the CRM said so
    │   └── Misconfigured   our own settings are wrong, such as an application's key: an admin is told, nothing is lost
    ├── SignInRefused       the account refuses us until a person acts: the connection is paused with the reason
    ├── TryAgain            this one telling failed for now: it has a schedule of its own
    │   ├── Held            what it needs is closed until a known moment: it waits for that
    │   └── NotSent         there was no time left for it: as if it had not been tried
    ├── Refused             the CRM will never take this telling: it is dead at once
    ├── NotWanted           by the rules the CRM is not to have it: it stays in the journal, and that is no failure
    └── NotSupported        this adapter has no such capability

A configuration error is a `ValueError` of the settings and stands outside this tree, so that nothing that handles
delivery errors can swallow it.
"""

from __future__ import annotations


class AdapterError(Exception):
    """Base of all. `code` is the CRM's own word for it where it gave one.

    `maybe_done` is true where the request was sent and no clear answer came back: the step may have taken effect and
    has to be looked up before it is repeated, unless repeating it is harmless.
    """

    def __init__(self, message: str, *, code: str = "", maybe_done: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.maybe_done = maybe_done


class AccountTrouble(AdapterError):
    """The account is unreachable, limiting or refusing: no fault of the telling, and no try of it is used up."""

    def __init__(
        self, message: str, *, code: str = "", maybe_done: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(message, code=code, maybe_done=maybe_done)
        self.retry_after = retry_after


class Unreachable(AccountTrouble):
    """No connection, a time-out, or an answer that is not the CRM's (HTML, 5xx)."""


class Limited(AccountTrouble):
    """The CRM asks us to slow down. The request was not executed."""


class Misconfigured(AccountTrouble):
    """The CRM does not know the application by our settings. The account itself has done nothing: it stays bound."""


class SignInRefused(AdapterError):
    """Revoked, unpaid, blocked, dismissed: only a person can mend it. The message says what to do."""


class TryAgain(AdapterError):
    """This telling failed for now; others of the account may go on."""


class Held(TryAgain):
    """The CRM does not run this for `retry_after` seconds, and all else as before. It was not executed."""

    def __init__(self, message: str, *, code: str = "", retry_after: float = 0.0) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class NotSent(TryAgain):
    """The round's time was up before this telling's turn came: it goes again at once and has used up no try."""


class Refused(AdapterError):
    """The CRM will never take this telling as it is."""


class NotWanted(AdapterError):
    """Nothing in the CRM belongs to this telling, and by the rules nothing is made for it. The message says why."""


class NotSupported(AdapterError):
    """The adapter does not declare this capability."""


class Unfit(Exception):
    """A package that names itself as a CRM can't be used; says which and why. No delivery meets it: nothing starts."""
