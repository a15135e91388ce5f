"""`connector widget`: our scripts for a CRM's pages."""

from __future__ import annotations

from pathlib import Path

import click

from connector.commands.context import named, opened
from connector.db import now


@click.group()
def widget() -> None:
    """Scripts that run in a CRM's pages."""


@widget.command()
@click.option("--connection", "name", help="The connection; may be left out where there is one.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Where to write the archive.")
def build(name: str | None, output: Path | None) -> None:
    """Write the archive to upload to the CRM; each build is of a higher version."""
    with opened() as deployment:
        connection = named(deployment, name)
        if not connection.description.widget:
            raise click.ClickException(f"{connection.description.title} has no widget")
        archive = deployment.adapter(connection).widget(now())
        target = output or Path(connection.description.widget)
        try:
            target.write_bytes(archive)
        except OSError as error:
            raise click.ClickException(f"{target}: {error.strerror}") from None
        click.echo(target)
