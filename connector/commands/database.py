"""`connector db`: the schema."""

from __future__ import annotations

import click

from connector.commands.context import opened
from connector.connections.environment import apply_environment
from migrations import schema


@click.group()
def db() -> None:
    """The database's schema."""


@db.command()
def upgrade() -> None:
    """Bring the schema up to date."""
    with opened(schema="trust") as deployment:
        before = schema.current(deployment.database.engine)
        if schema.is_newer(before):
            click.echo(f"The schema is {before}, which a newer version made: it is left as it is")
            return
        schema.upgrade(deployment.database.engine)
        deployment.connections.check_key()
        apply_environment(deployment)
        after = schema.current(deployment.database.engine)
    click.echo(f"The schema is up to date: {after}" if before == after else f"The schema is now {after}")
