"""What came of it all: requests, calls, tasks, whatever else a test asks for."""

from __future__ import annotations

from collections.abc import Callable

from tests.emulators.amocrm.limits import busiest_second
from tests.emulators.amocrm.records import Call, Company, Contact, Lead, Note, Popup, Task, Unsorted, Violation
from tests.emulators.amocrm.rest import HttpRequest, Rest
from tests.emulators.amocrm.state import Account
from tests.emulators.http import wait_until


class Watching:
    """The part of AmoCRM that looks at what happened."""

    account: Account
    rest: Rest

    @property
    def violations(self) -> list[Violation]:
        """What the client did that a good client never does."""
        return self.account.violations

    @property
    def requests(self) -> list[HttpRequest]:
        """All requests, in order of arrival."""
        return self.rest.requests

    def asked(self, method: str, path: str) -> list[HttpRequest]:
        """The requests of that method to that path."""
        return [each for each in self.requests if (each.method, each.path) == (method, path)]

    def busiest_second(self) -> int:
        """The most requests in any one second, refused ones too."""
        return busiest_second(each.at for each in self.requests)

    @property
    def calls(self) -> list[Call]:
        """Calls that were accepted, in order; a call sent twice is there twice."""
        return self.account.calls

    @property
    def popups(self) -> list[Popup]:
        """Pop-ups, in order."""
        return self.account.popups

    @property
    def tasks(self) -> list[Task]:
        """All tasks, completed ones too."""
        return list(self.account.tasks.values())

    @property
    def contacts(self) -> list[Contact]:
        """All contacts, also those in Unsorted; not the deleted ones."""
        return [each for each in self.account.contacts.values() if not each.is_deleted]

    @property
    def companies(self) -> list[Company]:
        """All companies; not the deleted ones."""
        return [each for each in self.account.companies.values() if not each.is_deleted]

    @property
    def leads(self) -> list[Lead]:
        """All leads, also those in Unsorted; not the deleted ones."""
        return [each for each in self.account.leads.values() if not each.is_deleted]

    @property
    def unsorted(self) -> list[Unsorted]:
        """All that came into Unsorted, settled ones too."""
        return list(self.account.unsorted.values())

    def notes(self, entity_type: str, entity_id: int) -> list[Note]:
        """A timeline: of `contacts`, `companies`, `leads` or `customers`."""
        wanted = (entity_type, entity_id)
        return [each for each in self.account.notes.values() if (each.entity_type, each.entity_id) == wanted]

    def call_notes(self) -> list[Note]:
        """The calls on all timelines, whatever put them there: a call, a note, an acceptance from Unsorted."""
        return list(self.account.call_notes())

    def wait_until(self, predicate: Callable[[], object], timeout: float = 5.0) -> bool:
        """Waits until something is true; False where time was up first."""
        return wait_until(predicate, timeout)
