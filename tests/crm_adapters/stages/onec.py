"""1C on a stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from crm_adapters.contract import CRMAdapter
from crm_adapters.events import CallEnded, Event, RecordingReady
from crm_adapters.registry import adapter_class
from tests.crm_adapters.fakes import make_account
from tests.crm_adapters.samples import NUMBER
from tests.crm_adapters.stages.stage import PAGE, Stage, Trouble
from tests.emulators.http import Response
from tests.emulators.onec import OneC
from tests.emulators.onec.faults import Fault, page

GUID = "6f0d3c1e-1111-4222-8333-444455556666"


class OnOneC(Stage):
    slug = "onec"
    user_id = GUID
    recording_url = "https://connector.example/recordings/1.wav"
    samples: ClassVar = {
        "onec_url": "https://1c.example.com/base/odata/standard.odata",
        "onec_user": "odata",
        "onec_password": "canary-of-the-password",
        "onec_profile": "bsp",
        "onec_timezone": "Europe/Kyiv",
        "onec_crm_token": "canary-of-the-crm-token",
    }

    def make(self) -> OneC:
        made = OneC()
        made.own_keys = True  # the harder kind: a repeat is known by what was saved alone
        made.add_contact("Catalog_Партнеры", "Ірина", NUMBER)
        made.rows["Catalog_Пользователи"][GUID] = {"Ref_Key": GUID, "Description": "Марія", "DeletionMark": False}
        return made

    def adapter(self) -> CRMAdapter:
        settings = {"onec_url": self.crm.url, "onec_user": self.crm.user, "onec_password": self.crm.password}
        return adapter_class(self.slug)(make_account(settings | {"extensions": f"101={GUID}"}))

    def found(self, kind: type[Event]) -> int:
        documents = self.crm.documents("Document_ТелефонныйЗвонок")
        if kind is RecordingReady:
            return sum(self.recording_url in each["Описание"] for each in documents)
        return len(documents) if kind is CallEnded else 0

    def writes(self) -> int:
        return len(self.crm.writes())

    def trouble(self, trouble: Trouble) -> None:
        faults = {
            Trouble.FAILING: page(503),
            Trouble.BUSY: page(429),
            Trouble.NO_ANSWER: Fault(response=Response(PAGE)),
        }
        match trouble:
            case Trouble.AWAY:
                self.crm.go_down()
            case Trouble.REVOKED:
                self.crm.password = "another"
            case _:
                for verb in ("GET", "POST"):
                    self.crm.fail(verb, "", *[faults[trouble]] * 50)

    def refuse_one(self) -> Mapping[str, Any]:
        return {"client_number": "9" * 300}
