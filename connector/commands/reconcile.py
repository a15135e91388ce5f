"""`connector reconcile`: compares a day of Evrotel's call records with ours."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import click

from connector.commands.context import named, one_line, opened
from connector.connections.store import Connection
from connector.db import now
from connector.reconciliation.comparing import Comparison, NoRecords, compare
from connector.reconciliation.schedule import note

FIRST_YEAR = 2000


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
        wanted = day.date() if day else now().astimezone(connection.zone).date()
        if why_not := _why_not(connection, wanted, timedelta(days=deployment.settings.retention_days)):
            raise click.BadParameter(why_not, param_hint="--date")
        try:
            found = compare(deployment, connection, wanted)
        except NoRecords as error:
            raise click.ClickException(one_line(str(error))) from None
        note(deployment, connection, found)
        _print(found, connection.name, wanted)


def _why_not(connection: Connection, day: date, retention: timedelta) -> str | None:
    """Why a day can't be compared; None where it can."""
    if day > now().astimezone(connection.zone).date():
        return f"{day} has not come yet"
    if day.year < FIRST_YEAR:
        return f"there are no call records of {day}"
    begin, kept_since = datetime.combine(day, time.min, connection.zone), now() - retention
    if max(begin, connection.created_at) < kept_since:
        return f"calls of {day} are forgotten (RETENTION_DAYS): nobody could tell which of them were logged before"
    return None


def _print(found: Comparison, name: str, day: date) -> None:
    for row in found.skipped:
        click.echo(f"skipped the record {one_line(row.name)}: {row.why}")
    click.echo(
        f"{name} {day}: {found.rows} rows, {found.calls} calls: {found.logged} logged, {found.finished} finished, "
        f"{found.recordings} given a recording, {found.known} known, {len(found.skipped)} rows skipped"
    )
