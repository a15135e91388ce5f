"""`connector db`: the schema."""

from __future__ import annotations

import click

from connector.commands.context import opened
from connector.commands.preparing import prepare
from connector.connections.environment import apply_environment
from migrations import schema


@click.group()
def db() -> None:
    """The database's schema."""


@db.command()
def upgrade() -> None:
    """Bring the schema up to date; one that a newer version made is left as it is."""
    with opened(schema="trust") as deployment:
        before = schema.current(deployment.database.engine)
        prepare(deployment.database, upgrade=True)
        deployment.connections.check_key()
        apply_environment(deployment)
        after = schema.current(deployment.database.engine)
    click.echo(f"The schema is up to date: {after}" if before == after else f"The schema is now {after}")
