"""The `connector` console command. A command's module is imported when it is used, so that help is quick."""

from __future__ import annotations

from importlib import import_module
from typing import cast

import click

from crm_adapters.errors import Unfit

COMMANDS = {
    "run": ("connector.commands.run:run", "Serve on this machine: web server and worker together."),
    "web": ("connector.commands.web:web", "The web server alone."),
    "worker": ("connector.commands.worker:worker", "A delivery worker alone."),
    "db": ("connector.commands.database:db", "The database's schema."),
    "connection": ("connector.commands.connections:connection", "Evrotel accounts and the CRMs they are tied to."),
    "admin": ("connector.commands.admin:admin", "Users of the panel."),
    "api-key": ("connector.commands.admin:api_key", "Keys of the HTTP API."),
    "simulate": ("connector.commands.simulate:simulate", "Play Evrotel's transmitter against a receiver."),
    "deliveries": ("connector.commands.deliveries:deliveries", "What could not be told to a CRM."),
    "events": ("connector.commands.events:events", "What Evrotel sent, as it was kept."),
    "autodial": ("connector.commands.autodial:autodial", "Messages played to many clients."),
    "reconcile": ("connector.commands.reconcile:reconcile", "Compare Evrotel's call records with ours."),
    "widget": ("connector.commands.widget:widget", "Scripts for a CRM's pages."),
    "recordings": ("connector.commands.recordings:recordings", "Links to recordings, and forgetting them."),
}
"""Where each command lives, and its line of help: known without an import."""


class LazyGroup(click.Group):
    """The commands of the table above."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        try:
            return cast(click.Command, getattr(import_module(module), name))
        except Unfit as error:
            raise click.ClickException(str(error)) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="evrotel-connector", prog_name="connector")
def cli() -> None:
    """Logs the calls of the Evrotel cloud PBX in CRMs, each once, with its recording.

    Exit status: 0 where it worked, 1 where it did not, 2 for wrong usage.
    """


def main() -> None:
    """The entry of the console script and of `python -m connector`."""
    cli(prog_name="connector")
