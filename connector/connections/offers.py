"""Installations that came from within a CRM account: their code is exchanged in the background, and nobody's calls go
there before a user of that account has proved themselves or an administrator of ours has accepted it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, insert, select, update

from connector.connections.accounts import account_key, keep_installation, open_tokens, seal_tokens
from connector.connections.store import Connection
from connector.db import Database, now
from connector.deployment import Deployment
from connector.models import InstallOffer
from crm_adapters.door_answers import InstallOffered
from crm_adapters.errors import AccountTrouble, AdapterError, TryAgain
from crm_adapters.oauth import Tokens

logger = logging.getLogger(__name__)

CODE_LASTS = timedelta(minutes=20)
OFFER_LASTS = timedelta(days=30)
CLAIM = timedelta(seconds=30)
AT_ONCE, ONE_EACH = 3, 10.0
"""So many codes of one connection are exchanged at once, then one in so many seconds."""
MOST_OFFERS = 20
"""For one connection: strangers may knock as often as they like."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """An account whose tokens are here and that waits to be accepted."""

    id: int
    account_key: str
    account_name: str
    created_at: datetime


def keep_offer(deployment: Deployment, connection: Connection, offered: InstallOffered) -> None:
    """Keeps the code for the worker to exchange, and of many the newest ones."""
    at = now()
    row = {
        "connection_id": connection.id,
        "sealed": deployment.cipher.seal({"host": offered.host, "code": offered.code}),
        "due_at": at,
        "attempts": 0,
        "expires_at": at + CODE_LASTS,
        "created_at": at,
    }
    waiting = select(InstallOffer.id).where(
        InstallOffer.connection_id == connection.id, InstallOffer.account_key.is_(None)
    )
    with deployment.database.write() as db:
        ids = db.execute(waiting.order_by(InstallOffer.id.desc())).scalars().all()
        db.execute(delete(InstallOffer).where(InstallOffer.id.in_(ids[MOST_OFFERS - 1 :])))
        db.execute(insert(InstallOffer).values(row))


def redeem_offers(deployment: Deployment) -> None:
    """Exchanges the codes that are due, the newest of each connection. Harmless in two workers: each is claimed.

    Codes may be anybody's inventions, and amoCRM blocks whom it gets many wrong ones from: a few go at once, then one
    in a while.
    """
    at = now()
    due = (InstallOffer.account_key.is_(None), InstallOffer.due_at <= at, InstallOffer.expires_at > at)
    newest = select(func.max(InstallOffer.id), InstallOffer.connection_id).where(*due)
    with deployment.database.read() as db:
        rows = db.execute(newest.group_by(InstallOffer.connection_id)).all()
    for offer_id, connection_id in rows:
        if deployment.limiter.take(f"offers:{connection_id}", burst=AT_ONCE, per_second=1 / ONE_EACH) > 0:
            continue
        with deployment.database.write() as db:
            row = db.execute(
                update(InstallOffer)
                .where(InstallOffer.id == offer_id, *due)
                .values(due_at=at + CLAIM, attempts=InstallOffer.attempts + 1)
                .returning(InstallOffer.connection_id, InstallOffer.sealed)
            ).first()
        if row is not None:
            _redeem(deployment, offer_id, row.connection_id, row.sealed)


def _redeem(deployment: Deployment, offer_id: int, connection_id: int, sealed: str) -> None:
    connection = deployment.connections.by_id(connection_id)
    if connection is None:
        return
    kept = deployment.cipher.open(sealed)
    try:
        found = deployment.adapter(connection).redeem(InstallOffered(host=kept["host"], code=kept["code"]))
    except (AccountTrouble, TryAgain) as error:
        logger.warning("connection %s: an installation is not taken yet: %s", connection.name, error)
        if error.code == "moved":
            _drop(deployment.database, offer_id)
        return
    except AdapterError as error:
        logger.warning("connection %s: an installation was no genuine one: %s", connection.name, error)
        _drop(deployment.database, offer_id)
        return
    if account_key(deployment.database, connection_id) == found.account_key:
        # The bound account was installed anew: its code was exchanged at that very account.
        _bind(deployment, connection, offer_id, found.account_key, found.tokens)
        return
    values = {
        "sealed": seal_tokens(deployment.cipher, found.tokens),
        "account_key": found.account_key,
        "account_name": found.name[:200],
        "expires_at": now() + OFFER_LASTS,
    }
    with deployment.database.write() as db:
        db.execute(
            delete(InstallOffer).where(
                InstallOffer.connection_id == connection_id, InstallOffer.account_key == found.account_key
            )
        )
        db.execute(update(InstallOffer).where(InstallOffer.id == offer_id).values(values))
    logger.info("connection %s: an installation from %s waits to be accepted", connection.name, found.name)


def offers_of(database: Database, connection_id: int) -> list[Offer]:
    """The accounts that wait to be accepted, the newest first."""
    query = select(InstallOffer.id, InstallOffer.account_key, InstallOffer.account_name, InstallOffer.created_at).where(
        InstallOffer.connection_id == connection_id,
        InstallOffer.account_key.is_not(None),
        InstallOffer.expires_at > now(),
    )
    with database.read() as db:
        rows = db.execute(query.order_by(InstallOffer.id.desc())).all()
    return [
        Offer(id=row.id, account_key=row.account_key, account_name=row.account_name or "", created_at=row.created_at)
        for row in rows
    ]


def offer_is_coming(database: Database, connection_id: int) -> bool:
    """Whether a code is there that was not exchanged yet."""
    query = select(InstallOffer.id).where(
        InstallOffer.connection_id == connection_id,
        InstallOffer.account_key.is_(None),
        InstallOffer.expires_at > now(),
    )
    with database.read() as db:
        return db.execute(query.limit(1)).first() is not None


def accept_offer(deployment: Deployment, connection: Connection, key: str) -> bool:
    """Binds the connection to the account `key` that waits, and wakes what waits for it; False where none does.

    Raises OtherAccount where the connection is bound to another one.
    """
    query = select(InstallOffer.id, InstallOffer.sealed).where(
        InstallOffer.connection_id == connection.id, InstallOffer.account_key == key, InstallOffer.expires_at > now()
    )
    with deployment.database.read() as db:
        row = db.execute(query.order_by(InstallOffer.id.desc()).limit(1)).first()
    if row is None:
        return False
    _bind(deployment, connection, row.id, key, open_tokens(deployment.cipher, row.sealed))
    return True


def forget_offers(database: Database) -> None:
    """Drops those that nobody accepted in time, and codes that could not be exchanged."""
    with database.write() as db:
        db.execute(delete(InstallOffer).where(InstallOffer.expires_at < now()))


def _bind(deployment: Deployment, connection: Connection, offer_id: int, key: str, tokens: Tokens) -> None:
    keep_installation(deployment.database, deployment.cipher, connection.id, key, tokens)
    _drop(deployment.database, offer_id)
    deployment.connections.resume(connection.id, unless_by="admin")
    logger.info("connection %s: connected to the account %s", connection.name, key)


def _drop(database: Database, offer_id: int) -> None:
    with database.write() as db:
        db.execute(delete(InstallOffer).where(InstallOffer.id == offer_id))
