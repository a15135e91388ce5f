"""Each CRM on a stage: its emulator and a connection to it, in the same words for all.

The suite over the registry needs one for each CRM: a new one without a stage fails there.
"""

from __future__ import annotations

from collections.abc import Mapping

from evrotel_example_crm import DESCRIPTION as EXAMPLE

from crm_adapters.contract import Description
from crm_adapters.registry import DESCRIPTIONS
from tests.crm_adapters.stages.amocrm import OnAmoCRM
from tests.crm_adapters.stages.bitrix24 import OnBitrix24
from tests.crm_adapters.stages.example import OnExample
from tests.crm_adapters.stages.journal import OnJournal
from tests.crm_adapters.stages.onec import OnOneC
from tests.crm_adapters.stages.stage import Stage
from tests.crm_adapters.stages.webhook import OnWebhook

STAGES: dict[str, type[Stage]] = {
    stage.slug: stage for stage in (OnJournal, OnBitrix24, OnAmoCRM, OnWebhook, OnOneC, OnExample)
}

EVERY: Mapping[str, Description] = {EXAMPLE.slug: EXAMPLE, **DESCRIPTIONS}
"""The registry, and the documentation's example. None can opt out of the suite."""
TALKING = sorted(slug for slug, description in EVERY.items() if description.capabilities)
"""Those that are told anything. What declares nothing has nobody who could refuse or be told twice: the suite sees to
it that it takes no event at all."""
