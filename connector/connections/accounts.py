"""A connection's sign-in at its CRM: kept encrypted, refreshed by one process at a time.

Refresh tokens rotate, so two refreshes at once end with one of them holding a dead pair. A short lease on the row
lets one caller ask while the others wait for its result, and the new pair is written only over the version that was
read. No lock or connection is held during the request.
"""

from __future__ import annotations

import time
import uuid
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, or_, select, update

from connector.db import Database, Unavailable, insert_or_ignore, now
from connector.models import CRMAccount
from connector.secrets import Cipher
from crm_adapters.errors import Unreachable
from crm_adapters.oauth import Renew, Tokens

LEASE = timedelta(seconds=15)
WAIT_SECONDS = 12.0
KEEP_TRYING_SECONDS = 30.0

BOUND = CRMAccount.account_key != ""
"""The condition of a row that stands for an account: one that is asked by settings alone binds nothing, and has a row
without a key for what is read of it."""


class DatabaseTokenStore:
    """The tokens of one connection."""

    def __init__(self, database: Database, cipher: Cipher, connection_id: int) -> None:
        self._database = database
        self._cipher = cipher
        self._connection_id = connection_id

    def current(self) -> Tokens | None:
        """The tokens as they are now, None before an installation."""
        return self._load()[0]

    def renewed(self, stale: Tokens, renew: Renew) -> Tokens:
        """See `crm_adapters.oauth.TokenStore`. Raises Unreachable where another's refresh does not end in time."""
        owner = uuid.uuid4().hex
        give_up = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < give_up:
            tokens, version = self._load()
            if tokens is None:
                raise Unreachable("the application was uninstalled meanwhile")
            if tokens.access != stale.access:
                return tokens
            if self._lease(owner, version):
                return self._renew(owner, version, tokens, renew)
            time.sleep(0.1)
        raise Unreachable("another process is refreshing this account's tokens")

    def _lease(self, owner: str, version: int) -> bool:
        with self._database.write() as db:
            taken = db.execute(
                update(CRMAccount)
                .where(
                    CRMAccount.connection_id == self._connection_id,
                    CRMAccount.version == version,
                    or_(CRMAccount.refresh_until.is_(None), CRMAccount.refresh_until < now()),
                )
                .values(refresh_owner=owner, refresh_until=now() + LEASE)
            )
        return bool(taken.rowcount)

    def _renew(self, owner: str, version: int, tokens: Tokens, renew: Renew) -> Tokens:
        fresh: Tokens | None = None
        try:
            fresh = renew(tokens)
        finally:
            changes: dict[str, Any] = {"refresh_owner": None, "refresh_until": None}
            if fresh is not None:
                changes |= {"tokens": seal_tokens(self._cipher, fresh), "version": version + 1}
            # A version that rose meanwhile is a new installation, whose tokens are newer than ours. A lease that lapsed
            # is another's by now: only new tokens may end it.
            where = [CRMAccount.connection_id == self._connection_id, CRMAccount.version == version]
            if fresh is None:
                where.append(CRMAccount.refresh_owner == owner)
            self._keep(where, changes)
        return fresh

    def _keep(self, where: list[ColumnElement[bool]], changes: dict[str, Any]) -> None:
        """Writes what a refresh brought; a database that is away for a moment must not cost the only good pair."""
        give_up = time.monotonic() + KEEP_TRYING_SECONDS
        while True:
            try:
                with self._database.write() as db:
                    db.execute(update(CRMAccount).where(*where).values(changes))
            except Unavailable:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.5)
            else:
                return

    def _load(self) -> tuple[Tokens | None, int]:
        with self._database.read() as db:
            row = db.execute(
                select(CRMAccount.tokens, CRMAccount.version).where(CRMAccount.connection_id == self._connection_id)
            ).first()
        return (None, 0) if row is None or not row.tokens else (open_tokens(self._cipher, row.tokens), row.version)


def account_key(database: Database, connection_id: int) -> str | None:
    """The stable ID of the CRM account that the connection is bound to, None before an installation."""
    with database.read() as db:
        return db.execute(
            select(CRMAccount.account_key).where(BOUND, CRMAccount.connection_id == connection_id)
        ).scalar()


def installed_after(connection_id: int, moment: datetime) -> ColumnElement[bool]:
    """The condition that an account was connected since: what was refused before that is the past."""
    since = (BOUND, CRMAccount.connection_id == connection_id, CRMAccount.installed_at > moment)
    return select(CRMAccount.connection_id).where(*since).exists()


class OtherAccount(Exception):
    """The connection is bound to another account of the CRM."""


def keep_installation(database: Database, cipher: Cipher, connection_id: int, key: str, tokens: Tokens) -> bool:
    """Keeps a verified installation's tokens over whatever was there; whether it was the first one.

    Raises OtherAccount, and changes nothing then. Of two accounts at once the first one binds the connection.
    """
    sealed, at = seal_tokens(cipher, tokens), now()
    row = {"connection_id": connection_id, "account_key": key, "tokens": sealed, "version": 1, "installed_at": at}
    with database.write() as db:
        made = insert_or_ignore(db, CRMAccount, ["connection_id"]).returning(CRMAccount.connection_id)
        if db.execute(made, row).first() is not None:
            return True
        unbound = update(CRMAccount).where(~BOUND, CRMAccount.connection_id == connection_id)
        if db.execute(unbound.values(row | {"users_at": None})).rowcount:
            return True
        kept = db.execute(
            update(CRMAccount)
            .where(CRMAccount.connection_id == connection_id, CRMAccount.account_key == key)
            .values(
                tokens=sealed,
                version=CRMAccount.version + 1,
                refresh_owner=None,
                refresh_until=None,
                installed_at=at,
            )
        )
        if not kept.rowcount:
            raise OtherAccount(key)
    return False


def note_asked(db: Connection, connection_id: int, at: datetime) -> bool:
    """Has a row for what is read of an account that nothing binds, where there is none; whether it was made now."""
    row = {
        "connection_id": connection_id,
        "account_key": "",
        "tokens": "",
        "version": 0,
        "installed_at": at,
        "users_at": at,
    }
    made = insert_or_ignore(db, CRMAccount, ["connection_id"]).returning(CRMAccount.connection_id)
    return db.execute(made, row).first() is not None


def note_echo(database: Database, connection_id: int) -> None:
    """The CRM's test event has come just now."""
    with database.write() as db:
        db.execute(update(CRMAccount).where(CRMAccount.connection_id == connection_id).values(echoed_at=now()))


def echoed_at(database: Database, connection_id: int) -> datetime | None:
    """When the CRM's test event last came, None where it never did."""
    with database.read() as db:
        return db.execute(
            select(CRMAccount.echoed_at).where(CRMAccount.connection_id == connection_id)
        ).scalar_one_or_none()


def seal_tokens(cipher: Cipher, tokens: Tokens) -> str:
    return cipher.seal(
        {
            "access": tokens.access,
            "refresh": tokens.refresh,
            "expires_at": tokens.expires_at.isoformat() if tokens.expires_at else None,
            "endpoint": tokens.endpoint,
            "extra": dict(tokens.extra),
        }
    )


def open_tokens(cipher: Cipher, sealed: str) -> Tokens:
    """Raises WrongKey."""
    kept = cipher.open(sealed)
    expires_at = datetime.fromisoformat(kept["expires_at"]) if kept["expires_at"] else None
    return Tokens(
        access=kept["access"],
        refresh=kept["refresh"],
        expires_at=expires_at,
        endpoint=kept["endpoint"],
        extra=kept["extra"],
    )
