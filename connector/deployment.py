"""What every part of a running process shares: settings, database, keys, connections, adapters."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import cast

from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from connector.callback.counting import open_counting
from connector.calls.intake import Intake
from connector.connections.accounts import DatabaseTokenStore, account_key, echoed_at
from connector.connections.limits import DatabaseLimiter
from connector.connections.one_use import first_use, take_state
from connector.connections.store import Connection, ConnectionStore
from connector.db import Database
from connector.delivery.waiting import Places
from connector.recordings.stores import open_store
from connector.secrets import Cipher, WrongKey
from connector.settings import Settings
from crm_adapters.contract import Account, CRMAdapter
from crm_adapters.registry import adapter_class

EXTENSION = "connector"


class Deployment:
    """One process's view of the deployment. Made once; safe in threads; must be made after a fork."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings.database_url)
        self.cipher = Cipher(settings.secret_keys)
        self.connections = ConnectionStore(self.database, self.cipher, allow_local=settings.allow_local_addresses)
        self.store = open_store(settings)
        self.intake = Intake(self.database)
        self.waiting_starts = Places(max(1, settings.web_threads * 3 // 4))
        self.waiting_dials = Places(max(1, settings.web_threads * 3 // 4))
        self.open_doors = Places(max(1, settings.web_threads // 8))
        self.proxied = Places(max(1, settings.web_threads // 4))
        self.no_try_before: dict[int, float] = {}
        """By connection, until when (monotonic seconds) its CRM's budget is known to be spent for starts."""
        self.limiter = DatabaseLimiter(self.database)
        self.counting = open_counting(settings, self.database)
        self._adapters: dict[int, tuple[Connection, CRMAdapter]] = {}
        self._making = threading.Lock()

    def import_adapters(self) -> None:
        """Imports what the connections there are need, so that no call waits for it."""
        with suppress(SQLAlchemyError, WrongKey):  # without the database the first call that can be told imports
            for crm in {connection.crm for connection in self.connections.all()}:
                adapter_class(crm)

    def adapter(self, connection: Connection) -> CRMAdapter:
        """The connection's translator; made anew when its CRM or settings changed."""
        with self._making:
            kept = self._adapters.get(connection.id)
            if kept and (kept[0].crm, kept[0].values) == (connection.crm, connection.values):
                return kept[1]
            adapter = adapter_class(connection.crm)(self._account(connection))
            self._adapters[connection.id] = (connection, adapter)
            return adapter

    def _account(self, connection: Connection) -> Account:
        return Account(
            connection=connection.name,
            settings=connection.values,
            tokens=DatabaseTokenStore(self.database, self.cipher, connection.id),
            limiter=self.limiter,
            public_url=self.settings.public_url,
            language=connection.get("language"),
            allow_local=self.settings.allow_local_addresses,
            oauth_url=self.settings.bitrix24_oauth_url,
            echoed_at=lambda: echoed_at(self.database, connection.id),
            bound_to=lambda: account_key(self.database, connection.id),
            take_state=lambda state: take_state(self.database, connection.id, state),
            first_use=lambda key, until: first_use(self.database, connection.id, key, until),
        )


def deployment() -> Deployment:
    """The deployment of the Flask application that handles this request."""
    return cast(Deployment, current_app.extensions[EXTENSION])
