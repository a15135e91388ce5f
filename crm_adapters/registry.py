"""The CRMs there are. A new one is its folder and one line here."""

from __future__ import annotations

from importlib import import_module

from crm_adapters import amocrm, bitrix24, journal, onec, webhook
from crm_adapters.contract import CRMAdapter, Description

DESCRIPTIONS: dict[str, Description] = {
    package.DESCRIPTION.slug: package.DESCRIPTION
    for package in (
        journal,
        bitrix24,
        amocrm,
        webhook,
        onec,
    )
}


def adapter_class(slug: str) -> type[CRMAdapter]:
    """The adapter of a CRM; its module and client library are imported at the first use. Raises KeyError."""
    description = DESCRIPTIONS[slug]
    loaded: type[CRMAdapter] = import_module(f"crm_adapters.{description.slug}.adapter").Adapter
    return loaded
