"""Recordings as Evrotel's host serves them."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator

import pytest
import requests

from connector.simulator.recordings import recording_path, serve_recordings, speech


@pytest.fixture
def host() -> Iterator[str]:
    server = serve_recordings(0)
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("seconds", "heard"), [(1, 1), (5, 5), (300, 8)])
def test_a_recording_is_a_wav_as_long_as_its_name_says_up_to_some_seconds(seconds: int, heard: int) -> None:
    with wave.open(io.BytesIO(speech(recording_path("2018-04-01", 1522566805, 1, seconds)))) as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (1, 2, 8000)
        assert sound.getnframes() == heard * 8000
        assert max(sound.readframes(8000)) > 0


def test_the_same_name_gives_the_same_sound_and_another_another() -> None:
    assert speech("/wav/a-3.wav") == speech("/wav/a-3.wav") != speech("/wav/b-3.wav")


def test_the_host_serves_any_recording_and_nothing_else(host: str) -> None:
    path = recording_path("2018-04-01", 1522566805, 1, 2)
    answer = requests.get(host + path, timeout=5)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "audio/x-wav")
    assert answer.content == speech(path)
    head = requests.head(host + path, timeout=5)
    assert (head.headers["Content-Length"], head.content) == (str(len(answer.content)), b"")
    assert requests.get(f"{host}/etc/passwd", timeout=5).status_code == 404
