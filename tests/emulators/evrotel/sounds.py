"""What Evrotel records."""

from __future__ import annotations

import io
import math
import random
import struct
import wave


def noise(seconds: float = 2.0) -> bytes:
    """What a studio delivers: stereo, 16 bit, 44100 Hz; line ends everywhere, where parsers of forms look twice."""
    target = io.BytesIO()
    with wave.open(target, "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(44100)
        blocks = (
            random.Random(block).randbytes(256) + b"\r\n" * 128 for block in range(int(44100 * seconds) // 128 + 1)
        )
        out.writeframes(b"".join(blocks)[: int(44100 * seconds) * 4])
    return target.getvalue()


def wav(seconds: float = 0.2, frequency: float = 440.0) -> bytes:
    """A tone as Evrotel records: mono, 16 bit, 8000 Hz."""
    samples = (int(12000 * math.sin(2 * math.pi * frequency * n / 8000)) for n in range(int(8000 * seconds)))
    frames = b"".join(struct.pack("<h", sample) for sample in samples)
    target = io.BytesIO()
    with wave.open(target, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(frames)
    return target.getvalue()
