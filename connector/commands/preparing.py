"""Sees to it that a command finds a schema it can work with."""

from __future__ import annotations

import click

from connector.db import Database
from migrations import schema


def prepare(database: Database, *, upgrade: bool) -> None:
    """Sets an empty database up, and with `upgrade` an older one too; else raises ClickException for an older one.

    A newer one is fine: migrations only add what older code can do without, and during a deployment both run.
    """
    revision, newest = schema.current(database.engine), schema.head()
    if revision is None or (upgrade and _is_older(revision, newest)):
        schema.upgrade(database.engine)
    elif _is_older(revision, newest):
        raise click.ClickException(
            f"the database's schema is {revision}, this version needs {newest}: run `connector db upgrade`"
        )


def _is_older(revision: str, newest: str | None) -> bool:
    """Revisions are numbered: 0001, 0002, ..."""
    return newest is not None and revision < newest
