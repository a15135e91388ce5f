"""Connections as the rest of the service sees them, and how they are added and changed.

What one process changes, the others see within `FRESH_SECONDS`: a loaded connection is kept that long.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError, OperationalError

from connector.connections.accounts import installed_after
from connector.connections.keys import ALL_FIELDS, clean_crm, clean_values
from connector.connections.places import check_place
from connector.connections.succession import hand_over
from connector.db import MOST_TRIES, Database, met_another, now
from connector.models import Call, CRMAccount, Delivery, DeliveryState, Extension, InboundEvent, InstallOffer, Lane
from connector.models import Connection as ConnectionRow
from connector.secrets import Cipher
from crm_adapters.contract import Capability, Description
from crm_adapters.errors import Unfit
from crm_adapters.registry import DESCRIPTIONS

FRESH_SECONDS = 1.0
NAME = re.compile(r"[a-z0-9-]{1,40}")


class NoSuchConnection(LookupError):
    """There is no connection of this name."""


@dataclass(frozen=True, kw_only=True)
class Connection:
    """One connection as it was a moment ago. `values` holds what was set, secrets in plain; `get` adds the defaults.

    `probe_at` is set while its account is known to be in trouble: nobody but the lane's probe asks before then.
    """

    id: int
    name: str
    crm: str
    values: Mapping[str, str] = field(repr=False)
    paused_by: str | None
    paused_reason: str | None
    trouble: str | None
    probe_at: datetime | None
    created_at: datetime

    def get(self, key: str) -> str:
        """The setting, or its default."""
        return self.values.get(key) or ALL_FIELDS[key].default

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.get("evrotel_timezone"))

    def local(self, moment: datetime) -> str:
        """A moment as programs read it: ISO 8601 in the connection's time zone with its offset, whole seconds."""
        return moment.astimezone(self.zone).isoformat(timespec="seconds")

    @property
    def description(self) -> Description:
        """What there is to know of its CRM. Raises Unfit where no package brings that any more."""
        return _described(self.name, self.crm)

    def can(self, capability: Capability) -> bool:
        return capability in self.description.capabilities

    @property
    def paused(self) -> bool:
        return self.paused_by is not None


