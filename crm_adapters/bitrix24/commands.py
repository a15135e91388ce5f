"""One method call for a portal and its outcome, alone or as a command of a `batch` (REST docs, "batch")."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any
from urllib.parse import urlencode

from crm_adapters.bitrix24.answers import of_command
from crm_adapters.contract import Exchange
from crm_adapters.errors import AdapterError, Unreachable

MOST_COMMANDS = 50


class Size(IntEnum):
    """How many commands of a kind may share a request.

    A portal runs them one after another within 60 seconds, and fetches a recording's address while we wait.
    """

    CALLS = MOST_COMMANDS
    LINKS = 10
    FILE = 1


@dataclass(frozen=True, kw_only=True)
class Command:
    """A method and its parameters; `content` is read only when the request is made and goes along as FILE_CONTENT."""

    method: str
    params: Mapping[str, Any]
    size: Size = Size.CALLS
    content: Callable[[], bytes] | None = None

    def text(self) -> str:
        """The command as it is kept: without the file."""
        return f"{self.method} {json.dumps(self.params, ensure_ascii=False)}"

    def all_params(self) -> dict[str, Any]:
        """The parameters as they are sent. Raises what `content` raises."""
        if self.content is None:
            return dict(self.params)
        return {**self.params, "FILE_CONTENT": base64.b64encode(self.content()).decode("ascii")}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A command's `result`, or the error that came instead."""

    result: Any = None
    error: AdapterError | None = None
    exchange: Exchange


def query_of(command: Command) -> str:
    """The command as a batch takes it: PHP's brackets for nested values, 1 and 0 for booleans, nothing for None."""
    return f"{command.method}?{urlencode(_flat(command.params))}"


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}[{key}]" if prefix else key
        if isinstance(value, Mapping):
            pairs += _flat(value, name)
        elif isinstance(value, list | tuple):
            pairs += _flat({str(place): item for place, item in enumerate(value)}, name)
        elif value is not None:
            pairs.append((name, str(int(value)) if isinstance(value, bool) else str(value)))
    return pairs


def batch_of(commands: Sequence[Command]) -> dict[str, Any]:
    """The parameters of the batch; the labels are no numbers, else PHP would answer with lists instead of maps."""
    return {"halt": 0, "cmd": {f"c{place}": query_of(command) for place, command in enumerate(commands)}}


def results_of(body: Mapping[str, Any], count: int) -> list[Any | AdapterError]:
    """Each command's result or error, by the batch's answer; one that is not in it may have been run."""
    envelope = _map(body.get("result"))
    results, errors = _map(envelope.get("result")), _map(envelope.get("result_error"))
    found: list[Any | AdapterError] = []
    for place in range(count):
        label = f"c{place}"
        if label in errors:
            found.append(of_command({"error": "", **_map(errors[label])}))
        elif label in results:
            found.append(results[label])
        else:
            found.append(Unreachable("the portal's answer leaves this command out", maybe_done=True))
    return found


def _map(value: Any) -> Mapping[str, Any]:
    """A PHP array as a mapping: empty ones come as a list."""
    return value if isinstance(value, Mapping) else {}
