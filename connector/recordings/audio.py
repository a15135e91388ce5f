"""What is in a recording: how long it is, how its waveform looks, and whether every browser plays it as it is.

By libsndfile, block by block as in mp3.py, whose import costs as much: numpy is large.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np  # comes with soundfile, whose blocks are its arrays
import soundfile

from connector.recordings.mp3 import FRAMES_AT_ONCE, MOST_CHANNELS, Undecodable, opened
from connector.recordings.waveforms import POINTS

_STEP = 256
"""Frames of which one peak is kept until the length is known."""
_PLAYED_ANYWHERE = {
    *((container, subtype) for container in ("WAV", "WAVEX") for subtype in ("PCM_U8", "PCM_16", "PCM_24", "FLOAT")),
    ("MP3", "MPEG_LAYER_III"),
}
"""Formats that any browser plays: not GSM, ADPCM and Ogg, and of A-law and mu-law one can't be sure."""


@dataclass(frozen=True, kw_only=True)
class Sound:
    """`waveform` is as of waveforms.py."""

    milliseconds: int
    waveform: bytes
    plays_anywhere: bool


def examine(path: Path) -> Sound | None:
    """What is in the file; None where libsndfile can't decode it. Raises OSError where it can't be read."""
    try:
        with opened(path) as sound:
            peaks, frames = _peaks(sound)
            return Sound(
                milliseconds=round(frames * 1000 / sound.samplerate),
                waveform=_waveform(peaks),
                plays_anywhere=(sound.format, sound.subtype) in _PLAYED_ANYWHERE,
            )
    except (Undecodable, soundfile.SoundFileError):
        return None


def _peaks(sound: soundfile.SoundFile) -> tuple[Any, int]:
    """The loudest of each _STEP frames, 0 to 1, as steps by channels, and how many frames there are in all."""
    found, frames = [], 0
    while len(block := sound.read(FRAMES_AT_ONCE, dtype="float32", always_2d=True)):
        frames += len(block)
        begins = np.arange(0, len(block), _STEP)  # FRAMES_AT_ONCE is a multiple, so steps do not cross blocks
        found.append(np.maximum.reduceat(np.abs(block[:, :MOST_CHANNELS]), begins))
    if not frames:
        raise Undecodable("there is no audio in it")
    return np.nan_to_num(np.concatenate(found)), frames


def _waveform(peaks: Any) -> bytes:
    """POINTS peaks of each channel, one channel after another, a byte each; full scale is 255."""
    begins = np.linspace(0, len(peaks), POINTS, endpoint=False).astype(int)
    loudest = np.maximum.reduceat(peaks, begins)
    return bytes(np.clip(loudest.T * 255, 0, 255).astype(np.uint8).tobytes())
