"""The journal's stage: nobody is on it. The suite lets it have none because it declares nothing at all."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from crm_adapters.contract import CRMAdapter
from crm_adapters.events import Event
from crm_adapters.registry import adapter_class
from tests.crm_adapters.fakes import make_account
from tests.crm_adapters.stages.stage import Stage, Trouble


class OnJournal(Stage):
    slug = "journal"

    def make(self) -> nullcontext[None]:
        return nullcontext()

    def adapter(self) -> CRMAdapter:
        return adapter_class(self.slug)(make_account({}))

    def found(self, kind: type[Event]) -> int:
        return 0

    def writes(self) -> int:
        return 0

    def trouble(self, trouble: Trouble) -> None:
        raise NotImplementedError

    def refuse_one(self) -> Mapping[str, Any]:
        raise NotImplementedError
