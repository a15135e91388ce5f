"""A machine's disk holds only recordings that are kept."""

from __future__ import annotations

import os
import time
from pathlib import Path

from connector.deployment import Deployment
from connector.recordings.files import key_of
from connector.recordings.sweep import sweep, sweep_connection
from tests.connector.recordings.rows import add_connection, add_recording


def place(path: Path, *, hours_old: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"RIFF")
    moment = time.time() - hours_old * 3600
    os.utime(path, (moment, moment))
    return path


def test_only_what_is_kept_stays(deployment: Deployment) -> None:
    assert sweep(deployment) == 0
    connection = add_connection(deployment)
    instance = deployment.settings.instance
    files: dict[str, Path] = {}
    for state in ("ready", "forgotten", "pending"):
        key = key_of(connection.id, f"{state:0>32}", "audio/wav")
        files[state] = place(instance / key, hours_old=2)
        add_recording(deployment, connection, state=state, path=None if state == "pending" else key)
    files["removed"] = place(instance / "recordings/99/ab/gone.wav", hours_old=2)
    files["mp3"] = place(files["ready"].with_suffix(".mp3"), hours_old=2)
    mp3_key = files["mp3"].relative_to(instance).as_posix()
    add_recording(deployment, connection, state="ready", path="recordings/elsewhere.wav", mp3_path=mp3_key)
    files["half"] = place(deployment.store.incoming / "job-0a1b" / "came", hours_old=2)
    os.utime(files["half"].parent, (files["half"].stat().st_mtime,) * 2)
    files["arriving"] = place(deployment.store.incoming / "job-2c3d" / "came", hours_old=0)
    (deployment.store.incoming / "job-3e4f").symlink_to("gone")  # as one that ends while it is looked at
    assert sweep(deployment) == 3
    assert {name for name, path in files.items() if path.exists()} == {"ready", "mp3", "arriving"}


def test_a_removed_connection_leaves_no_recordings(deployment: Deployment) -> None:
    kept, removed = add_connection(deployment), add_connection(deployment, "removed")
    files = {
        each.id: place(deployment.settings.instance / key_of(each.id, f"{each.id:032}", "audio/wav"), hours_old=0)
        for each in (kept, removed)
    }
    sweep_connection(deployment, removed.id)
    assert [path.exists() for path in files.values()] == [True, False]
