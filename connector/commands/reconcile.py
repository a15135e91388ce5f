"""`connector reconcile`: compares a day of Evrotel's call records with ours."""

from __future__ import annotations

from datetime import date, datetime

import click

from connector.commands.context import named, one_line, opened
from connector.db import now
from connector.reconciliation.comparing import Comparison, NoRecords, compare
from connector.reconciliation.schedule import note


@click.command()
@click.argument("name", required=False)
@click.option("--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="The day, by the PBX's clock; without it today.")
def reconcile(name: str | None, day: datetime | None) -> None:
    """Compare Evrotel's call records with ours; log the missing calls.

    Calls that the connector never heard of are logged with their own time and recording, open calls that have ended are
    ended. Rows that lack what is needed are printed, one a line. Nothing is made twice, however often this runs.
    """
    with opened() as deployment:
        connection = named(deployment, name)
        today = now().astimezone(connection.zone).date()
        wanted = day.date() if day else today
        if wanted > today:
            raise click.BadParameter(f"{wanted} has not come yet", param_hint="--date")
        try:
            found = compare(deployment, connection, wanted)
        except NoRecords as error:
            raise click.ClickException(one_line(str(error))) from None
        note(deployment, connection, found)
        _print(found, connection.name, wanted)


def _print(found: Comparison, name: str, day: date) -> None:
    for row in found.skipped:
        click.echo(f"skipped the record {one_line(row.name)}: {row.why}")
    click.echo(
        f"{name} {day}: {found.rows} rows, {found.calls} calls: {found.logged} logged, {found.finished} finished, "
        f"{found.recordings} given a recording, {found.known} known, {len(found.skipped)} rows skipped"
    )
