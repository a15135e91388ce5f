"""`connector web`: the web server alone."""

from __future__ import annotations

import click

from connector.commands.context import opened, settings_or_exit
from connector.commands.options import address_options, lifeline_option
from connector.connections.environment import apply_environment
from connector.log import set_up_logging
from connector.serve.gunicorn import WebServer
from connector.serve.lifeline import die_with


@click.command()
@address_options
@lifeline_option
@click.option("--listener", type=int, hidden=True)
def web(host: str | None, port: int | None, lifeline: int | None, listener: int | None) -> None:
    """The web server alone (gunicorn)."""
    if lifeline is not None:
        die_with(lifeline)
    settings = settings_or_exit(host, port)
    set_up_logging(settings.log_level, settings.log_format)
    if lifeline is None:
        with opened(settings) as deployment:  # closed before the fork
            apply_environment(deployment)
    WebServer(settings, listener).run()
