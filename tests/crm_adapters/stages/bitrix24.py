"""Bitrix24 on a stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar

from crm_adapters.bitrix24 import mapping
from crm_adapters.contract import CRMAdapter
from crm_adapters.events import CallMissed, CallReturned, EmployeeNotice, Event, RecordingReady, WorkflowAnswer
from crm_adapters.oauth import Tokens
from crm_adapters.registry import adapter_class
from tests.crm_adapters.fakes import MemoryTokens, make_account
from tests.crm_adapters.samples import NUMBER
from tests.crm_adapters.stages.stage import Stage, Trouble
from tests.emulators.bitrix24 import Bitrix24


class OnBitrix24(Stage):
    slug = "bitrix24"
    samples: ClassVar = {
        "bitrix24_client_id": "local.5c8bb1b0891cf2.87252039",
        "bitrix24_client_secret": "canary-of-the-client-secret",
        "bitrix24_line_sources": "+380441112233=CALL",
    }

    def make(self) -> Bitrix24:
        made = Bitrix24(installed=True)
        made.add_contact("Ірина", NUMBER)
        return made

    def adapter(self) -> CRMAdapter:
        token = self.crm.issue_token()
        extra = {
            "user_id": "1",
            "member_id": self.crm.member_id,
            "application_token": self.crm.application_token,
        }
        endpoint = f"{self.crm.portal_url}/rest/"
        tokens = Tokens(access=token.access, refresh=token.refresh, expires_at=None, endpoint=endpoint, extra=extra)
        settings = {"bitrix24_client_id": self.crm.client_id, "bitrix24_client_secret": self.crm.client_secret}
        account = make_account(settings, oauth_url=self.crm.oauth_url)
        # Nobody listens where its events go: the test event of `check` counts as come back at once.
        account = replace(account, tokens=MemoryTokens(tokens), echoed_at=lambda: datetime.now(UTC))
        return adapter_class(self.slug)(account)

    def secrets(self) -> list[str]:
        return [self.crm.application_token]

    def found(self, kind: type[Event]) -> int:
        account = self.crm.account
        todos = [each for each in account.activities if each.kind == "TODO"]
        if kind is RecordingReady:
            return sum(call.record is not None for call in self.crm.calls)
        if kind is CallMissed:
            return len(todos)
        if kind is CallReturned:
            return sum(each.completed for each in todos)
        if kind is EmployeeNotice:
            return len(account.notices)
        if kind is WorkflowAnswer:  # a workflow waits for its token once: what comes later wakes nobody
            return len({each["EVENT_TOKEN"] for each in account.workflow_answers})
        return len(self.crm.calls)

    def cards(self) -> int:
        return sum(len(call.shown_to) for call in self.crm.calls)

    def writes(self) -> int:
        reads = ("get", "list", "search", "fields", "info", "profile", "scope", "current", "batch")
        others = ("searchcrmentities", "event.test")
        return sum(not each.method.lower().endswith(reads + others) for each in self.crm.invoked)

    def trouble(self, trouble: Trouble) -> None:
        match trouble:
            case Trouble.AWAY:
                self.crm.go_down()
            case Trouble.FAILING:
                self.crm.faults.html_502()
            case Trouble.BUSY:
                self.crm.faults.error("QUERY_LIMIT_EXCEEDED")
            case Trouble.NO_ANSWER:
                self.crm.faults.page()
            case Trouble.REVOKED:
                self.crm.revoke_application()

    def refuse_one(self) -> Mapping[str, Any]:
        self.crm.faults.error("ERROR_CORE", description="no", method=mapping.REGISTER, times=1)
        return {}
