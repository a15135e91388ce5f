"""amoCRM on a stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from crm_adapters.amocrm.oauth import exchanged
from crm_adapters.contract import CRMAdapter
from crm_adapters.events import CallEnded, CallMissed, CallReturned, Event
from crm_adapters.registry import adapter_class
from tests.crm_adapters.fakes import MemoryTokens, Unlimited, make_account
from tests.crm_adapters.samples import NUMBER
from tests.crm_adapters.stages.stage import Stage, Trouble
from tests.emulators.amocrm import AmoCRM, Fault


class OnAmoCRM(Stage):
    slug = "amocrm"
    user_id = "7"
    samples: ClassVar = {
        "amocrm_client_id": "5e0b3c1a-1f0c-4f3c-9f0e-2b8a8a4b7f10",
        "amocrm_client_secret": "canary-of-the-client-secret",
        "amocrm_long_lived_token": "canary-of-the-long-lived-token",
        "amocrm_domain": "company.amocrm.ru",
        "amocrm_card_users": "7,9",
        "amocrm_extensions": "101=7",
    }

    def make(self) -> AmoCRM:
        made = AmoCRM(redirect_uri="http://127.0.0.1:1/amocrm/acme/callback")
        made.rate.enabled = False
        made.add_contact("Ірина", NUMBER)
        return made

    def adapter(self) -> CRMAdapter:
        settings = {"amocrm_client_id": self.crm.client_id, "amocrm_client_secret": self.crm.client_secret}
        account = make_account(settings, limiter=Unlimited())
        account = replace(account, public_url="http://127.0.0.1:1", connection="acme")
        tokens = exchanged(account, self.crm.url, self.crm.consent())
        return adapter_class(self.slug)(replace(account, tokens=MemoryTokens(tokens)))

    def found(self, kind: type[Event]) -> int:
        if kind is CallEnded:
            return len(self.crm.call_notes())
        if kind is CallMissed:
            return len(self.crm.tasks)
        if kind is CallReturned:
            return sum(task.is_completed for task in self.crm.tasks)
        return len(self.crm.popups)

    def cards(self) -> int:
        return len(self.crm.popups)

    def writes(self) -> int:
        return sum(each.method not in {"GET", "HEAD"} for each in self.crm.requests)

    def trouble(self, trouble: Trouble) -> None:
        match trouble:
            case Trouble.AWAY:
                self.crm.go_down()
            case Trouble.FAILING:
                self.crm.faults.always("*", "*", Fault.unavailable())
            case Trouble.BUSY:
                self.crm.faults.always("*", "*", Fault.too_many())
            case Trouble.NO_ANSWER:
                self.crm.faults.always("*", "*", Fault.page())
            case Trouble.REVOKED:
                self.crm.revoke()

    def refuse_one(self) -> Mapping[str, Any]:
        return {"recording_url": "not an address"}
