"""The built-in journal: calls are kept by the connector itself and no CRM is told."""

from crm_adapters.contract import Description

DESCRIPTION = Description(slug="journal", title="Journal")
