"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

LARGEST_ID = 2**63 - 1  # what the databases can be asked for
Command = TypeVar("Command", bound=Callable[..., Any])

lifeline_option = click.option("--lifeline", type=int, hidden=True)
"""Given by `connector run` to its children: the pipe to watch (connector/serve/lifeline.py). The schema is seen to."""

ids_argument = click.argument("ids", nargs=-1, required=True, type=click.IntRange(1, LARGEST_ID), metavar="ID...")
"""The numbers of rows, as the lists show them."""


def address_options(command: Command) -> Command:
    """`--host` and `--port`; without them 127.0.0.1 and PORT, else 8000."""
    host = click.option("--host", help="The address to listen at. [default: 127.0.0.1]")
    port = click.option("--port", type=click.IntRange(1, 65535), help="[default: PORT or 8000]")
    return host(port(command))
