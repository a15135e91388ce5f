"""`connector autodial`: audio files, campaigns and their results, and who must not be called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from connector.autodial import campaigns, do_not_call, media
from connector.autodial.export import results_csv
from connector.autodial.hours import parse_quiet_hours
from connector.autodial.numbers import NumberList, entries_of_file, read_numbers
from connector.commands.admin import connection_option
from connector.commands.context import named, one_line, opened
from connector.connections.store import Connection
from connector.deployment import Deployment

BY = "command line"
_id = click.argument("campaign_id", metavar="ID")
_file = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def autodial() -> None:
    """Messages played to many clients."""


@autodial.command("media")
@click.argument("file", type=_file)
@connection_option
def add_media(file: Path, connection_name: str | None) -> None:
    """Convert an audio file and have Evrotel take it; print its name there."""
    with opened() as deployment:
        connection = named(deployment, connection_name)
        try:
            with file.open("rb") as sound:
                media_id = media.add_media(deployment, connection, file.name, sound, BY)
            kept = media.push_media(deployment, connection, media_id)
        except (ValueError, media.NotTaken, media.Busy) as error:
            raise click.ClickException(one_line(str(error))) from None
        click.echo(f"{kept.seconds:.1f} s, at Evrotel as:")
        click.echo(kept.mediafile)


@autodial.command("start")
@click.option("--mediafile", required=True, help="The file's name at Evrotel.")
@click.option(
    "--numbers", "file", type=_file, help="CSV, XLSX or a plain list; without it Evrotel's own list is called."
)
@click.option("--chnum", type=click.IntRange(1, campaigns.MOST_AT_ONCE), default=3, show_default=True)
@click.option("--attempts", type=click.IntRange(1, 10), default=3, show_default=True)
@click.option("--retry-seconds", type=click.IntRange(0, 86400), default=300, show_default=True)
@click.option("--pause-seconds", type=click.IntRange(0, 3600), default=0, show_default=True)
@click.option("--quiet-hours", help="No call begins then, in the client's zone, such as 20:00-09:00.")
@click.option("--test-number", help="Called first; the others only when somebody has answered there.")
@click.option("--name", "title", default="", help="What the campaign is called.")
@connection_option
def start(file: Path | None, title: str, connection_name: str | None, **values: Any) -> None:
    """Start a campaign; print its ID."""
    with opened() as deployment:
        connection = named(deployment, connection_name)
        numbers, lines = _numbers(file, connection)
        refused = campaigns.not_to_be_called(deployment, connection, numbers.numbers)
        try:
            parse_quiet_hours(values["quiet_hours"])
            if not media.is_mediafile(deployment, connection, values["mediafile"]):
                raise ValueError(f"Evrotel has no file {values['mediafile']} of this connection")
            values["test_number"] = _test_number(values["test_number"], connection)
            wanted = campaigns.NewCampaign(
                **values,
                name=title or values["mediafile"],
                by=BY,
                numbers=[number for number in numbers.numbers if number not in refused],
                skipped=sorted(refused),
            )
            campaign_id = campaigns.make_campaign(deployment, connection, wanted)
        except (ValueError, campaigns.Refused) as error:
            raise click.ClickException(one_line(str(error))) from None
        _say_what_is_left_out(numbers, lines, refused)
        click.echo(campaign_id)


def _numbers(file: Path | None, connection: Connection) -> tuple[NumberList, list[int]]:
    """What is in the file, and the line of each entry."""
    if file is None:
        return NumberList(numbers=(), duplicates=(), rejected=()), []
    region = connection.get("phone_region")
    try:
        entries = entries_of_file(file.read_bytes(), region)
        found = read_numbers((text for _, text in entries), region)
    except ValueError as error:
        raise click.ClickException(f"{file}: {error}") from None
    if not found.numbers:
        raise click.ClickException(f"{file}: there is nobody to call in this list")
    return found, [line for line, _ in entries]


def _test_number(given: str | None, connection: Connection) -> str | None:
    if given is None:
        return None
    found = read_numbers([given], connection.get("phone_region"))
    if found.rejected:
        raise ValueError(f"--test-number: {found.rejected[0].error}")
    return found.numbers[0]


def _say_what_is_left_out(numbers: NumberList, lines: list[int], refused: set[str]) -> None:
    for each in numbers.rejected:
        click.echo(f"left out, line {lines[each.index]}: {each.value}: {each.error}", err=True)
    click.echo(
        f"{len(numbers.numbers) - len(refused)} to be called, {len(numbers.duplicates)} duplicates, "
        f"{len(refused)} not to be called, {len(numbers.rejected)} left out",
        err=True,
    )


@autodial.command("list")
@connection_option
def list_campaigns(connection_name: str | None) -> None:
    """List campaigns, newest first: ID, status, done of all, name."""
    with opened() as deployment:
        for row in campaigns.campaigns(deployment, named(deployment, connection_name)):
            found = campaigns.counts(deployment, row.id)
            done = f"{found['done'] + found['skipped']}/{found['total']}"
            click.echo("\t".join((row.id, row.status, done, one_line(row.name))))


@autodial.command("show")
@_id
@connection_option
def show(campaign_id: str, connection_name: str | None) -> None:
    """Show a campaign: status, counts, what is wrong."""
    with opened() as deployment:
        row = _found(deployment, named(deployment, connection_name), campaign_id)
        click.echo(f"{row.id}: {one_line(row.name)}, {row.status}, by {one_line(row.started_by or row.created_by)}")
        counts = campaigns.counts(deployment, row.id)
        click.echo(", ".join(f"{name} {number}" for name, number in counts.items()))
        if row.error:
            click.echo(one_line(row.error))


@autodial.command("results")
@_id
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="The file; without it printed.")
@connection_option
def results(campaign_id: str, output: Path | None, connection_name: str | None) -> None:
    """Write each number with its result as CSV."""
    with opened() as deployment:
        connection = named(deployment, connection_name)
        row = _found(deployment, connection, campaign_id)
        table = results_csv(campaigns.numbers_of(deployment, row.id), connection.zone)
        if output is None:
            click.echo(table.decode("utf-8-sig"), nl=False)
        else:
            output.write_bytes(table)


@autodial.command("pause")
@_id
@connection_option
def pause(campaign_id: str, connection_name: str | None) -> None:
    """Begin no further call; those placed end by themselves."""
    _steer(campaigns.pause, campaign_id, connection_name)


@autodial.command("resume")
@_id
@connection_option
def resume(campaign_id: str, connection_name: str | None) -> None:
    """Go on after a pause."""
    _steer(campaigns.resume, campaign_id, connection_name)


@autodial.command("stop")
@_id
@connection_option
def stop(campaign_id: str, connection_name: str | None) -> None:
    """End it for good; calls already placed end by themselves."""
    _steer(campaigns.stop, campaign_id, connection_name)


def _steer(change: Any, campaign_id: str, connection_name: str | None) -> None:
    with opened() as deployment:
        connection = named(deployment, connection_name)
        _found(deployment, connection, campaign_id)
        try:
            change(deployment, connection, campaign_id)
        except campaigns.NotNow as error:
            raise click.ClickException(str(error)) from None
        click.echo(f"{campaign_id}: {campaigns.campaign(deployment, connection, campaign_id).status}")


def _found(deployment: Deployment, connection: Connection, campaign_id: str) -> Any:
    try:
        return campaigns.campaign(deployment, connection, campaign_id)
    except LookupError:
        raise click.ClickException(f"there is no campaign {campaign_id}") from None


@autodial.group("do-not-call")
def not_to_call() -> None:
    """Numbers that no campaign calls."""


@not_to_call.command("add")
@click.argument("numbers", metavar="NUMBER...", nargs=-1, required=True)
@click.option("--reason", default="", help="Why.")
@connection_option
def add_number(numbers: tuple[str, ...], reason: str, connection_name: str | None) -> None:
    """Put numbers on the list."""
    with opened() as deployment:
        connection = named(deployment, connection_name)
        found = read_numbers(numbers, connection.get("phone_region"))
        if found.rejected:
            raise click.ClickException(f"{found.rejected[0].value}: {found.rejected[0].error}")
        added = do_not_call.add(deployment.database, connection, found.numbers, reason, BY)
        click.echo(f"{added} added")


@not_to_call.command("remove")
@click.argument("number")
@connection_option
def remove_number(number: str, connection_name: str | None) -> None:
    """Take a number off the list."""
    with opened() as deployment:
        connection = named(deployment, connection_name)
        found = read_numbers([number], connection.get("phone_region"))
        if not found.numbers or not do_not_call.remove(deployment.database, connection, found.numbers[0]):
            raise click.ClickException(f"{number} is not on the list")
        click.echo(f"{found.numbers[0]} may be called again")


@not_to_call.command("list")
@connection_option
def list_numbers(connection_name: str | None) -> None:
    """List them, newest first."""
    with opened() as deployment:
        for row in do_not_call.listed(deployment.database, named(deployment, connection_name)):
            since = f"{row.created_at:%Y-%m-%d}"
            click.echo("\t".join((row.number, since, one_line(row.created_by), one_line(row.reason) or "-")))
