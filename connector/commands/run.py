"""`connector run`: one machine, one command."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import click

from connector.commands.context import opened, settings_or_exit
from connector.commands.demo import Demo, prepare_demo
from connector.commands.options import address_options
from connector.connections.environment import apply_environment
from connector.log import set_up_logging
from connector.panel.signin import has_users
from connector.settings import Settings

PATIENCE_SECONDS = 3.0
"""A killed predecessor's port is free within a moment."""
SPARING = {"MALLOC_ARENA_MAX": "2"}
"""glibc else keeps a heap for each few threads: 5 % of the memory of all processes together, and no faster."""


@click.command()
@address_options
@click.option("--demo", is_flag=True, help="With the journal as the CRM, and simulated calls.")
def run(host: str | None, port: int | None, demo: bool) -> None:
    """Bring the schema up to date, then serve: web server and worker together, until SIGTERM or Ctrl-C."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: sys.exit(0))  # nothing is in flight yet
    settings = settings_or_exit(host, port)
    set_up_logging(settings.log_level, settings.log_format)
    listener = _listen(settings)
    shown = Demo(lines=[])
    with opened(settings, schema="upgrade") as deployment:
        apply_environment(deployment)
        if demo:
            shown = prepare_demo(deployment, listener.getsockname()[1])
        elif not has_users(deployment.database):
            shown.lines.append("No panel user yet: `connector admin create NAME` prints a sign-in link.")
    environment = SPARING | settings.environment | {"PUBLIC_URL": settings.public_url} | shown.environment
    _become_supervisor(_plan(settings, listener.fileno(), shown), environment)


def _listen(settings: Settings) -> socket.socket:
    """The listening socket. It stays open while the web server is started again, so that calls wait instead of being
    refused."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return socket.create_server((settings.host, settings.port), family=family, backlog=2048)
        except OSError as error:
            if time.monotonic() > give_up:
                reason = f"can't listen at {settings.host}:{settings.port}: {os.strerror(error.errno or 0)}"
                raise click.ClickException(reason) from None
            time.sleep(0.1)


def _plan(settings: Settings, listener: int, demo: Demo) -> dict[str, Any]:
    """What the supervisor is to do."""
    children = [
        _child("web", ["--host", settings.host, "--port", str(settings.port)], listens=True),
        _child("worker", []),
    ]
    if demo.simulator:
        children.append(_child("simulate", ["traffic", *demo.simulator], text=demo.token))
    ready = "\n".join([*demo.lines, f"The connector is ready at {settings.public_url}"])
    return {"listener": listener, "ready": ready, "children": children}


def _child(name: str, arguments: Sequence[str], *, listens: bool = False, text: str | None = None) -> dict[str, Any]:
    command = [sys.executable, "-m", "connector", name, *arguments]
    return {"name": name, "command": command, "listens": listens, "input": text}


def _become_supervisor(plan: Mapping[str, Any], environment: Mapping[str, str]) -> NoReturn:
    """Turns this process into the supervisor: it keeps its ID and gives back the memory of all that was imported."""
    reading, writing = os.pipe()
    os.write(writing, json.dumps(plan).encode())  # far less than a pipe holds
    os.close(writing)
    for descriptor in (reading, int(plan["listener"])):
        os.set_inheritable(descriptor, True)
    sys.stdout.flush()
    command = [sys.executable, "-m", "connector.serve.supervisor", str(reading)]
    os.execve(sys.executable, command, dict(environment))  # noqa: S606 - our own command, no shell
