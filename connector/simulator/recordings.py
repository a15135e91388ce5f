"""The host of recordings: answers any path that ends in `.wav` with a sound made for it on the fly.

The sound is mono, 8000 Hz, 16 bit, as Evrotel's recordings are: two voices of speech-like tones taking turns. The same
name always gives the same bytes.
"""

from __future__ import annotations

import io
import math
import random
import re
import threading
import wave
from array import array
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RATE = 8000
LONGEST_SECONDS = 8
_VOICES = (118.0, 205.0)  # Hz: a low and a high one
_SECONDS_IN_NAME = re.compile(r"-(\d+)\.wav$")


def recording_path(day: str, unix_seconds: int, serial: int, seconds: int) -> str:
    """A `recfile` such as Evrotel's. It ends in the seconds of talk, so that the sound can be as long.

    `day` is YYYY-MM-DD.
    """
    return f"/wav/9/{day}/{unix_seconds}.{serial}-{seconds}.wav"


def speech(path: str) -> bytes:
    """A WAV file: as long as the path says, at most LONGEST_SECONDS."""
    found = _SECONDS_IN_NAME.search(path)
    seconds = min(max(int(found[1]) if found else LONGEST_SECONDS, 1), LONGEST_SECONDS)
    chance = random.Random(path)
    samples = array("h")
    turn = 0
    while len(samples) < seconds * RATE:
        for _ in range(chance.randint(3, 8)):
            samples.extend(chance.choice(_syllables(_VOICES[turn % 2])))
        samples.extend([0] * int(RATE * chance.uniform(0.2, 0.5)))
        turn += 1
    return _wav(samples[: seconds * RATE])


@lru_cache
def _syllables(voice: float) -> list[array[int]]:
    """All that a voice can say: made once, since so many sines take a while."""
    chance = random.Random(voice)
    return [array("h", _syllable(chance, voice)) for _ in range(24)]


def _syllable(chance: random.Random, voice: float) -> list[int]:
    pitch = voice * chance.uniform(0.9, 1.2) * 2 * math.pi / RATE
    vowel = chance.uniform(2.0, 5.0)  # which harmonic is loudest
    length = int(RATE * chance.uniform(0.12, 0.28))
    tones = [(harmonic * pitch, 5000 / (1 + abs(harmonic - vowel) * 2)) for harmonic in (1, 2, 3, 4, 6)]
    return [
        int(math.sin(math.pi * at / length) * sum(loud * math.sin(at * tone) for tone, loud in tones))
        for at in range(length)
    ]


def _wav(samples: array[int]) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(samples.tobytes())
    return file.getvalue()


class _Answering(BaseHTTPRequestHandler):
    """GET and HEAD of a recording."""

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        path = self.path.partition("?")[0]
        if not path.endswith(".wav"):
            self.send_error(404)
            return
        sound = speech(path)
        self.send_response(200)
        self.send_header("Content-Type", "audio/x-wav")
        self.send_header("Content-Length", str(len(sound)))
        self.end_headers()
        if with_body:
            self.wfile.write(sound)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Says nothing."""


def serve_recordings(port: int) -> ThreadingHTTPServer:
    """Serves on loopback in threads of its own until `shutdown()`. Port 0 takes a free one. Raises OSError."""
    server = ThreadingHTTPServer(("127.0.0.1", port), _Answering)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="recordings", daemon=True).start()
    return server
