"""Example: calls as notes of a CRM with a small HTTP API."""

from crm_adapters.contract import Capability, Description
from crm_adapters.settings import Field, matching, web_address

DESCRIPTION = Description(
    slug="example",
    title="Example CRM",
    fields=(
        Field(
            key="example_url",
            label="Address",
            help="Such as https://crm.example.com",
            required=True,
            check=web_address,
            outside=True,
        ),
        Field(
            key="example_key",
            label="API key",
            secret=True,
            required=True,
            check=matching(r"[\x21-\x7e]{8,200}", "at least 8 characters without spaces"),
        ),
    ),
    capabilities=frozenset({Capability.FINISH}),
)
