"""`connector deliveries`: what could not be told to a CRM, and what to do with it."""

from __future__ import annotations

from collections.abc import Sequence

import click

from connector.commands.context import one_line, opened
from connector.commands.options import ids_argument
from connector.delivery import admin


@click.group()
def deliveries() -> None:
    """What could not be told to a CRM."""


@deliveries.command("list")
def list_() -> None:
    """The failed ones, one a line: ID, connection, what, call, why."""
    with opened() as deployment:
        for row in admin.failed(deployment.database):
            click.echo(f"{row.id}  {row.connection}  {row.kind}  {row.call_id or '-'}  {one_line(row.error or '')}")


@deliveries.command()
@ids_argument
def retry(ids: Sequence[int]) -> None:
    """Try these again now."""
    with opened() as deployment:
        count = admin.retry(deployment.database, ids)
    _settle("Queued again", count, ids)


@deliveries.command("give-up")
@ids_argument
def give_up(ids: Sequence[int]) -> None:
    """Stop trying these for good."""
    with opened() as deployment:
        count = admin.give_up(deployment.database, ids)
    _settle("Gave up", count, ids)


def _settle(done: str, count: int, ids: Sequence[int]) -> None:
    click.echo(f"{done} {count}")
    if count < len(set(ids)):
        raise click.ClickException(f"{len(set(ids)) - count} of these are not failed deliveries")
