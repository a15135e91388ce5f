"""`connector events`: what Evrotel sent, as it was kept."""

from __future__ import annotations

from collections.abc import Sequence

import click
from sqlalchemy import select

from connector.calls.replay import replay as replay_event
from connector.commands.context import one_line, opened
from connector.commands.options import ids_argument
from connector.models import InboundEvent


@click.group()
def events() -> None:
    """What Evrotel sent, as it was kept."""


@events.command("list")
@click.option("--rejected", is_flag=True, help="Only those that could not be understood or placed.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
def list_(rejected: bool, limit: int) -> None:
    """Kept events, newest first, one a line: ID, time, connection, accepted or rejected and why."""
    query = select(InboundEvent.id, InboundEvent.connection_id, InboundEvent.received_at, InboundEvent.reason)
    if rejected:
        query = query.where(InboundEvent.reason.is_not(None))
    with opened() as deployment:
        connections = {connection.id: connection for connection in deployment.connections.all()}
        with deployment.database.read() as db:
            rows = db.execute(query.order_by(InboundEvent.id.desc()).limit(limit)).all()
        for row in rows:
            connection = connections[row.connection_id]
            at = connection.local(row.received_at)
            outcome = "accepted" if row.reason is None else f"rejected: {one_line(row.reason)}"
            click.echo(f"{row.id}  {at}  {connection.name}  {outcome}")


@events.command()
@ids_argument
def replay(ids: Sequence[int]) -> None:
    """Run kept events through again, rejected ones too."""
    failed = 0
    with opened() as deployment:
        for event_id in ids:
            try:
                outcome = replay_event(deployment, event_id)
            except (LookupError, ValueError) as error:
                failed += 1
                click.echo(f"{event_id}  rejected: {one_line(str(error))}")
            else:
                click.echo(f"{event_id}  {one_line(outcome)}")
    if failed:
        raise click.ClickException(f"{failed} of {len(ids)} events were not accepted")
