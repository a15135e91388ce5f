"""The picture of a recording: POINTS peaks of each channel, one channel after another, a byte each."""

from __future__ import annotations

from collections.abc import Sequence

POINTS = 240
HEIGHT = 40
"""Of one channel, in the units of a drawing that is POINTS wide."""


def channels_of(waveform: bytes) -> list[Sequence[int]]:
    """The peaks of each channel, 0 to 255."""
    return [waveform[begin : begin + POINTS] for begin in range(0, len(waveform) - POINTS + 1, POINTS)]


def outline(peaks: Sequence[int], loudest: int, top: int = 0) -> str:
    """An SVG path of one channel, mirrored about its middle; `loudest` fills its height, `top` is where it begins."""
    middle, half = top + HEIGHT / 2, HEIGHT / 2 - 1
    heights = [max(0.5, half * peak / max(loudest, 1)) for peak in peaks]
    bars = [f"M{place + 0.5} {middle - height:.1f}V{middle + height:.1f}" for place, height in enumerate(heights)]
    return "".join(bars)
