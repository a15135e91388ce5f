"""Bitrix24 as a local application: calls by telephony.externalCall.*, https://apidocs.bitrix24.com/api-reference/telephony/."""

from crm_adapters.contract import Capability, Description, Door
from crm_adapters.settings import Field, matching, words_by_line

REQUIRED_SCOPES = ("telephony", "crm", "user_basic", "im", "placement")
ROBOT_SCOPE = "bizproc"
"""Needed for the automation robots alone."""

DESCRIPTION = Description(
    slug="bitrix24",
    title="Bitrix24",
    fields=(
        Field(
            key="bitrix24_client_id",
            label="Application ID (client_id)",
            help="Shown by the portal after the local application is saved; starts with local.",
            required=True,
            check=matching(r"[\w.-]{5,100}", "the application ID such as local.5c8bb1b0891cf2.87252039"),
        ),
        Field(
            key="bitrix24_client_secret",
            label="Application key (client_secret)",
            secret=True,
            required=True,
            check=matching(r"\S{5,200}", "the application key without spaces"),
        ),
        Field(
            key="bitrix24_line_sources",
            label="Lines and lead sources",
            help="LINE=STATUS_ID,... such as +380441112233=CALL: the source of leads that calls to a line make.",
            check=words_by_line,
        ),
    ),
    capabilities=frozenset(
        {
            Capability.CALL_ID,
            Capability.CARD,
            Capability.FINISH,
            Capability.RECORDING,
            Capability.USERS,
            Capability.TASK,
            Capability.NOTICE,
            Capability.WORKFLOW,
        }
    ),
    doors={
        "app": Door(methods=("GET", "POST"), lock="access token verified by the OAuth server's app.info"),
        "install": Door(methods=("POST",), lock="app.info of the OAuth server and user.admin of the portal"),
        "events": Door(methods=("POST",), lock="application_token in constant time"),
        "robot": Door(methods=("POST",), lock="application_token in constant time"),
    },
)
