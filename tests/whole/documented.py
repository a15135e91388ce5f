"""What docs/own-crm.md says of the events' data, to compare real ones with."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tests.running import ROOT

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d")


def _samples() -> dict[str, dict[str, Any]]:
    """The data of each event."""
    page = (ROOT / "docs" / "own-crm.md").read_text()
    bodies = [json.loads(body) for body in re.findall(r"```json\n(.*?)```", page, re.DOTALL)]
    return {body["type"]: body["data"] for body in bodies}


SAMPLES = _samples()


def differences(name: str, data: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Where an event's data are unlike its sample's, with what the page has and what came. What is null on either side
    fits everything, and clients name the tags of `utm`."""
    sample = SAMPLES[name]
    return {
        key: (sample.get(key), data.get(key))
        for key in sorted({*sample, *data})
        if key not in data or key not in sample or not _alike(key, sample[key], data[key])
    }


def _alike(key: str, sample: Any, real: Any) -> bool:
    if sample is None or real is None:
        return True
    if isinstance(sample, dict) and isinstance(real, dict):
        return key == "utm" or (
            set(sample) == set(real) and all(_alike(name, sample[name], real[name]) for name in sample)
        )
    return _kind(sample) == _kind(real)


def _kind(value: Any) -> str:
    match value:
        case str():
            return "time" if _TIME.fullmatch(value) else "text"
        case bool():
            return "truth"
        case int() | float():
            return "number"
        case _:
            return type(value).__name__
