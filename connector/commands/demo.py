"""`connector run --demo`: a connection with the journal, a panel user, and simulated calls."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field

from sqlalchemy import select

from connector.commands.context import receiver_url
from connector.connections.store import Connection, NoSuchConnection
from connector.db import Database
from connector.deployment import Deployment
from connector.models import Call, Role, User
from connector.panel.signin import create_user, make_sign_in_link

NAME = "default"
CALLS_PER_HOUR = 120
PAST_CALLS = 120
"""How many calls of the past hours an empty database is given, so that statistics show something at once."""


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What a demonstration needs: lines to print, the children's environment, the simulator's arguments and token."""

    lines: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    simulator: list[str] = field(default_factory=list)
    token: str | None = None


def prepare_demo(deployment: Deployment, port: int) -> Demo:
    """Makes what is not there yet. `port` is where the receiver can be reached at loopback."""
    connection = _connection(deployment)
    lines = ["", f"Panel (this link signs in once): {_sign_in_url(deployment)}"]
    if connection.crm != "journal":
        return Demo(lines=[*lines, f"No simulated calls: the connection {NAME} is tied to {connection.crm}."])
    recordings_port = _free_port()
    recordings_url = f"http://127.0.0.1:{recordings_port}/"
    connection = deployment.connections.set(NAME, {"evrotel_recordings_url": recordings_url})
    token = connection.values["evrotel_token"]
    environment = {"EVROTEL_RECORDINGS_URL": recordings_url}
    # Recordings come from loopback; a line for each call would bury the addresses printed here.
    wanted = {"ALLOW_LOCAL_ADDRESSES": "1", "LOG_LEVEL": "WARNING"}
    environment |= {name: value for name, value in wanted.items() if not deployment.settings.environment.get(name)}
    return Demo(
        lines=[
            *lines,
            f"Receiver's URL: {receiver_url(deployment.settings, NAME)}",
            f"Receiver's token: {token}",
            "Calls are simulated. Ctrl-C stops everything.",
        ],
        environment=environment,
        simulator=_simulator(deployment, port, recordings_port, connection),
        token=token,
    )


def _connection(deployment: Deployment) -> Connection:
    try:
        return deployment.connections.get(NAME)
    except NoSuchConnection:
        return deployment.connections.add(NAME, "journal", {})


def _sign_in_url(deployment: Deployment) -> str:
    """A fresh link for the first admin, who is made where there is none."""
    database = deployment.database
    with database.read() as db:
        user_id = db.execute(select(User.id).where(User.role == Role.ADMIN).order_by(User.id).limit(1)).scalar()
    if user_id is None:
        user_id = create_user(database, "admin", Role.ADMIN)
    return f"{deployment.settings.public_url}/sign-in/{make_sign_in_link(database, user_id)}"


def _simulator(deployment: Deployment, port: int, recordings_port: int, connection: Connection) -> list[str]:
    host = deployment.settings.host
    local = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - any address: reached at loopback
    past = 0 if _has_calls(deployment.database, connection.id) else PAST_CALLS
    options = {
        "--url": f"http://{local}:{port}/evrotel/{NAME}/events",
        "--token": "-",
        "--calls": "0",
        "--speed": "1",
        "--rate": str(CALLS_PER_HOUR),
        "--history": str(past),
        "--recordings-port": str(recordings_port),
        "--timezone": connection.zone.key,
    }
    return [part for option in options.items() for part in option]


def _has_calls(database: Database, connection_id: int) -> bool:
    with database.read() as db:
        return db.execute(select(Call.id).where(Call.connection_id == connection_id).limit(1)).first() is not None


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port
