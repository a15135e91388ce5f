"""Calls in Bitrix24: registered while they ring, finished when they end, their recordings attached."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from crm_adapters.bitrix24 import DESCRIPTION, dialogues, errands, mapping
from crm_adapters.bitrix24.client import Portal
from crm_adapters.bitrix24.conversation import converse
from crm_adapters.bitrix24.doors import asks_at, open_door
from crm_adapters.bitrix24.findings import findings
from crm_adapters.bitrix24.installing import set_up
from crm_adapters.bitrix24.oauth import refreshed
from crm_adapters.contract import CRMAdapter, CRMUser, Finding, Priority, Save, Telling
from crm_adapters.door_answers import DoorAnswer, DoorRequest
from crm_adapters.errors import AdapterError, Unreachable
from crm_adapters.events import CallEnded, CallStarted, RecordingReady
from crm_adapters.settings import parse_words_by_line

MOST_PAGES = 400
KEEP_ALIVE = timedelta(days=30)
"""Refresh tokens live 180 days; refreshing often is what Bitrix24 asks not to do (REST docs, "OAuth 2.0")."""


class Adapter(CRMAdapter):
    """One connection's portal."""

    description = DESCRIPTION

    def tell(self, tellings: Sequence[Telling], *, save: Save, priority: Priority, seconds: float) -> None:
        """Sets the outcome of each telling; see the contract. Raises what `save` raises."""
        tellings = self.declared(tellings)
        try:
            portal = Portal(self.account, priority=priority, seconds=seconds)
        except AdapterError as error:
            for telling in tellings:
                telling.error = error
            return
        sources = parse_words_by_line(self.account.settings.get("bitrix24_line_sources", ""))
        setting = dialogues.Setting(owner=portal.tokens.extra.get("user_id"), sources=dict(sources))
        converse([(telling, _dialogue(telling, setting)) for telling in tellings], run=portal.run, save=save)

    def users(self, *, seconds: float = 60.0) -> list[CRMUser]:
        """All active employees, page by page. Raises AdapterError; never returns half of them."""
        return _users(Portal(self.account, priority=Priority.BACKGROUND, seconds=seconds))

    def responsible(self, number: str, *, seconds: float = 5.0) -> str | None:
        """The first active user who is responsible for a customer with this number. Raises AdapterError."""
        portal = Portal(self.account, priority=Priority.START, seconds=seconds)
        answer = portal.call(mapping.SEARCH, mapping.search_params(number))
        named = dict.fromkeys(user_id for _, user_id in mapping.customers_of(answer.get("result")) if user_id)
        return next((user_id for user_id in named if _is_active(portal, user_id)), None)

    def set_up(self, lines: Sequence[str]) -> Iterator[Finding]:
        """Has the portal send its events, show the application and know the lines; see the contract."""
        return set_up(self.account, lines)

    def check(self) -> list[Finding]:
        """What is right and wrong with the application, its permissions and the employees' inner numbers."""
        return findings(self.account, self.users)

    def keep_alive(self) -> None:
        """Refreshes the tokens where that was not done for a month. Raises AdapterError."""
        tokens = self.account.tokens.current()
        if tokens is None or datetime.now(UTC) - _refreshed_at(tokens.extra.get("refreshed_at")) < KEEP_ALIVE:
            return
        self.account.tokens.renewed(tokens, lambda kept: refreshed(self.account, kept))

    def asks_at(self, request: DoorRequest) -> bool:
        """Events and robots prove themselves by a secret that is kept here."""
        return asks_at(request)

    def open_door(self, request: DoorRequest) -> DoorAnswer:
        """What a request of the portal or of a browser in it means. Raises Unreachable."""
        return open_door(self.account, request)


def _dialogue(telling: Telling, setting: dialogues.Setting) -> dialogues.Steps:
    """The steps for the telling's event."""
    match telling.event:
        case CallStarted() as event:
            return dialogues.start(telling, event, setting)
        case CallEnded() as event:
            return dialogues.end(telling, event, setting)
        case RecordingReady() as event:
            return dialogues.recording(telling, event)
        case _:
            return errands.errand(telling, setting)


def _is_active(portal: Portal, user_id: str) -> bool:
    """Whether the user still works there: a customer's responsible may have been dismissed."""
    rows = portal.call("user.get", {"FILTER": {"ID": user_id, "ACTIVE": True}}).get("result")
    return isinstance(rows, list) and any(isinstance(row, dict) and str(row.get("ID")) == user_id for row in rows)


def _users(portal: Portal) -> list[CRMUser]:
    found: list[CRMUser] = []
    start = 0
    for _ in range(MOST_PAGES):
        answer = portal.call(
            "user.get",
            {"FILTER": {"ACTIVE": True, "USER_TYPE": "employee"}, "sort": "ID", "order": "ASC", "start": start},
        )
        rows = answer.get("result")
        if not isinstance(rows, list):
            raise Unreachable("the portal's list of employees is none")
        found += [_user(row) for row in rows if isinstance(row, dict) and row.get("ID")]
        following = answer.get("next")
        if following is None:
            return found
        if not isinstance(following, int) or following <= start:
            break
        start = following
    raise Unreachable("the portal's list of employees does not end")


def _user(row: dict[str, Any]) -> CRMUser:
    name = " ".join(filter(None, (str(row.get(key) or "").strip() for key in ("NAME", "LAST_NAME"))))
    extension = str(row.get("UF_PHONE_INNER") or "").strip()
    return CRMUser(id=str(row["ID"]), name=name or str(row.get("EMAIL") or row["ID"]), extension=extension or None)


def _refreshed_at(text: str | None) -> datetime:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
