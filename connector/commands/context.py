"""What the commands have in common: settings, an open deployment, and errors as one clear line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Literal

import click
from sqlalchemy.exc import DatabaseError

from connector.connections.store import Connection, NoSuchConnection
from connector.db import Unavailable
from connector.deployment import Deployment
from connector.log import mask_text, set_up_logging
from connector.secrets import WrongKey
from connector.settings import Settings, SettingsError, read_settings
from crm_adapters.errors import Unfit

SchemaCare = Literal["check", "upgrade", "trust"]


def settings_or_exit(host: str | None = None, port: int | None = None) -> Settings:
    """The settings of this process; a wrong one ends the command with its message."""
    try:
        return read_settings(host=host, port=port)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None


@contextmanager
def opened(settings: Settings | None = None, *, schema: SchemaCare = "check") -> Iterator[Deployment]:
    """A deployment for one command; what goes wrong with settings, keys or database ends it with one line.

    `schema`: "check" sets an empty database up and refuses one that is behind, "upgrade" brings it up to date, "trust"
    is for processes whose parent has just done so.
    """
    if settings is None:
        settings = settings_or_exit()
        quiet = "WARNING" if settings.log_level == "INFO" else settings.log_level
        set_up_logging(quiet, settings.log_format)
    with _clear_errors():
        deployment = _deployment(settings)
        try:
            if schema != "trust":
                # Alembic takes 9 MB that a worker under `connector run` has no use for.
                import_module("connector.commands.preparing").prepare(deployment.database, upgrade=schema == "upgrade")
                deployment.connections.check_key()
            yield deployment
        finally:
            deployment.database.dispose()


def _deployment(settings: Settings) -> Deployment:
    try:
        return Deployment(settings)
    except OSError as error:  # the database's folder can't be made, or its file not opened
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None


@contextmanager
def _clear_errors() -> Iterator[None]:
    try:
        yield
    except NoSuchConnection as error:
        raise click.ClickException(f"there is no connection {error}") from None
    except (WrongKey, SettingsError, Unfit) as error:
        raise click.ClickException(str(error)) from None
    except (*Unavailable, DatabaseError) as error:
        reason = mask_text(str(getattr(error, "orig", None) or error)).strip().partition("\n")[0]
        raise click.ClickException(f"the database can't be used: {reason}") from None


def named(deployment: Deployment, name: str | None) -> Connection:
    """The connection of this name; without a name the only one, else `default`. Raises NoSuchConnection."""
    return deployment.connections.get(name or deployment.connections.only_name())


def receiver_url(settings: Settings, name: str) -> str:
    """Where Evrotel's transmitter sends the events of a connection."""
    return f"{settings.public_url}/evrotel/{name}/events"


def door_url(settings: Settings, connection: Connection, door: str) -> str:
    """Where a connection's CRM finds a door of ours."""
    return f"{settings.public_url}/{connection.crm}/{connection.name}/{door}"


def one_line(text: str) -> str:
    """A text of any shape as a part of one line."""
    return " ".join(text.split())
