"""Accounts that the settings alone sign in to: bound to their connection as soon as they answer."""

from __future__ import annotations

import logging
import time

from sqlalchemy import select

from connector.connections.accounts import BOUND, OtherAccount, keep_installation
from connector.connections.store import Connection
from connector.deployment import Deployment
from connector.models import Connection as ConnectionRow
from connector.models import CRMAccount
from crm_adapters.errors import AdapterError, SignInRefused
from crm_adapters.registry import DESCRIPTIONS

logger = logging.getLogger(__name__)

AGAIN_AFTER = 15.0


class SignInsBySettings:
    """One process's tries. Two processes at once do no harm: of two bindings the first one counts."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._not_before: dict[int, float] = {}

    def sign_in_all(self) -> None:
        """Tries every connection that no account is bound to and whose CRM can be signed in to by settings."""
        slugs = [slug for slug, description in DESCRIPTIONS.items() if description.signs_in_by_settings]
        unbound = (
            select(ConnectionRow.id)
            .outerjoin(CRMAccount, CRMAccount.connection_id == ConnectionRow.id)
            .where(
                CRMAccount.account_key.is_(None) | ~BOUND,
                ConnectionRow.paused_by.is_(None),
                ConnectionRow.crm.in_(slugs),
            )
        )
        with self._deployment.database.read() as db:
            ids = list(db.execute(unbound).scalars())
        for connection_id in ids:
            if time.monotonic() >= self._not_before.get(connection_id, 0.0):
                connection = self._deployment.connections.by_id(connection_id)
                if connection is not None:
                    self._sign_in(connection)

    def _sign_in(self, connection: Connection) -> None:
        here = self._deployment
        try:
            found = here.adapter(connection).sign_in()
            if found is None:
                return
            keep_installation(here.database, here.cipher, connection.id, found.account_key, found.tokens)
        except SignInRefused as error:
            here.connections.pause(connection.id, by="connector", reason=str(error))
        except (AdapterError, OtherAccount, ValueError) as error:
            logger.warning("connection %s: not signed in by its settings: %s", connection.name, error)
            self._not_before[connection.id] = time.monotonic() + AGAIN_AFTER
        else:
            logger.info("connection %s: signed in to %s by its settings", connection.name, found.name)
