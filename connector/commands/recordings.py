"""`connector recordings`: withdrawing links, forgetting a person's recordings."""

from __future__ import annotations

from collections.abc import Sequence

import click

from connector.commands.context import named, one_line, opened
from connector.models import RecordingState
from connector.recordings.forgetting import purge_number
from connector.recordings.forgetting import revoke as revoke_links
from connector.recordings.looking_again import recordings as recordings_in
from connector.recordings.looking_again import retry_missing


@click.group()
def recordings() -> None:
    """Recordings: which are missing, links to them, and forgetting them."""


@recordings.command("list")
@click.option("--missing", is_flag=True, help="Only those that were not found.")
@click.option("--connection", metavar="NAME", help="Only this connection's.")
def list_(missing: bool, connection: str | None) -> None:
    """The newest ones, one a line: call ID, connection, state, size or why not."""
    with opened() as deployment:
        of = named(deployment, connection).id if connection else None
        states = [RecordingState.MISSING] if missing else []
        for row in recordings_in(deployment.database, *states, connection_id=of):
            what = f"{row.size} bytes" if row.state == RecordingState.READY else one_line(row.error or "")
            click.echo(f"{row.call_id}  {row.connection}  {row.state}  {what}".rstrip())


@recordings.command()
@click.argument("call_ids", nargs=-1, required=True, metavar="CALL_ID...")
def retry(call_ids: Sequence[str]) -> None:
    """Look for these calls' recordings again now."""
    with opened() as deployment:
        count = retry_missing(deployment.database, call_ids)
    click.echo(f"Looking again for {count}")
    if count < len(set(call_ids)):
        raise click.ClickException(f"{len(set(call_ids)) - count} of these calls lack no recording that was promised")


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
            forgotten = purge_number(deployment, number)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
    click.echo(f"Forgot {forgotten.count}")
    if forgotten.left:
        raise click.ClickException(f"files are left, run this again: {'; '.join(forgotten.left)}")
