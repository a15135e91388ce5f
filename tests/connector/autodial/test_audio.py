"""Whatever is uploaded becomes what Evrotel plays: mono, 16 bit, 8000 Hz, as loud as it may be and no louder."""

from __future__ import annotations

import io
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from connector.autodial.audio import LOUDEST, UnfitAudio, to_playable
from connector.autodial.media import file_name


def tone(rate: int, seconds: float = 1.0, channels: int = 1, level: float = 0.5, pitch: float = 440.0) -> Any:
    wave_form = level * np.sin(2 * np.pi * pitch * np.arange(int(rate * seconds)) / rate)
    return np.stack([wave_form] * channels, axis=1).astype("float32")


def samples(wav: bytes) -> Any:
    with wave.open(io.BytesIO(wav)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (1, 2, 8000)
        return np.frombuffer(sound.readframes(sound.getnframes()), "<i2") / 32768


def pitch_of(sound: Any) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(sound))) * 8000 / len(sound))


@pytest.mark.parametrize(
    ("rate", "channels", "form", "subtype"),
    [
        (8000, 1, "WAV", "PCM_16"),
        (44100, 2, "WAV", "PCM_24"),
        (48000, 1, "WAV", "FLOAT"),
        (8000, 1, "WAV", "ALAW"),
        (11025, 1, "WAV", "PCM_U8"),
        (44100, 2, "FLAC", "PCM_16"),
        (44100, 2, "OGG", "VORBIS"),
        (48000, 1, "OGG", "OPUS"),
        (44100, 2, "MP3", "MPEG_LAYER_III"),
    ],
)
def test_every_format_keeps_length_and_pitch(tmp_path: Path, rate: int, channels: int, form: str, subtype: str) -> None:
    source = tmp_path / "message"
    soundfile.write(source, tone(rate, channels=channels), rate, format=form, subtype=subtype)
    made = to_playable(source)
    sound = samples(made.wav)
    assert made.seconds == pytest.approx(1.0, abs=0.08)  # MP3 has frames
    assert len(sound) == round(made.seconds * 8000)
    assert pitch_of(sound) == pytest.approx(440, abs=4)
    assert 0.4 < np.max(np.abs(sound)) < 0.6


def test_a_loud_file_is_made_quieter_and_not_clipped(tmp_path: Path) -> None:
    source = tmp_path / "loud.wav"
    soundfile.write(source, tone(44100, level=1.4), 44100, subtype="FLOAT")
    sound = samples(to_playable(source).wav)
    assert np.max(np.abs(sound)) == pytest.approx(LOUDEST, abs=0.01)
    assert np.sum(np.abs(sound) > LOUDEST - 0.001) < 800  # peaks, no flat tops


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no WAV"),
        (b"RIFF\xff\xff\xff\xffWAVEfmt ", "no WAV"),
        (b"<html>sign in</html>" * 50, "no WAV"),
        (bytes(4096), "no WAV"),
    ],
)
def test_what_is_no_sound_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    source = tmp_path / "message.mp3"
    source.write_bytes(content)
    with pytest.raises(UnfitAudio, match=why):
        to_playable(source)


def test_silence_long_files_and_odd_ones_are_refused(tmp_path: Path) -> None:
    source = tmp_path / "message.wav"
    for sound, rate, why in (
        (tone(8000, level=0), 8000, "silent"),
        (tone(8000, seconds=121), 8000, "120 seconds"),
        (tone(8000, seconds=0), 8000, "no sound"),
        (tone(8000, channels=9), 8000, "9 channels"),
        (tone(2000), 2000, "2000 Hz"),
    ):
        soundfile.write(source, sound, rate)
        with pytest.raises(UnfitAudio, match=why):
            to_playable(source)


def test_names_at_evrotel_are_plain_and_each_their_own() -> None:
    assert file_name("Greeting #1 (final).MP3", "0123456789abcdef") == "greeting_1_final_89abcdef.wav"
    assert file_name("Привіт.wav", "0123456789abcdef") == "message_89abcdef.wav"
    assert file_name("../../etc/passwd", "0123456789abcdef") == "message_89abcdef.wav"
