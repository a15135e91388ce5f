"""The real commands as processes, in a directory of their own that goes when they have ended."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from connector.db import Database

ROOT = Path(__file__).resolve().parents[1]
NAME, TOKEN = "bench", "G7bng65jYk8GF294"
START_SECONDS, STOP_SECONDS = 30.0, 35.0
OURS = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "XDG_RUNTIME_DIR")
"""The only variables that a server takes over from here: whatever else is set must not change what is measured."""

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where one deployment lives: its directory, its database, and the environment of its processes."""

    directory: Path
    database_url: str
    environment: dict[str, str]

    def run(self, *arguments: str) -> None:
        """Runs one command of `connector` to its end. Raises RuntimeError with what it printed where it failed."""
        self.run_and_read(*arguments)

    def run_and_read(self, *arguments: str) -> str:
        """The same; what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "connector", *arguments],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"connector {arguments[0]} failed: {done.stdout}{done.stderr}")
        return done.stdout

    @contextmanager
    def database(self) -> Iterator[Database]:
        """The deployment's database, to look at what was kept."""
        database = Database(self.database_url.replace("postgresql://", "postgresql+psycopg://", 1))
        try:
            yield database
        finally:
            database.dispose()


@contextmanager
def place(database_url: str | None = None, **environment: str) -> Iterator[Place]:
    """An empty deployment, on SQLite unless an address is given, with the schema in place."""
    with tempfile.TemporaryDirectory(prefix="connector-bench-") as name:
        directory = Path(name)
        url = database_url or f"sqlite:///{directory / 'connector.db'}"
        variables = {key: value for key, value in os.environ.items() if key in OURS} | {
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": url,
            "SECRET_KEY": secrets.token_urlsafe(32),
            "ALLOW_LOCAL_ADDRESSES": "1",
        }
        found = Place(directory=directory, database_url=url, environment=variables | environment)
        found.run("db", "upgrade")
        yield found


@contextmanager
def connector(where: Place, command: str) -> Iterator[tuple[int, str]]:
    """Runs `connector web` or `connector run` at a free port; gives its process ID and its address."""
    with serving(where, ["connector", command], ready="/healthz") as server:
        yield server


@contextmanager
def serving(where: Place, module: Sequence[str], ready: str) -> Iterator[tuple[int, str]]:
    """Runs `python -m MODULE --port P` until the end of the block; `ready` is the path that then answers 200."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = where.environment | {"PUBLIC_URL": url}
    log = where.directory / f"{module[-1]}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *module, "--port", str(port)],
            cwd=where.directory,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for(process, url + ready, log)
        yield process.pid, url
    finally:
        _stop(process)


def free_port() -> int:
    """A port that nobody listens at now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait_for(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up and process.poll() is None:
        try:
            with _direct.open(url, timeout=2):
                return
        except OSError:  # urllib's errors are OSErrors too
            time.sleep(0.05)
    raise RuntimeError(f"the server did not come up: {log.read_text()[-2000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
