"""Telephone recordings as MP3, by libsndfile: https://libsndfile.github.io/libsndfile/formats.html

Block by block, so that memory does not grow with the call; libsndfile works without the interpreter's lock, so other
threads go on meanwhile. The same recording gives the same bytes wherever the same libsndfile runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np  # comes with soundfile, whose blocks are its arrays
import soundfile

from connector.recordings.wav import close_header

FRAMES_AT_ONCE = 65536

_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
"""All that MP3 knows: MPEG-1, MPEG-2 and MPEG-2.5, layer III."""
_RANGES = ((32000, 320, 32), (16000, 160, 8), (0, 64, 8))
"""From which rate on which bitrates there are, in kbit/s: libsndfile maps its compression level 0..1 onto them
(its `src/mpeg_l3_encode.c`)."""
_MOST_PER_CHANNEL = 96
MOST_CHANNELS = 2


class Undecodable(Exception):
    """What was to be read is no sound that libsndfile knows."""


def make_mp3(source: Path, target: Path) -> str | None:
    """Writes `source` as MP3 to `target`, which must not exist yet. Raises OSError where that can't be written.

    Gives back why `source` can't be decoded, None where all is well. A header that its writer left open is closed.
    """
    try:
        with opened(source) as sound:
            _write(sound, target)
    except Undecodable as error:
        return str(error)
    except (soundfile.SoundFileError, AssertionError) as error:  # the latter where fewer frames could be written
        raise OSError(f"the MP3 could not be written: {error}") from error
    return None


def bitrate(rate: int, channels: int) -> int:
    """The constant bitrate in kbit/s: a quarter of 16 bit PCM's, 32 for a telephone's 8000 Hz.

    Constant, since players then find any second without an index. Speech gains nothing from more, and below it the
    first frame has no place for the length (the LAME tag).
    """
    most = next(most for begin, most, _ in _RANGES if rate >= begin)
    return min(most, channels * min(_MOST_PER_CHANNEL, rate * 4 // 1000))


def opened(source: Path) -> soundfile.SoundFile:
    """The sound of a file, whose header is closed where its writer left it open. Raises Undecodable, OSError."""
    close_header(source)
    try:
        sound = soundfile.SoundFile(source)
    except soundfile.SoundFileError as error:
        raise Undecodable(str(error).removeprefix(f"Error opening {str(source)!r}: ")) from error
    if sound.channels > MOST_CHANNELS:
        sound.close()
        raise Undecodable(f"{sound.channels} channels")
    return sound


def _write(sound: soundfile.SoundFile, target: Path) -> None:
    rate = next((rate for rate in _RATES if rate >= sound.samplerate), _RATES[-1])
    blocks = _blocks(sound)
    if rate != sound.samplerate:
        blocks = _resampled(blocks, sound.samplerate / rate)
    with target.open("xb") as file:
        with soundfile.SoundFile(
            file.fileno(),
            "w",
            samplerate=rate,
            channels=sound.channels,
            format="MP3",
            closefd=False,
            compression_level=_level(rate, sound.channels),
            bitrate_mode="CONSTANT",
        ) as mp3:
            for block in blocks:
                mp3.write(block)
        os.fsync(file.fileno())


def _level(rate: int, channels: int) -> float:
    """libsndfile's compression level for our bitrate."""
    most, least = next((most, least) for begin, most, least in _RANGES if rate >= begin)
    return (most - bitrate(rate, channels)) / (most - least)


def _blocks(sound: soundfile.SoundFile) -> Iterator[Any]:
    """Arrays of frames by channels, at least one. Raises Undecodable."""
    block = _read(sound)
    if not len(block):
        raise Undecodable("there is no audio in it")
    while len(block):
        yield block
        block = _read(sound)


def _read(sound: soundfile.SoundFile) -> Any:
    try:
        return sound.read(FRAMES_AT_ONCE, dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise Undecodable(str(error)) from error


def _resampled(blocks: Iterator[Any], step: float) -> Iterator[Any]:
    """Every `step`-th frame, on straight lines between the given ones: enough for rates that no PBX writes."""
    kept = next(blocks)
    place = 0.0
    while True:
        places = np.arange(place, len(kept) - 1, step)
        channels = [np.interp(places, np.arange(len(kept)), channel) for channel in kept.T]
        yield np.stack(channels, axis=1).astype("float32")
        place += len(places) * step - (len(kept) - 1)
        block = next(blocks, None)
        if block is None:
            return
        kept = np.concatenate((kept[-1:], block))
