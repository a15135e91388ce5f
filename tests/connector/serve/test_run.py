"""`connector run` as real processes: quick to start, clean to stop, and what is killed comes back."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.running import Installation, wait_for

pytestmark = pytest.mark.processes


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path, f"sqlite:///{tmp_path / 'connector.db'}", WEB_CONCURRENCY="2")
    yield installation
    installation.close()


@pytest.fixture
def running(installation: Installation) -> Installation:
    start(installation)
    return installation


def start(installation: Installation, *options: str) -> None:
    (installation.folder / "run.log").unlink(missing_ok=True)
    installation.start("run", "run", "--port", str(installation.port), *options)
    wait_for(lambda: "is ready at" in installation.log("run"), 60)


def pid_of(installation: Installation, name: str) -> int | None:
    """The child of `run` that has this name, found by its command line."""
    parent = installation.processes["run"].pid
    for child in _children(parent):
        if f"\0connector\0{name}\0" in _command_line(child):
            return child
    return None


def _command_line(pid: int) -> str:
    """The words of a process, NUL between them; empty where it has ended since it was listed."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _children(parent: int) -> list[int]:
    listed = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True, check=False)
    return [int(pid) for pid in listed.stdout.split()]


def another(installation: Installation, name: str, former: int) -> int | None:
    pid = pid_of(installation, name)
    return pid if pid != former else None


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_it_serves_within_seconds_and_stops_cleanly(installation: Installation) -> None:
    began = time.monotonic()
    start(installation)
    assert time.monotonic() - began < 30  # two or three on an idle machine
    assert requests.get(f"{installation.url}/readyz", timeout=5).text == "ok"
    assert installation.stop("run") == 0
    assert "Traceback" not in installation.log("run")
    with pytest.raises(requests.ConnectionError):
        requests.get(installation.url, timeout=5)


def test_the_same_signal_twice_stops_as_cleanly(running: Installation) -> None:
    running.processes["run"].send_signal(signal.SIGINT)
    running.processes["run"].send_signal(signal.SIGINT)
    assert running.stop("run") == 0


@pytest.mark.parametrize("name", ["web", "worker"])
def test_a_killed_process_comes_back(running: Installation, name: str) -> None:
    former = wait_for(lambda: pid_of(running, name))
    os.kill(former, signal.SIGKILL)
    wait_for(lambda: another(running, name, former), 10)
    assert requests.get(f"{running.url}/healthz", timeout=30).status_code == 200
    assert f"the {name} process was killed by signal 9" in running.log("run")
    assert running.stop("run") == 0


def test_callers_wait_while_the_web_server_comes_back(running: Installation) -> None:
    statuses: list[int] = []
    os.kill(wait_for(lambda: pid_of(running, "web")), signal.SIGKILL)
    for _ in range(3):
        time.sleep(0.1)  # whatever the server was doing at the kill is over: these are new connections
        statuses.append(requests.get(f"{running.url}/healthz", timeout=30).status_code)
    assert statuses == [200] * 3


def test_all_end_with_a_killed_parent_and_the_port_is_free(running: Installation) -> None:
    children = wait_for(lambda: [pid for name in ("web", "worker") if (pid := pid_of(running, name))])
    everyone = [*children, *(pid for child in children for pid in _children(child))]
    parent = running.processes.pop("run")
    parent.kill()
    parent.wait()
    wait_for(lambda: all(gone(pid) for pid in everyone), 3)
    start(running)
    assert requests.get(f"{running.url}/readyz", timeout=5).status_code == 200


def test_what_is_in_flight_at_sigterm_is_answered(running: Installation) -> None:
    running.command("connection", "add", "acme", "--crm", "journal", "--set", "evrotel_token=G7bng65jYk8GF294")
    body = b"callstatus=start&numberA=0987858227&numberB=0443334401&direction=i&calldate=2018-04-01+00%3A00%3A11"
    head = (
        b"POST /evrotel/acme/events HTTP/1.1\r\nHost: x\r\nAuthorization: G7bng65jYk8GF294\r\nConnection: close\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", running.port), timeout=20) as connection:
        connection.sendall(head + body[:10])
        time.sleep(0.5)
        running.processes["run"].terminate()
        time.sleep(0.5)
        connection.sendall(body[10:])
        answer = b""
        while piece := connection.recv(4096):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 200")
    assert running.processes.pop("run").wait(40) == 0


def test_a_taken_port_is_one_clear_line(installation: Installation) -> None:
    with socket.create_server(("127.0.0.1", installation.port)):
        result = installation.command("run", "--port", str(installation.port), check=False)
    assert result.returncode == 1
    assert result.stderr == f"Error: can't listen at 127.0.0.1:{installation.port}: Address already in use\n"


def test_the_demo_shows_calls_at_once(installation: Installation) -> None:
    for variable in ("ALLOW_LOCAL_ADDRESSES", "LOG_LEVEL"):
        del installation.environment[variable]
    start(installation, "--demo")
    log = installation.log("run")
    link = re.search(r"http\S+/sign-in/\S+", log)
    assert link is not None
    assert requests.head(link[0], timeout=5).status_code == 200
    assert f"{installation.url}/evrotel/default/events" in log
    wait_for(lambda: _kept_events(installation) > 20, 30)
    assert installation.stop("run") == 0
    assert installation.command("connection", "list").stdout == "default  journal  active\n"
    assert installation.command("events", "list", "--rejected").stdout == ""


def _kept_events(installation: Installation) -> int:
    return len(installation.command("events", "list", "--limit", "200").stdout.splitlines())


def test_the_demo_leaves_another_crm_alone(installation: Installation) -> None:
    installation.command("connection", "add", "--crm", "bitrix24")
    start(installation, "--demo")
    assert "No simulated calls" in installation.log("run")
    assert pid_of(installation, "simulate") is None
    assert installation.stop("run") == 0


def test_web_alone_frees_its_port_when_its_master_is_killed(installation: Installation) -> None:
    installation.start_web()
    master = installation.processes.pop("web")
    workers = wait_for(lambda: _children(master.pid))
    master.kill()
    master.wait()
    wait_for(lambda: all(gone(pid) for pid in workers), 5)
    wait_for(lambda: _is_free(installation.port), 5)  # a worker that was just being forked ends a moment later


def _is_free(port: int) -> bool:
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False


def test_web_and_worker_alone_stop_cleanly(installation: Installation) -> None:
    installation.start_web()
    installation.start_worker()
    wait_for(lambda: "is ready" in installation.log("worker"))
    assert installation.stop("worker") == 0
    assert installation.stop("web") == 0


def test_several_first_starts_at_once_agree(installation: Installation) -> None:
    """An empty database and no key: three commands set up one and the same."""
    del installation.environment["SECRET_KEY"]
    results: list[subprocess.CompletedProcess[str]] = []

    def list_connections() -> None:
        results.append(installation.command("connection", "list", check=False))

    threads = [threading.Thread(target=list_connections) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(result.returncode, result.stderr) for result in results] == [(0, "")] * 3


def test_host_and_port_come_from_the_environment_too(installation: Installation) -> None:
    installation.environment |= {"PORT": str(installation.port), "HOST": "127.0.0.1"}
    del installation.environment["PUBLIC_URL"]
    installation.start("run", "run")
    wait_for(lambda: f"is ready at {installation.url}\n" in installation.log("run"), 30)
    assert installation.stop("run") == 0
