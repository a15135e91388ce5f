"""The real command as real processes, for tests that look from outside."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import requests

from connector.deployment import Deployment
from connector.settings import Settings
from migrations import schema
from tests.conftest import migrate
from tests.emulators.bitrix24 import Bitrix24
from tests.emulators.evrotel import Transmitter

ROOT = Path(__file__).parent.parent
TOKEN = "G7bng65jYk8GF294"


def free_port() -> int:
    """A port that nobody listens at just now, below those that the kernel lends to outgoing connections."""
    while True:
        port = random.randint(15_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_for(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """The first true result of `condition`, asked again and again. Raises AssertionError when time is up."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if result := condition():
            return result
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {condition}")


class Installation:
    """One deployment in a folder of its own; its processes are started, killed and stopped one by one."""

    def __init__(self, folder: Path, database_url: str, **environment: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": database_url,
            "SECRET_KEY": "a-secret-key-for-the-tests",
            "PUBLIC_URL": self.url,
            "ALLOW_LOCAL_ADDRESSES": "1",
            "WEB_CONCURRENCY": "1",
            "LOG_LEVEL": "INFO",
        } | environment
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def command(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs `connector ...` to its end."""
        return subprocess.run(
            [sys.executable, "-m", "connector", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=check,
        )

    def start(self, name: str, *arguments: str) -> None:
        """Starts a long-running command; its output goes to NAME.log."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "connector", *arguments],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start_web(self) -> None:
        self.start("web", "web", "--port", str(self.port))
        self.wait_until_up()

    def start_worker(self, name: str = "worker") -> None:
        self.start(name, "worker")

    def wait_until_up(self) -> None:
        wait_for(self.answers, 30)

    def answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/healthz", timeout=1).status_code == 200
        except requests.RequestException:
            return False

    def kill(self, name: str) -> None:
        """SIGKILL for the process and all it started."""
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self, name: str, seconds: float = 40) -> int:
        """SIGTERM, and the exit status."""
        process = self.processes.pop(name)
        process.terminate()
        return process.wait(seconds)

    def close(self) -> None:
        for name in list(self.processes):
            self.kill(name)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def add_bitrix24(self, portal: Bitrix24, name: str = "acme", **settings: str) -> None:
        """A connection to the emulated portal, its application not installed yet.

        As `connector connection add` makes it, without the second that the command's own process takes.
        """
        values = {
            "evrotel_token": TOKEN,
            "bitrix24_client_id": portal.client_id,
            "bitrix24_client_secret": portal.client_secret,
        } | settings
        self.add(name, "bitrix24", values)

    def add(self, name: str, crm: str, values: Mapping[str, str]) -> None:
        """A connection, with the schema up to date."""
        deployment = Deployment(
            Settings(
                secret_keys=(self.environment["SECRET_KEY"],),
                database_url=self.environment["DATABASE_URL"],
                public_url=self.url,
                instance=self.folder / "instance",
                environment={},
                allow_local_addresses=True,
            )
        )
        if schema.current(deployment.database.engine) is None:
            migrate(deployment.database.engine)
        deployment.connections.add(name, crm, values)
        deployment.database.dispose()

    def install(self, portal: Bitrix24, name: str = "acme", user_id: int = 1, **overrides: str) -> requests.Response:
        """The browser's POST of an admin who opens the application."""
        query, form = portal.install_form(user_id, **overrides)
        return requests.post(f"{self.url}/bitrix24/{name}/install", params=query, data=form, timeout=20)

    def transmitter(self, name: str = "acme", token: str = TOKEN) -> Transmitter:
        return Transmitter(f"{self.url}/evrotel/{name}/events", token)


def with_environment(installation: Installation, values: Mapping[str, str]) -> Installation:
    installation.environment |= values
    return installation
