"""Sign-ins that silence would end are renewed now and then."""

from __future__ import annotations

import logging

from connector.db import now
from connector.deployment import Deployment
from crm_adapters.errors import AdapterError, SignInRefused

logger = logging.getLogger(__name__)


def keep_accounts_alive(deployment: Deployment) -> None:
    """Lets every unpaused connection's adapter renew its sign-in; a refused one pauses the connection."""
    for connection in deployment.connections.all():
        if connection.paused:
            continue
        asked_at = now()
        try:
            deployment.adapter(connection).keep_alive()
        except SignInRefused as error:
            deployment.connections.pause(connection.id, by="connector", reason=str(error), asked_at=asked_at)
        except AdapterError as error:
            logger.warning("connection %s: the sign-in was not renewed: %s", connection.name, error)
