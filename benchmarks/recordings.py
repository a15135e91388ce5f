"""What serving recordings costs the web server's memory: 50 players that ask for parts of a 100 MB file at once."""

from __future__ import annotations

import threading
import time
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert, select

from benchmarks.memory import resident
from benchmarks.servers import NAME, Place, connector, place
from benchmarks.table import percentile, show
from connector.db import Database
from connector.models import Call, Connection, Recording
from connector.recordings.files import key_of
from connector.recordings.links import signed_path

SIZE = 100 * 1024 * 1024
PLAYERS = 50
PART = 10 * 1024 * 1024
LOOK_SECONDS = 0.05


def measure() -> None:
    """Prints the memory of all web processes before and at its peak, and how long the parts took."""
    with place() as where:
        where.run("connection", "add", NAME, "--crm", "journal")
        with where.database() as database:
            path = _keep(where, database)
        with connector(where, "web") as (pid, url):
            _ask(url + path, 0, 1000)  # what is imported at the first request is no part of it
            before = resident(pid)
            peak, seconds, took = _ask_all(pid, url + path)
    rows = [
        [f"{PLAYERS} parts of {PART >> 20} MB", f"{before:.1f}", f"{peak:.1f}", f"{peak - before:.1f}", f"{took:.1f}"]
    ]
    show(
        f"A recording of {SIZE >> 20} MB asked for in parts (MB of PSS, seconds; slowest part {max(seconds):.1f} s, "
        f"median {percentile(seconds, 50):.1f} s)",
        ["", "before", "peak", "more", "all in"],
        rows,
    )


def _keep(where: Place, database: Database) -> str:
    """A call with a recording that is there; gives back the path of its link."""
    call_id, nonce, moment = uuid.uuid4().hex, uuid.uuid4().hex, datetime.now(UTC)
    with database.write() as db:
        connection_id = db.execute(select(Connection.id)).scalar_one()
        key = key_of(connection_id, call_id, "audio/wav")
        both = {"connection_id": connection_id, "created_at": moment}
        call = {
            "id": call_id,
            "direction": "incoming",
            "client_number": "+380987858227",
            "started_at": moment,
            "state": "ended",
            "source": "event",
            "awaits_start": False,
            "updated_at": moment,
        }
        recording = {
            "call_id": call_id,
            "recfile": "/wav/1.wav",
            "state": "ready",
            "path": key,
            "content_type": "audio/wav",
            "source_type": "audio/wav",
            "size": SIZE,
            "attempts": 0,
            "due_at": moment,
            "link_nonce": nonce,
        }
        db.execute(insert(Call).values(call | both))
        db.execute(insert(Recording).values(recording | both))
    _write(where.directory / "instance" / key)
    path = signed_path(
        [where.environment["SECRET_KEY"]],
        link_nonce=nonce,
        state="ready",
        revoked_at=None,
        recfile="",
        content_type="audio/wav",
        as_mp3=False,
        crm="journal",
    )
    if path is None:
        raise AssertionError("the recording has no link")
    return path


def _write(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        for _ in range(SIZE >> 20):
            file.write(bytes(1 << 20))


def _ask_all(pid: int, url: str) -> tuple[float, list[float], float]:
    """The peak of memory in MB, the seconds of each part, and of all together."""
    peak, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(LOOK_SECONDS):
            peak[0] = max(peak[0], resident(pid))

    watching = threading.Thread(target=watch)
    watching.start()
    began = time.monotonic()
    step = (SIZE - PART) // PLAYERS
    with ThreadPoolExecutor(PLAYERS) as players:
        seconds = list(players.map(lambda number: _ask(url, number * step, PART), range(PLAYERS)))
    took = time.monotonic() - began
    done.set()
    watching.join()
    return peak[0], seconds, took


def _ask(url: str, begin: int, length: int) -> float:
    """Reads one part to its end; the seconds it took."""
    began = time.monotonic()
    request = urllib.request.Request(url, headers={"Range": f"bytes={begin}-{begin + length - 1}"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        read = sum(len(piece) for piece in iter(lambda: answer.read(1 << 16), b""))
    if answer.status != 206 or read != length:
        raise AssertionError(f"{answer.status}, {read} bytes of {length}")
    return time.monotonic() - began
