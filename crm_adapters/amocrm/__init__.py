"""amoCRM and Kommo: calls by POST /api/v4/calls, https://www.amocrm.ru/developers/content/crm_platform/calls-api."""

from crm_adapters.amocrm.hosts import account_host
from crm_adapters.contract import Capability, Description, Door
from crm_adapters.settings import Field, matching, user_by_extension

EXTENSIONS = "amocrm_extensions"
"""The setting that the widget fills."""

DESCRIPTION = Description(
    slug="amocrm",
    title="amoCRM / Kommo",
    fields=(
        Field(
            key="amocrm_client_id",
            label="Integration ID",
            help="Shown under Keys and scopes of the integration.",
            check=matching(r"[\w-]{8,100}", "the integration's ID such as 5e0b3c1a-1f0c-4f3c-9f0e-2b8a8a4b7f10"),
        ),
        Field(
            key="amocrm_client_secret",
            label="Secret key",
            secret=True,
            check=matching(r"[\x21-\x7e]{8,500}", "the secret key without spaces"),
        ),
        Field(
            key="amocrm_long_lived_token",
            label="Long-lived token",
            help="Instead of connecting, for a private integration; the account's address goes with it.",
            secret=True,
            check=matching(r"[\x21-\x7e]{20,4000}", "the token without spaces"),
        ),
        Field(
            key="amocrm_domain",
            label="Account's address",
            help="Such as company.amocrm.ru or company.kommo.com; for a long-lived token.",
            check=account_host,
        ),
        Field(
            key="amocrm_new_lead",
            label="Lead for a new contact",
            help="Where the account has no Unsorted leads: whether an unknown caller becomes a lead too.",
            default="yes",
            choices=("yes", "no"),
        ),
        Field(
            key="amocrm_card_users",
            label="Who sees calls to nobody",
            help="CRM user IDs such as 7,9: who sees callers that belong to nobody. Empty: all with an inner number.",
            check=matching(r"\d{1,12}(\s*,\s*\d{1,12})*", "CRM user IDs such as 7,9"),
        ),
        Field(
            key=EXTENSIONS,
            label="Inner numbers given in the widget",
            help="Filled by the widget's settings in amoCRM: EXT=CRM_USER_ID,...",
            check=user_by_extension,
        ),
    ),
    capabilities=frozenset({Capability.CARD, Capability.FINISH, Capability.USERS, Capability.TASK}),
    doors={
        "callback": Door(methods=("GET",), lock="a state of ours for one use; from_widget binds nothing by itself"),
        "uninstalled": Door(methods=("GET",), lock="HMAC by the client secret, and the account itself is asked"),
        "click-to-call": Door(methods=("POST",), lock="disposable token, HS256 by the client secret", for_scripts=True),
        "settings": Door(
            methods=("GET", "POST"), lock="disposable token; POST only of an administrator", for_scripts=True
        ),
        "calls": Door(methods=("GET",), lock="disposable token, HS256 by the client secret", for_scripts=True),
    },
    consent_sites={"amocrm.ru": "amoCRM", "kommo.com": "Kommo"},
    signs_in_by_settings=True,
    widget="evrotel-widget.zip",
    needs_mp3=True,
)
