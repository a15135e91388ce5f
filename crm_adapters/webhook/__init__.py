"""Own CRMs by signed webhooks: Standard Webhooks 1.0.0, https://github.com/standard-webhooks/standard-webhooks."""

from crm_adapters.contract import Capability, Description
from crm_adapters.settings import Field
from crm_adapters.webhook.fields import clean_address, clean_secrets, clean_types, made_up_secret

DESCRIPTION = Description(
    slug="webhook",
    title="Webhook",
    fields=(
        Field(
            key="webhook_url",
            label="Webhook address",
            help="Where your CRM takes the events, such as https://crm.example.com/hooks/evrotel.",
            check=clean_address,
            outside=True,
            required=True,
        ),
        Field(
            key="webhook_secret",
            label="Webhook secret",
            help="whsec_...: signs the events. Where it is left empty one is made up. When it is changed, give both, "
            "the new one first, until your CRM knows it.",
            secret=True,
            check=clean_secrets,
            make=made_up_secret,
        ),
        Field(
            key="webhook_events",
            label="Events",
            help="Those that are sent, such as call.started,call.finished. Empty: all.",
            check=clean_types,
        ),
        Field(
            key="webhook_forward_url",
            label="Address for Evrotel's own requests",
            help="A receiver that you have already gets Evrotel's requests there as they came, with their token, "
            "besides the events. Empty: none.",
            check=clean_address,
            outside=True,
        ),
    ),
    capabilities=frozenset(
        {
            Capability.CALL_ID,
            Capability.FINISH,
            Capability.RECORDING,
            Capability.TASK,
            Capability.EVERY_EVENT,
            Capability.WITHHELD,
            Capability.ANNOUNCEMENTS,
            Capability.TEST_EVENT,
        }
    ),
)
