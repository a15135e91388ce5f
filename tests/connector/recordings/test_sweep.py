"""A machine's disk holds only recordings that are kept."""

from __future__ import annotations

import os
import time
from pathlib import Path

from connector.deployment import Deployment
from connector.recordings.files import relative_target
from connector.recordings.sweep import sweep
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
        path = relative_target(connection.id, f"{state:0>32}").with_suffix(".wav")
        files[state] = place(instance / path, hours_old=2)
        add_recording(deployment, connection, state=state, path=None if state == "pending" else path.as_posix())
    files["removed"] = place(instance / "recordings/99/ab/gone.wav", hours_old=2)
    files["half"] = place(files["ready"].with_name(".call.0a1b.part"), hours_old=2)
    files["arriving"] = place(files["ready"].with_name(".other.0a1b.part"), hours_old=0)
    assert sweep(deployment) == 4
    assert {name for name, path in files.items() if path.exists()} == {"ready", "arriving"}