class ConnectionStore:
    """Loads, adds and changes connections."""

    def __init__(self, database: Database, cipher: Cipher, *, allow_local: bool = False) -> None:
        self._database = database
        self._cipher = cipher
        self._allow_local = allow_local
        self._kept: dict[str, tuple[float, Connection | None]] = {}

    def get(self, name: str) -> Connection:
        """The connection as it was at most FRESH_SECONDS ago. Raises NoSuchConnection."""
        kept = self._kept.get(name)
        if kept is None or time.monotonic() - kept[0] > FRESH_SECONDS:
            if not NAME.fullmatch(name):
                raise NoSuchConnection(name)
            kept = (time.monotonic(), self._load(ConnectionRow.name == name))
            if len(self._kept) > 10_000:
                self._kept.clear()  # strangers may ask for any number of names
            self._kept[name] = kept
        if kept[1] is None:
            raise NoSuchConnection(name)
        return kept[1]

    def by_id(self, connection_id: int) -> Connection | None:
        """The connection as it is now, None where it was removed."""
        return self._load(ConnectionRow.id == connection_id)

    def all(self) -> list[Connection]:
        """All connections by name."""
        with self._database.read() as db:
            rows = db.execute(_SELECT.order_by(ConnectionRow.name)).all()
        return [self._loaded(row) for row in rows]

    def check_key(self) -> None:
        """Raises WrongKey where a connection's secrets can't be opened: better said at the start than at each call."""
        self.all()

    def check_crms(self) -> None:
        """Raises Unfit where the package of a connection's CRM is gone: nothing starts without it."""
        for connection in self.all():
            _described(connection.name, connection.crm)

    def only_name(self) -> str:
        """The name where a command gives none: the only connection, else `default`."""
        names = [connection.name for connection in self.all()]
        return names[0] if len(names) == 1 else "default"

    def add(self, name: str, crm: str, pairs: Mapping[str, str]) -> Connection:
        """A new connection; a token is made up where none is given. Raises ValueError, also where the name is taken."""
        if not NAME.fullmatch(name):
            raise ValueError("a connection's name should be 1 to 40 of a-z, 0-9 and -")
        values = self._checked(pairs)
        values.pop("crm", None)
        values |= _made_up(clean_crm(crm), values)
        plain, sealed = self._split(values)
        row = {"name": name, "crm": clean_crm(crm), "settings": plain, "secrets": sealed, "created_at": now()}
        try:
            with self._database.write() as db:
                db.execute(insert(ConnectionRow).values(row))
        except IntegrityError:
            raise ValueError(f"there is a connection {name} already") from None
        self._kept.pop(name, None)
        return self.get(name)

    def set(self, name: str, pairs: Mapping[str, str]) -> Connection:
        """Changes settings; an empty value unsets one. Raises ValueError and NoSuchConnection."""
        cleaned = self._checked(pairs)
        with self._database.write() as db:
            row = db.execute(_SELECT.where(ConnectionRow.name == name).with_for_update(of=ConnectionRow)).first()
            if row is None:
                raise NoSuchConnection(name)
            connection = self._loaded(row)
            crm = cleaned.pop("crm", connection.crm)
            _described(name, crm)
            values = {key: value for key, value in {**connection.values, **cleaned}.items() if value}
            values |= _made_up(crm, values)
            plain, sealed = self._split(values)
            db.execute(
                update(ConnectionRow)
                .where(ConnectionRow.id == connection.id)
                .values(crm=crm, settings=plain, secrets=sealed)
            )
            if crm != connection.crm:  # another CRM's sign-in, users and installations are nothing to this one
                for model in (CRMAccount, Extension, InstallOffer):
                    db.execute(delete(model).where(model.connection_id == connection.id))
            signs_in = {field.key for field in DESCRIPTIONS[crm].fields if field.key in cleaned}
            mended = any(values.get(key) != connection.values.get(key) for key in signs_in)
        if crm != connection.crm:
            self._hand_over(connection.id, DESCRIPTIONS[crm].capabilities)
        mended = mended or crm != connection.crm  # what was wrong with the former one is nothing to this one
        if mended and (connection.paused_by == "connector" or connection.trouble):  # perhaps it was just that
            self.resume(connection.id, unless_by="admin")
        self._kept.pop(name, None)
        return self.get(name)

    def _hand_over(self, connection_id: int, capabilities: frozenset[Capability], tries: int = MOST_TRIES) -> None:
        """By itself: what ends a call has its deliveries first and then waits for the connection's row. A worker that
        writes down what became of many may be met all the same."""
        try:
            with self._database.write() as db:
                hand_over(db, connection_id, capabilities, now())
        except OperationalError as error:
            if tries <= 1 or not met_another(error):
                raise
            self._hand_over(connection_id, capabilities, tries - 1)

    def pause(self, connection_id: int, *, by: str, reason: str, asked_at: datetime | None = None) -> None:
        """Nothing is told to the CRM until `resume`; events are still taken in. A person's pause is not overwritten.

        Not where an account was connected after `asked_at`, when the CRM was asked that refused us.
        """
        where = [ConnectionRow.id == connection_id, ConnectionRow.paused_by.is_(None)]
        if asked_at is not None:
            where.append(~installed_after(connection_id, asked_at))
        with self._database.write() as db:
            db.execute(update(ConnectionRow).where(*where).values(paused_by=by, paused_reason=reason, paused_at=now()))
        self._kept.clear()

    def resume(self, connection_id: int, *, unless_by: str = "") -> None:
        """Ends any pause, but for one that `unless_by` made, and any waiting for the account: all that is kept goes
        out at once."""
        with self._database.write() as db:
            resumed = db.execute(
                update(ConnectionRow)
                .where(
                    ConnectionRow.id == connection_id,
                    or_(ConnectionRow.paused_by.is_(None), ConnectionRow.paused_by != unless_by),
                )
                .values(paused_by=None, paused_reason=None, paused_at=None)
            )
            if not resumed.rowcount:
                return
            db.execute(
                update(Lane)
                .where(Lane.connection_id == connection_id)
                .values(trouble=None, trouble_since=None, probes=0, next_probe_at=None)
            )
            db.execute(
                update(Delivery)
                .where(Delivery.connection_id == connection_id, Delivery.state == DeliveryState.PENDING)
                .values(due_at=now())
            )
            self._database.wake_workers(db)
        self._kept.clear()

    def remove(self, connection_id: int) -> None:
        """Forgets the connection and all that belongs to it, in pieces: others write meanwhile."""
        self.pause(connection_id, by="admin", reason="it is being removed")
        for model in (Call, InboundEvent):
            while self._forget_some(model, connection_id):
                pass
        with self._database.write() as db:
            db.execute(delete(ConnectionRow).where(ConnectionRow.id == connection_id))
        self._kept.clear()

    def _forget_some(self, model: type[Call] | type[InboundEvent], connection_id: int) -> bool:
        some = select(model.id).where(model.connection_id == connection_id).limit(500)
        with self._database.write() as db:
            return bool(db.execute(delete(model).where(model.id.in_(some))).rowcount)

    def _checked(self, pairs: Mapping[str, str]) -> dict[str, str]:
        values = clean_values(dict(pairs))
        for key, value in values.items():
            if key in ALL_FIELDS:
                check_place(ALL_FIELDS[key], value, allow_local=self._allow_local)
        return values

    def _split(self, values: Mapping[str, str]) -> tuple[dict[str, str], str]:
        # Of a package that is gone nobody knows what is secret.
        hidden = {key: value for key, value in values.items() if key not in ALL_FIELDS or ALL_FIELDS[key].secret}
        plain = {key: value for key, value in values.items() if key not in hidden}
        return plain, self._cipher.seal(hidden)

    def _load(self, condition: Any) -> Connection | None:
        with self._database.read() as db:
            row = db.execute(_SELECT.where(condition)).first()
        return None if row is None else self._loaded(row)

    def _loaded(self, row: Any) -> Connection:
        return Connection(
            id=row.id,
            name=row.name,
            crm=row.crm,
            values={**row.settings, **self._cipher.open(row.secrets)},
            paused_by=row.paused_by,
            paused_reason=row.paused_reason,
            trouble=row.trouble,
            probe_at=row.next_probe_at,
            created_at=row.created_at,
        )


def _described(name: str, crm: str) -> Description:
    if crm not in DESCRIPTIONS:
        raise Unfit(
            f"the connection {name} is for {crm}, which no package here brings: install it again, or give the "
            f"connection another CRM by `connector connection set {name} crm=...`"
        )
    return DESCRIPTIONS[crm]


def _made_up(crm: str, values: Mapping[str, str]) -> dict[str, str]:
    """Values for the settings that are made up where nobody gave one."""
    made = {field.key: field.make() for field in DESCRIPTIONS[crm].fields if field.make and not values.get(field.key)}
    return made if values.get("evrotel_token") else made | {"evrotel_token": secrets.token_urlsafe(24)}


_SELECT = select(
    ConnectionRow.id,
    ConnectionRow.name,
    ConnectionRow.crm,
    ConnectionRow.settings,
    ConnectionRow.secrets,
    ConnectionRow.paused_by,
    ConnectionRow.paused_reason,
    ConnectionRow.created_at,
    Lane.trouble,
    Lane.next_probe_at,
).outerjoin(Lane, Lane.connection_id == ConnectionRow.id)
