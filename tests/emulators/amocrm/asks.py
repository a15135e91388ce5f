"""One question to the API as its handlers see it, and lists page by page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

from tests.emulators.amocrm.errors import Problem, hal, nothing
from tests.emulators.amocrm.records import Person
from tests.emulators.amocrm.state import Account
from tests.emulators.http import Response

PAGE = 50
MOST = 250


@dataclass
class Ask:
    """A request that has been let in: whose it is, what it asks, what it brings."""

    account: Account
    person: Person
    method: str
    path: str
    query: str
    body: Any = None
    _read: set[str] = field(default_factory=lambda: {"page", "limit"})

    def all(self, name: str) -> list[str]:
        """The values of a parameter, whether it was given as name, name[] or name[0]; commas separate too."""
        self._read.add(name)
        found = [value for key, value in parse_qsl(self.query, keep_blank_values=True) if plain(key) == name]
        return [part for value in found for part in value.split(",")]

    def one(self, name: str) -> str | None:
        """The last value of a parameter, commas and all."""
        self._read.add(name)
        found = [value for key, value in parse_qsl(self.query, keep_blank_values=True) if plain(key) == name]
        return found[-1] if found else None

    def numbers(self, name: str) -> set[int] | None:
        """A parameter's numbers; None where it was not given."""
        given = self.all(name)
        if any(not re.fullmatch(r"-?\d{1,18}", each) for each in given):
            raise Problem(400, f"Invalid {name}", f"{name} is no number")
        return {int(each) for each in given} if given else None

    def words(self, name: str) -> set[str] | None:
        """A parameter's words; None where it was not given."""
        given = self.all(name)
        return set(given) if given else None

    def violate(self, what: str) -> None:
        """Remembers a client's mistake that is not refused."""
        self.account.violate(self.method, self.path, what)

    def finish(self) -> None:
        """Whatever nobody has asked for is swallowed silently by the real one: a filter that filters nothing."""
        given = {plain(key) for key, _ in parse_qsl(self.query, keep_blank_values=True)}
        ignored = {each for each in given - self._read if not each.startswith("order[")}
        if ignored:
            self.violate(f"unknown parameters {sorted(ignored)}")

    def link(self, path: str) -> dict[str, Any]:
        """A link to something of the account."""
        return {"self": {"href": f"{self.account.url}{path}"}}

    def require_admin(self) -> None:
        """Refuses users without an administrator's rights."""
        if not self.person.is_admin:
            raise Problem(403, "Access denied")

    def listing(self, name: str, items: Sequence[dict[str, Any]], *, counted: bool = False) -> Response:
        """One page of a list; an empty one has no body. `counted`: it tells how many there are."""
        page, limit = self._page()
        shown = list(items[(page - 1) * limit : page * limit])
        if not shown:
            return nothing()
        links = self.link(f"{self.path}?{self._with_page(page)}")
        if page * limit < len(items):
            links["next"] = {"href": f"{self.account.url}{self.path}?{self._with_page(page + 1)}"}
        answer: dict[str, Any] = {"_page": page, "_links": links, "_embedded": {name: shown}}
        if counted:
            answer |= {"_total_items": len(items), "_page_count": -(-len(items) // limit)}
        return hal(answer)

    def _page(self) -> tuple[int, int]:
        page, limit = ((self.one(name) or default) for name, default in (("page", "1"), ("limit", str(PAGE))))
        if not all(re.fullmatch(r"[1-9]\d{0,8}", each) for each in (page, limit)):
            raise Problem(400, "Invalid page or limit", "page or limit is no number")
        if int(limit) > MOST:
            raise Problem(422, f"Limit {MOST} per page", f"limit {limit}")
        return int(page), int(limit)

    def _with_page(self, page: int) -> str:
        others = [pair for pair in parse_qsl(self.query, keep_blank_values=True) if pair[0] != "page"]
        return urlencode([*others, ("page", str(page))])


def plain(key: str) -> str:
    """A parameter's name without the index at its end: filter[id][0] and filter[id][] are filter[id]."""
    return re.sub(r"\[\d*\]$", "", key)
