"""An own CRM that takes signed events, and a receiver that there was before and takes Evrotel's own requests."""

from tests.emulators.webhook.crm import Event, OwnCRM, Script
from tests.emulators.webhook.old_receiver import OldReceiver

__all__ = ["Event", "OldReceiver", "OwnCRM", "Script"]
