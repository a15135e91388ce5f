"""What is right and wrong with a connection's call-back button."""

from __future__ import annotations

import logging

from limits.errors import StorageError

from connector.callback.button import button_of
from connector.callback.limits import Brake
from connector.connections.store import Connection
from connector.db import now
from connector.deployment import Deployment
from crm_adapters.contract import Finding, FindingStatus
from crm_adapters.texts import marked as _

logger = logging.getLogger(__name__)
NAME = "callback"


def check_button(here: Deployment, connection: Connection) -> list[Finding]:
    """Findings about the button, none where no site may show it."""
    button = button_of(connection)
    if not button.origins:
        return []
    name = {"name": connection.name}
    try:
        stopped = Brake(here.counting, connection.id, button.limits).stopped()
    except StorageError as error:
        text, fix = (
            _("The limits can't be counted: %(why)s"),
            _("Look at REDIS_URL; until then no call can be asked for."),
        )
        return [_finding(FindingStatus.ERROR, text, fix, why=type(error.__cause__ or error).__name__)]
    if stopped:
        text = _("The button takes no requests for %(seconds)s s: the ceiling of calls is reached.")
        fix = _("Look at the requests in the panel; raise the ceiling in callback_limits if they are real.")
        return [_finding(FindingStatus.ERROR, text, fix, seconds=stopped.seconds)]
    if button.hours.next_open(now()) is None:
        text, fix = _("By its working hours and holidays nobody ever works."), _("Mend callback_hours of %(name)s.")
        return [_finding(FindingStatus.ERROR, text, fix, **name)]
    if not button.extensions and not connection.get("default_user") and not connection.get("extensions"):
        text = _("The call-back button may have nobody to ring at.")
        fix = "connector connection set %(name)s callback_extensions=101,102"
        return [_finding(FindingStatus.WARNING, text, fix, **name)]
    text = _("The call-back button works on: %(sites)s")
    return [_finding(FindingStatus.OK, text, "", sites=", ".join(button.origins))]


def _finding(status: FindingStatus, text: str, fix: str, **values: object) -> Finding:
    return Finding(name=NAME, status=status, text=text, fix=fix, values=values)
