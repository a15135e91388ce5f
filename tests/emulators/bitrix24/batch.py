"""batch: up to 50 commands in one request, with earlier results as later parameters (Bitrix24 REST docs, "batch")."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.emulators.bitrix24 import php
from tests.emulators.bitrix24.errors import RestError, missing, system
from tests.emulators.bitrix24.methods import UNBATCHABLE

MAX_LENGTH = 50
REFERENCE = re.compile(r"\$result((?:\[[^\[\]]+\])+)")
Envelope = dict[str, Any]
Run = Callable[[str, dict[str, Any]], Envelope]


def commands(params: dict[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Each command's label, method and parameters."""
    parsed = {}
    for label, command in php.as_map(params.get("cmd")).items():
        method, _, query = str(command).partition("?")
        parsed[label] = (method.strip().removesuffix(".json"), php.parse_form(query))
    return parsed


def run_batch(params: dict[str, Any], run: Run, core_code: str) -> dict[str, Any]:
    """Runs the commands in order; an error concerns its own command only, unless `halt` stops at it."""
    parsed = commands(params)
    if not parsed:
        raise missing("cmd")
    results: dict[str, dict[str, Any]] = {
        name: {} for name in ("result", "result_error", "result_total", "result_next", "result_time")
    }
    for place, (label, (method, inner)) in enumerate(parsed.items()):
        try:
            if place >= MAX_LENGTH:
                raise system("ERROR_BATCH_LENGTH_EXCEEDED")
            if method.lower() in UNBATCHABLE:
                raise system("ERROR_BATCH_METHOD_NOT_ALLOWED")
            envelope = run(method, substitute(inner, results["result"]))
        except RestError as refusal:
            results["result_error"][label] = refusal.body(core_code)
            if php.truth(params.get("halt")):
                break
            continue
        for part in ("result", "total", "next", "time"):
            if part in envelope:
                results["result" if part == "result" else f"result_{part}"][label] = envelope[part]
    return {name: php_array(values) for name, values in results.items()}


def substitute(params: Any, results: dict[str, Any]) -> Any:
    """`$result[label][FIELD]` in parameters becomes that value as text; what is not there becomes empty."""
    if isinstance(params, dict):
        return {key: substitute(value, results) for key, value in params.items()}
    if isinstance(params, list):
        return [substitute(value, results) for value in params]
    return REFERENCE.sub(lambda match: _look_up(match[1], results), params) if isinstance(params, str) else params


def _look_up(path: str, results: dict[str, Any]) -> str:
    value: Any = results
    for key in re.findall(r"\[([^\[\]]+)\]", path):
        value = php.as_map(value).get(key)
    return "" if value is None or isinstance(value, dict | list) else str(value)


def php_array(values: dict[str, Any]) -> Any:
    """json_encode of a PHP array: empty ones, and those keyed 0..n-1, are lists."""
    if list(values) == [str(index) for index in range(len(values))]:
        return list(values.values())
    return values
