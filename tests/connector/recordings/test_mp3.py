"""Where a CRM's player takes nothing but MP3, recordings are made into it, and the link ends so from the beginning."""

from __future__ import annotations

import io
import time
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import soundfile

from connector.recordings.mp3 import bitrate, make_mp3

SECONDS = 2.0
CODECS = ["PCM_U8", "PCM_16", "ALAW", "ULAW", "GSM610"]
Sound = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def speech(rate: int = 8000, channels: int = 1, seconds: float = SECONDS) -> Sound:
    """Two tones that a telephone carries, another pair in the second channel, and silence between."""
    at = np.arange(int(rate * seconds)) / rate
    pairs = [(420, 1300), (610, 900)][:channels]
    voices = [0.3 * np.sin(2 * np.pi * low * at) + 0.1 * np.sin(2 * np.pi * high * at) for low, high in pairs]
    return np.stack(voices, axis=1) * (np.sin(4 * np.pi * at) > 0)[:, None]


def wav(codec: str = "PCM_16", rate: int = 8000, channels: int = 1, seconds: float = SECONDS) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, speech(rate, channels, seconds), rate, subtype=codec, format="WAV")
    return file.getvalue()


def made_of(folder: Path, content: bytes) -> Path:
    """The MP3 of a recording."""
    source, made = folder / "call.wav", folder / "call.mp3"
    source.write_bytes(content)
    made.unlink(missing_ok=True)
    assert make_mp3(source, made) is None
    return made


def likeness(heard: Sound, spoken: Sound) -> float:
    """1: the same sound; 0: nothing in common."""
    length = min(len(heard), len(spoken))
    return float(np.corrcoef(heard[:length].ravel(), spoken[:length].ravel())[0, 1])


def test_each_codec_of_a_telephone_sounds_the_same_as_mp3(tmp_path: Path) -> None:
    for codec in CODECS:
        content = wav(codec)
        heard, rate = soundfile.read(made_of(tmp_path, content), always_2d=True)
        spoken, _ = soundfile.read(io.BytesIO(content), always_2d=True)
        assert rate == 8000
        assert len(heard) / rate == pytest.approx(SECONDS, abs=0.1), codec
        assert likeness(heard, spoken) > 0.99, codec


@pytest.mark.parametrize(
    ("rate", "channels", "made_rate"),
    [(8000, 2, 8000), (16000, 1, 16000), (44100, 2, 44100), (6000, 1, 8000), (96000, 2, 48000)],
)
def test_any_rate_and_stereo_stay_what_they_are(tmp_path: Path, rate: int, channels: int, made_rate: int) -> None:
    content = wav(rate=rate, channels=channels)
    made = made_of(tmp_path, content)
    heard, heard_rate = soundfile.read(made, always_2d=True)
    assert (heard_rate, heard.shape[1]) == (made_rate, channels)
    assert len(heard) / made_rate == pytest.approx(SECONDS, abs=0.1)
    assert likeness(heard, speech(made_rate, channels)) > 0.99
    assert made.stat().st_size < len(content)


def test_a_minute_is_as_large_as_promised_and_the_same_everywhere(tmp_path: Path) -> None:
    content = wav("ALAW", seconds=60)
    made = made_of(tmp_path, content).read_bytes()
    assert bitrate(8000, 1) == 32
    assert len(made) == pytest.approx(60 * 32000 / 8, rel=0.01)
    assert len(made) < len(content) * 0.51
    assert made_of(tmp_path, content).read_bytes() == made


@pytest.mark.parametrize("codec", ["PCM_16", "GSM610"])
def test_a_file_that_was_never_closed_is_heard_as_far_as_it_goes(tmp_path: Path, codec: str) -> None:
    whole = wav(codec)
    data = whole.index(b"data") + 4
    left_open = whole[:4] + bytes(4) + whole[8:data] + bytes(4) + whole[data + 4 :]
    heard = soundfile.info(made_of(tmp_path, left_open[: len(whole) // 2]))
    assert heard.duration == pytest.approx(SECONDS / 2, abs=0.1)


def test_what_is_no_sound_is_told_from_a_disk_that_is_full(tmp_path: Path) -> None:
    source = tmp_path / "call.wav"
    for content in (b"RIFF\x24\0\0\0WAVEfmt ", wav(seconds=0), b"ID3" + bytes(500), strange_wav()):
        source.write_bytes(content)
        assert make_mp3(source, tmp_path / "call.mp3")
        (tmp_path / "call.mp3").unlink(missing_ok=True)
    source.write_bytes(wav(seconds=20))
    with pytest.raises(OSError, match="could not be written"):
        make_mp3(source, Full(tmp_path / "call.mp3"))


def strange_wav() -> bytes:
    """Whole by its header, in a codec that nobody knows."""
    known = wav()
    return known[:20] + b"\x34\x12" + known[22:]


class Full(type(Path())):  # type: ignore[misc]  # the class of paths is the machine's
    """A file on a disk that has no room left."""

    def open(self, *_: object, **__: object) -> io.BufferedWriter:
        return io.open("/dev/full", "wb")  # noqa: UP020 - the method's own name


def test_making_holds_up_no_other_thread(tmp_path: Path) -> None:
    """120 seconds are 15 blocks: so often others would run if each block were made under the interpreter's lock."""
    source = tmp_path / "call.wav"
    source.write_bytes(wav(seconds=120))
    make = Thread(target=make_mp3, args=(source, tmp_path / "call.mp3"))
    make.start()
    turns = 0
    while make.is_alive():
        time.sleep(0.001)
        turns += 1
    assert turns > 60
