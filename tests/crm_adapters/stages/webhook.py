"""An own CRM on a stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from crm_adapters.contract import CRMAdapter
from crm_adapters.events import CallEnded, CallMissed, CallReturned, CallStarted, Event, RecordingReady
from crm_adapters.registry import adapter_class
from tests.crm_adapters.fakes import make_account
from tests.crm_adapters.samples import ANNOUNCED
from tests.crm_adapters.stages.stage import PAGE, Stage, Trouble
from tests.emulators.webhook import OwnCRM, Script
from tests.emulators.webhook.crm import SECRET

NAMES: Mapping[type[Event], str] = {
    CallStarted: "call.started",
    CallEnded: "call.finished",
    CallMissed: "call.missed",
    CallReturned: "call.returned",
    RecordingReady: "recording.ready",
}


class OnWebhook(Stage):
    slug = "webhook"
    samples: ClassVar = {
        "webhook_url": "https://crm.example.com/hooks/evrotel",
        "webhook_events": "call.started,call.finished",
        "webhook_forward_url": "https://crm.example.com/old",
    }

    def make(self) -> OwnCRM:
        made = OwnCRM()
        made.answer = lambda _: {"id": "7", "name": "Ірина"}
        return made

    def adapter(self) -> CRMAdapter:
        return adapter_class(self.slug)(make_account({"webhook_url": self.crm.url, "webhook_secret": SECRET}))

    def found(self, kind: type[Event]) -> int:
        return len(self.crm.of_type(NAMES.get(kind, ANNOUNCED)))

    def writes(self) -> int:
        return sum(event.type != "ping" for event in self.crm.requests)

    def trouble(self, trouble: Trouble) -> None:
        match trouble:
            case Trouble.AWAY:
                self.crm.go_down()
            case Trouble.FAILING:
                self.crm.always = Script(503)
            case Trouble.BUSY:
                self.crm.always = Script(429, {"Retry-After": "60"})
            case Trouble.NO_ANSWER:
                # Whatever body comes with 2xx has taken the event, by the specification: a page is one elsewhere.
                self.crm.always = Script(302, {"Location": "/sign-in"}, PAGE)
            case Trouble.REVOKED:
                self.crm.always = Script(410)

    def refuse_one(self) -> Mapping[str, Any]:
        self.crm.scripts = [Script(422)]
        return {}
