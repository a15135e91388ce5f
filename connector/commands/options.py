"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

lifeline_option = click.option("--lifeline", type=int, hidden=True)
"""Given by `connector run` to its children: the pipe to watch (connector/serve/lifeline.py). The schema is seen to."""


def address_options(command: Command) -> Command:
    """`--host` and `--port`; without them 127.0.0.1 and PORT, else 8000."""
    host = click.option("--host", help="The address to listen at. [default: 127.0.0.1]")
    port = click.option("--port", type=click.IntRange(1, 65535), help="[default: PORT or 8000]")
    return host(port(command))
