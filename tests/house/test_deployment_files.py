"""What platforms read: the Procfile really serves, the Heroku button and the examples name what there is."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from pathlib import Path

import pytest
import requests

from connector.connections.keys import ALL_FIELDS
from connector.settings import Settings
from tests.house import sources
from tests.running import free_port, wait_for

FROM_ELSEWHERE = {"SECRET_KEY", "SETUP_TOKEN", "CRM", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"}
"""Variables that are neither a field of Settings by that name nor a connection's key."""


def _processes() -> dict[str, list[str]]:
    """Each process of the Procfile and its command."""
    lines = [line.partition(":") for line in sources.text("Procfile").splitlines() if line.strip()]
    return {name: command.split() for name, _, command in lines}


def _known() -> set[str]:
    return {field.name.upper() for field in fields(Settings)} | {key.upper() for key in ALL_FIELDS} | FROM_ELSEWHERE


@contextmanager
def _running(command: list[str], folder: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{command[-1]}.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.processes
def test_the_procfile_serves_on_a_platform(postgresql_url: str, tmp_path: Path) -> None:
    """As a dyno starts it: DYNO, PORT and Heroku's spelling of the database's address; stopped by SIGTERM."""
    port = free_port()
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(sources.ROOT),
        "DYNO": "web.1",
        "PORT": str(port),
        "DATABASE_URL": postgresql_url.replace("postgresql+psycopg://", "postgres://"),
        "SECRET_KEY": "a-generated-secret-of-the-platform",
        "EVROTEL_TOKEN": "a-generated-token",
        "WEB_CONCURRENCY": "1",
    }
    commands = _processes()
    assert set(commands) == {"release", "web", "worker"}
    release = subprocess.run(
        commands["release"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (release.returncode, release.stderr.count("Traceback")) == (0, 0), release.stderr
    with ExitStack() as stack:
        web, worker = (
            stack.enter_context(_running(commands[name], tmp_path, environment)) for name in ("web", "worker")
        )
        wait_for(lambda: _status(f"http://127.0.0.1:{port}/healthz") == 200)
        wait_for(lambda: " is ready" in (tmp_path / "worker.log").read_text())
        assert _status(f"http://127.0.0.1:{port}/readyz") == 200
        assert _start_of_a_call(port).status_code == 200
        for process in (web, worker):
            process.send_signal(signal.SIGTERM)
        assert [process.wait(timeout=28) for process in (web, worker)] == [0, 0]


def _status(url: str) -> int | None:
    try:
        return requests.get(url, timeout=2).status_code
    except requests.ConnectionError:
        return None


def _start_of_a_call(port: int) -> requests.Response:
    return requests.post(
        f"http://127.0.0.1:{port}/evrotel/default/events",
        data={"callstatus": "start", "numberA": "0987858227", "numberB": "0443334455", "direction": "i"},
        headers={"Authorization": "a-generated-token"},
        timeout=5,
    )


def test_the_heroku_button_asks_for_what_there_is() -> None:
    app = json.loads(sources.text("app.json"))
    asked = app["env"]
    assert set(asked) - _known() == set()
    assert {name for name, entry in asked.items() if entry.get("generator") == "secret"} == {
        "SECRET_KEY",
        "SETUP_TOKEN",
        "EVROTEL_TOKEN",
    }
    assert [name for name, entry in asked.items() if not entry.get("description")] == []
    assert set(app["formation"]) == set(_processes()) - {"release"}
    assert app["success_url"] == "/setup"
    assert any(addon["plan"].startswith("heroku-postgresql") for addon in app["addons"])


def test_the_example_of_settings_names_what_there_is_and_sets_nothing() -> None:
    lines = sources.text(".env.example").splitlines()
    named = {found.group(1) for line in lines if (found := re.match(r"#([A-Z][A-Z0-9_]*)=", line))}
    assert named - _known() == set()
    assert [line for line in lines if line and not line.startswith("#")] == []


def test_the_check_of_a_checkout_can_be_run() -> None:
    assert os.access(sources.ROOT / ".ci/run", os.X_OK)
    subprocess.run(["bash", "-n", sources.ROOT / ".ci/run"], check=True)


def test_the_python_of_platforms_is_one_of_ours() -> None:
    version = sources.text(".python-version").strip()
    minor = int(version.partition(".")[2])
    assert version.startswith("3.")
    assert 11 <= minor <= 13
