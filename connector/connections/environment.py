"""The connection `default` by environment variables: how a deployment without a shell is configured."""

from __future__ import annotations

import logging

from connector.connections.keys import ALL_FIELDS
from connector.connections.store import NoSuchConnection
from connector.deployment import Deployment
from connector.settings import SettingsError

logger = logging.getLogger(__name__)

NAME = "default"


def apply_environment(deployment: Deployment) -> None:
    """Adds or changes the connection `default` by the variables named as its keys in upper case; without any, nothing.

    Raises SettingsError naming the variable, and Unfit where a connection's CRM is not here: either stops the start.
    """
    _apply(deployment)
    deployment.connections.check_crms()


def _apply(deployment: Deployment) -> None:
    given = {key: deployment.settings.environment.get(key.upper(), "") for key in ("crm", *ALL_FIELDS)}
    pairs = {key: value for key, value in given.items() if value.strip() and not _not_ours(key, value)}
    if not pairs:
        return
    try:
        try:
            current = deployment.connections.get(NAME)
        except NoSuchConnection:
            deployment.connections.add(NAME, pairs.get("crm", "journal"), pairs)
            logger.info("the connection %s was added from the environment", NAME)
            return
        if any(value != (current.crm if key == "crm" else current.values.get(key)) for key, value in pairs.items()):
            deployment.connections.set(NAME, pairs)
    except ValueError as error:
        key = str(error).partition(" ")[0]
        raise SettingsError(str(error).replace(key, key.upper(), 1)) from None


def _not_ours(key: str, value: str) -> bool:
    """GNU's own LANGUAGE variable (`en_US:en`) has the name of one of our keys."""
    return key == "language" and value not in ALL_FIELDS["language"].choices
