"""How long a recording takes to become MP3, and how much memory: a process of its own for each."""

from __future__ import annotations

import multiprocessing
import re
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.table import show
from connector.recordings.mp3 import make_mp3
from connector.simulator.recordings import LONGEST_SECONDS, RATE, speech


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What Evrotel may have recorded."""

    title: str
    minutes: int
    codec: str = "PCM_16"
    channels: int = 1


KINDS = (
    Kind(title="10 min, 16 bit", minutes=10),
    Kind(title="10 min, 16 bit, stereo", minutes=10, channels=2),
    Kind(title="10 min, A-law", minutes=10, codec="ALAW"),
    Kind(title="10 min, GSM", minutes=10, codec="GSM610"),
    Kind(title="60 min, 16 bit", minutes=60),
)


def measure() -> None:
    """Prints seconds, sizes and the peak of memory above that of the process before."""
    with tempfile.TemporaryDirectory() as folder:
        rows = [_row(Path(folder), number, kind) for number, kind in enumerate(KINDS)]
    show(f"A call of {RATE} Hz made into MP3", ["", "seconds", "MB before", "MB after", "MB of memory"], rows)


def _row(folder: Path, number: int, kind: Kind) -> list[str]:
    source, made = folder / f"{number}.wav", folder / f"{number}.mp3"
    _record(source, kind)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        seconds, kilobytes = process.submit(_make, source, made).result()
    sizes = [f"{path.stat().st_size / 1e6:.1f}" for path in (source, made)]
    return [kind.title, f"{seconds:.2f}", *sizes, f"{kilobytes / 1024:.1f}"]


def _record(path: Path, kind: Kind) -> None:
    """Speech-like sound, other syllables every few seconds; a second channel says the same backwards."""
    said = path.with_suffix(".part")
    with soundfile.SoundFile(path, "w", RATE, kind.channels, kind.codec, format="WAV") as file:
        for turn in range(kind.minutes * 60 // LONGEST_SECONDS + 1):
            said.write_bytes(speech(f"{turn}-{LONGEST_SECONDS}.wav"))
            sound, _ = soundfile.read(said, dtype="int16", always_2d=True)
            file.write(np.hstack([sound, sound[::-1]][: kind.channels]))


def _make(source: Path, made: Path) -> tuple[float, int]:
    """Seconds, and by how many KB the process was larger at its peak than before."""
    before, began = _peak(), time.monotonic()
    trouble = make_mp3(source, made)
    if trouble:
        raise AssertionError(trouble)
    return time.monotonic() - began, _peak() - before


def _peak() -> int:
    """The most KB that this process ever had at once."""
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0
