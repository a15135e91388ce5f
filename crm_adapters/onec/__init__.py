"""1C by its standard OData interface, and УНФ's own telephony service, https://its.1c.ru/db/v8doc (chapter 17.4)."""

from crm_adapters.contract import Capability, Description, Door
from crm_adapters.onec.fields import PROFILES, clean_url, clean_zone, made_up_token
from crm_adapters.settings import Field, matching

DESCRIPTION = Description(
    slug="onec",
    title="1C",
    fields=(
        Field(
            key="onec_url",
            label="Address of the base",
            help="As it is published, such as https://1c.example.com/base/odata/standard.odata.",
            check=clean_url,
            outside=True,
            required=True,
        ),
        Field(
            key="onec_user",
            label="1C user",
            help="One with a password of its own and the roles for OData and for interactions; not needed for УНФ's "
            "telephony.",
            check=matching(r"[^:\x00-\x1f]{1,100}", "a user's name without a colon"),
        ),
        Field(
            key="onec_password", label="Password", secret=True, check=matching(r".{1,200}", "at most 200 characters")
        ),
        Field(
            key="onec_profile",
            label="Profile",
            help="bsp: ERP, УТ and others; unf: УНФ, BAS Малий бізнес; unf-telephony: УНФ's own telephony service; "
            "lookup-only: names of callers alone. Empty: recognised by what the base publishes.",
            check=matching("|".join(PROFILES), f"one of {', '.join(PROFILES)}"),
        ),
        Field(
            key="onec_timezone",
            label="Time zone of the base",
            help="1C keeps local times without an offset. Empty: as the PBX.",
            check=clean_zone,
        ),
        Field(
            key="onec_crm_token",
            label="Key of 1C's telephony service",
            help="What УНФ expects from the PBX (its crm_token). Empty: the password.",
            secret=True,
            check=matching(r"[\x21-\x7e]{8,200}", "at least 8 characters without spaces"),
        ),
        Field(
            key="onec_pbx_token",
            label="Key of the PBX for 1C",
            help="What УНФ shows us when somebody clicks a number. Where it is left empty one is made up.",
            secret=True,
            check=matching(r"[\x21-\x7e]{8,200}", "at least 8 characters without spaces"),
            make=made_up_token,
        ),
    ),
    capabilities=frozenset(
        {
            Capability.CARD,
            Capability.OUTGOING_CARD,
            Capability.FINISH,
            Capability.RECORDING,
            Capability.WITHHELD,
        }
    ),
    doors={"telephony": Door(methods=("POST",), lock="onec_pbx_token in constant time")},
)
