"""The picture of a recording: POINTS peaks of each channel, one channel after another, a byte each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

POINTS = 240
HEIGHT = 40
"""Of one channel, in the units of a drawing that is POINTS wide."""


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """An SVG path in a box of `width` by `height`: a bar for each peak, of which the loudest fills its channel."""

    path: str
    width: int
    height: int


def drawing(waveform: bytes | None) -> Drawing:
    """The picture of a waveform; a flat line where there is none."""
    channels = _channels(waveform or b"") or [bytes(POINTS)]
    loudest = max(1, *map(max, channels))
    path = "".join(_bars(peaks, loudest, top=place * HEIGHT) for place, peaks in enumerate(channels))
    return Drawing(path=path, width=POINTS, height=HEIGHT * len(channels))


def _channels(waveform: bytes) -> list[bytes]:
    return [waveform[begin : begin + POINTS] for begin in range(0, len(waveform) - POINTS + 1, POINTS)]


def _bars(peaks: Sequence[int], loudest: int, top: int) -> str:
    middle, most = top + HEIGHT / 2, HEIGHT / 2 - 1
    heights = [max(0.5, most * peak / loudest) for peak in peaks]
    return "".join(f"M{place + 0.5} {middle - height:.1f}v{2 * height:.1f}" for place, height in enumerate(heights))
