"""`connector connection`: Evrotel accounts and the CRMs they are tied to."""

from __future__ import annotations

from collections.abc import Sequence

import click

from connector.commands.context import door_url, named, one_line, opened, receiver_url
from connector.connections.check import check_connection
from connector.connections.keys import ALL_FIELDS, clean_crm, clean_values, fields_of
from connector.connections.store import NAME, Connection
from connector.deployment import Deployment
from connector.recordings.sweep import sweep_connection
from crm_adapters.contract import FindingStatus
from crm_adapters.registry import DESCRIPTIONS

DOOR_TITLES = {
    "app": "handler path",
    "install": "initial installation path",
    "callback": "redirect link",
    "uninstalled": "link for the notice that access was revoked",
    "telephony": "address of the PBX",
}
optional_name = click.argument("name", required=False)


@click.group()
def connection() -> None:
    """Evrotel accounts and the CRMs they are tied to. NAME may be left out where there is one connection."""


@connection.command()
@click.argument("name", default="default")
@click.option("--crm", required=True, help=f"The CRM: {', '.join(DESCRIPTIONS)}.")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="A setting; may be given many times.")
def add(name: str, crm: str, pairs: Sequence[str]) -> None:
    """Add a connection; print its receiver's URL and token."""
    if not NAME.fullmatch(name):
        raise click.UsageError("a connection's name should be 1 to 40 of a-z, 0-9 and -")
    values = _values([*pairs, f"crm={crm}"])
    with opened() as deployment:
        try:
            made = deployment.connections.add(name, crm, values)
        except ValueError as error:
            raise click.ClickException(str(error)) from None
        click.echo(f"Connection {name} is there. Give these to Evrotel. Receiver's URL:")
        click.echo(receiver_url(deployment.settings, name))
        click.echo("Token:")
        click.echo(made.values["evrotel_token"])
        for title, url in _doors(deployment, made).items():
            click.echo(f"For {made.description.title}, {title}:")
            click.echo(url)
        for field in made.description.fields:
            if field.make and not values.get(field.key):
                click.echo(f"For {made.description.title}, {field.key}:")
                click.echo(made.values[field.key])


@connection.command("list")
def list_() -> None:
    """All connections, one a line: name, CRM, state."""
    with opened() as deployment:
        for found in deployment.connections.all():
            click.echo(f"{found.name}  {found.crm}  {_state(found)}")


@connection.command()
@optional_name
def show(name: str | None) -> None:
    """One connection's settings. Secrets are not shown."""
    with opened() as deployment:
        found = named(deployment, name)
        click.echo(f"name: {found.name}\ncrm: {found.crm}\nstate: {_state(found)}")
        click.echo(f"receiver: {receiver_url(deployment.settings, found.name)}")
        for title, url in _doors(deployment, found).items():
            click.echo(f"{title}: {url}")
        shown = dict.fromkeys([*(field.key for field in fields_of(found.crm)), *found.values])
        for key in shown:
            click.echo(f"{key}: {_shown(found, key)}")


@connection.command("set")
@click.argument("arguments", nargs=-1, required=True, metavar="[NAME] KEY=VALUE...")
def set_(arguments: Sequence[str]) -> None:
    """Change settings. An empty VALUE takes a setting away."""
    name, pairs = (None, arguments) if "=" in arguments[0] else (arguments[0], arguments[1:])
    if not pairs:
        raise click.UsageError("give at least one KEY=VALUE")
    values = _values(pairs)
    with opened() as deployment:
        found = named(deployment, name)
        try:
            deployment.connections.set(found.name, values)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        click.echo(f"Changed {', '.join(values)} of {found.name}")


@connection.command()
@optional_name
def check(name: str | None) -> None:
    """Ask Evrotel's and the CRM's sides; print a line for each thing that is right or wrong."""
    with opened() as deployment:
        findings = [finding.worded() for finding in check_connection(deployment, named(deployment, name))]
    for finding in findings:
        fix = f" - {one_line(finding.fix)}" if finding.fix else ""
        click.echo(f"{finding.status}  {one_line(finding.name)}: {one_line(finding.text)}{fix}")
    wrong = sum(finding.status == FindingStatus.ERROR for finding in findings)
    if wrong:
        raise click.ClickException(f"{wrong} of {len(findings)} checks failed")


@connection.command()
@optional_name
def pause(name: str | None) -> None:
    """Tell the CRM nothing until `resume`; calls are still taken in and kept."""
    with opened() as deployment:
        found = named(deployment, name)
        deployment.connections.pause(found.id, by="admin", reason="paused by `connector connection pause`")
        click.echo(f"Paused {found.name}: its calls are kept and told after `connector connection resume`")


@connection.command()
@optional_name
def resume(name: str | None) -> None:
    """End a pause, the connector's own too; what was kept goes out at once."""
    with opened() as deployment:
        found = named(deployment, name)
        deployment.connections.resume(found.id)
        click.echo(f"Resumed {found.name}")


@connection.command()
@optional_name
def remove(name: str | None) -> None:
    """Forget a connection and all that belongs to it, its calls too."""
    with opened() as deployment:
        found = named(deployment, name)
        deployment.connections.remove(found.id)
        sweep_connection(deployment, found.id)
        click.echo(f"Removed {found.name}")


def _doors(deployment: Deployment, found: Connection) -> dict[str, str]:
    """The addresses that the CRM's own form asks for, by what they are called there."""
    named = {name: door.title or DOOR_TITLES.get(name, "") for name, door in found.description.doors.items()}
    return {title: door_url(deployment.settings, found, door) for door, title in named.items() if title}


def _values(pairs: Sequence[str]) -> dict[str, str]:
    """Checked settings of KEY=VALUE texts. Raises UsageError naming what is wrong."""
    values: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise click.UsageError(f"settings are given as KEY=VALUE, not {key!r}")
        values[key] = value
    try:
        if "crm" in values:
            clean_crm(values["crm"])
        clean_values(values)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    return values


def _shown(found: Connection, key: str) -> str:
    field = ALL_FIELDS.get(key)
    value = found.values.get(key, "")
    if field is None or field.secret:
        return "set" if value else "not set"
    if value:
        return value
    return f"{field.default} (default)" if field.default else "not set"


def _state(found: Connection) -> str:
    if found.paused:
        return f"paused by {found.paused_by}: {one_line(found.paused_reason or '')}"
    return f"in trouble: {one_line(found.trouble)}" if found.trouble else "active"
