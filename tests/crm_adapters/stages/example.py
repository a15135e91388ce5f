"""The documentation's example on a stage: a package from elsewhere keeps what the others keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from crm_adapters.contract import CRMAdapter
from crm_adapters.events import Event
from crm_adapters.registry import adapter_class
from tests.crm_adapters.fakes import make_account
from tests.crm_adapters.stages.stage import PAGE, Stage, Trouble
from tests.emulators.example import KEY, ExampleCRM
from tests.emulators.http import Response


class OnExample(Stage):
    slug = "example"
    samples: ClassVar = {"example_url": "https://crm.example.com", "example_key": "canary-of-the-key"}

    def make(self) -> ExampleCRM:
        return ExampleCRM()

    def adapter(self) -> CRMAdapter:
        return adapter_class(self.slug)(make_account({"example_url": self.crm.url, "example_key": KEY}))

    def found(self, kind: type[Event]) -> int:
        return len(self.crm.calls)

    def writes(self) -> int:
        return sum(request.verb != "GET" for request in self.crm.requests)

    def trouble(self, trouble: Trouble) -> None:
        match trouble:
            case Trouble.AWAY:
                self.crm.go_down()
            case Trouble.FAILING:
                self.crm.always = Response(PAGE, 503)
            case Trouble.BUSY:
                self.crm.always = Response(b"", 429)
            case Trouble.NO_ANSWER:
                self.crm.always = Response(PAGE)
            case Trouble.REVOKED:
                self.crm.key = "another-key-1234"

    def refuse_one(self) -> Mapping[str, Any]:
        self.crm.next = Response(b"{}", 422)
        return {}
