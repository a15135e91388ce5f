"""`connector recordings`: withdrawing links, forgetting a person's recordings."""

from __future__ import annotations

from collections.abc import Sequence

import click

from connector.commands.context import opened
from connector.recordings.links import purge_number
from connector.recordings.links import revoke as revoke_links


@click.group()
def recordings() -> None:
    """Links to recordings, and forgetting them."""


@recordings.command()
@click.argument("call_ids", nargs=-1, required=True, metavar="CALL_ID...")
def revoke(call_ids: Sequence[str]) -> None:
    """Withdraw the links to these calls' recordings for good."""
    with opened() as deployment:
        count = revoke_links(deployment.database, call_ids)
    click.echo(f"Withdrew {count}")
    if count < len(set(call_ids)):
        raise click.ClickException(f"{len(set(call_ids)) - count} of these calls have no link, or none any more")


@recordings.command()
@click.option("--number", required=True, metavar="N", help="The client's number.")
def purge(number: str) -> None:
    """Forget all recordings of calls with one person."""
    with opened() as deployment:
        try:
            count = purge_number(deployment, number)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
    click.echo(f"Forgot {count}")
