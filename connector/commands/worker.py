"""`connector worker`: a delivery worker alone."""

from __future__ import annotations

import logging
import os
import signal

import click

from connector.commands.context import opened, settings_or_exit
from connector.commands.options import lifeline_option
from connector.connections.environment import apply_environment
from connector.delivery.worker import run_worker
from connector.log import set_up_logging
from connector.serve.lifeline import die_with
from connector.serve.reporting import report_errors
from connector.serve.stopping import stop_on


@click.command()
@lifeline_option
def worker(lifeline: int | None) -> None:
    """A delivery worker alone; on PostgreSQL any number may run, on any number of machines."""
    with stop_on(signal.SIGTERM, signal.SIGINT) as stop:
        if lifeline is not None:
            die_with(lifeline)
        settings = settings_or_exit()
        set_up_logging(settings.log_level, settings.log_format)
        report_errors(settings)
        with opened(settings, schema="check" if lifeline is None else "trust") as deployment:
            if lifeline is None:
                apply_environment(deployment)
            run_worker(deployment, stop)
        logging.shutdown()
        # Python would wait for downloads that are under way; they are given back already, and another fetches them.
        os._exit(0)
