"""An uploaded audio file as Evrotel's autodial plays it: WAV, mono, 16 bit, 8000 Hz ("API real time call events").

Decoded block by block by libsndfile and resampled by soxr, so that a hostile file costs no more than its longest
allowed sound. Loud files become quieter instead of clipped.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr  # type: ignore[import-untyped]  # the package has no annotations

RATE = 8000
LONGEST_SECONDS = 120
MOST_CHANNELS = 8
RATES = range(4000, 192_001)
LOUDEST = 0.89
"""About -1 dBFS: what a telephone's codec takes without distortion."""
SILENCE = 0.001
"""-60 dBFS: who hears no more than this hangs up."""
_FORMATS = frozenset({"WAV", "WAVEX", "RF64", "MP3", "MPEG", "OGG", "FLAC"})
_FRAMES_AT_ONCE = 65536


class UnfitAudio(ValueError):
    """The file can't be played to clients; the message says why, for people."""


@dataclass(frozen=True, kw_only=True)
class Playable:
    """A WAV file's bytes and how long it plays."""

    wav: bytes
    seconds: float


def to_playable(source: Path) -> Playable:
    """The sound of a WAV, MP3, OGG or FLAC file. Raises UnfitAudio, OSError."""
    try:
        with soundfile.SoundFile(source) as sound:
            _check(sound)
            samples = np.concatenate([*_resampled(sound)])
    except soundfile.SoundFileError:
        raise UnfitAudio("This is no WAV, MP3, OGG or FLAC file that can be decoded.") from None
    if not len(samples):
        raise UnfitAudio("There is no sound in this file.")
    peak = float(np.max(np.abs(samples)))
    if not np.isfinite(peak) or peak < SILENCE:
        raise UnfitAudio("This file is silent.")
    if peak > LOUDEST:
        samples = samples * (LOUDEST / peak)
    return Playable(wav=_wav(samples), seconds=len(samples) / RATE)


def _check(sound: soundfile.SoundFile) -> None:
    if sound.format not in _FORMATS:
        raise UnfitAudio("Take a WAV, MP3, OGG or FLAC file.")
    if sound.channels > MOST_CHANNELS or sound.samplerate not in RATES:
        raise UnfitAudio(f"A sound of {sound.channels} channels at {sound.samplerate} Hz can't be converted.")
    if sound.frames > LONGEST_SECONDS * sound.samplerate:
        raise UnfitAudio(f"A message may last {LONGEST_SECONDS} seconds at most.")


def _resampled(sound: soundfile.SoundFile) -> Iterator[Any]:
    """Mono at 8000 Hz, block by block; a header may lie about the length."""
    stream = soxr.ResampleStream(sound.samplerate, RATE, 1, dtype="float32")
    given = 0
    while len(block := sound.read(_FRAMES_AT_ONCE, dtype="float32", always_2d=True)):
        given += len(block)
        if given > LONGEST_SECONDS * sound.samplerate:
            raise UnfitAudio(f"A message may last {LONGEST_SECONDS} seconds at most.")
        yield stream.resample_chunk(block.mean(axis=1))
    yield stream.resample_chunk(np.zeros(0, dtype="float32"), last=True)


def _wav(samples: Any) -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(np.round(samples * 32767).astype("<i2").tobytes())
    return target.getvalue()
