"""Whether a document's values are what its properties may hold."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

from tests.emulators.onec.configurations import Properties

Rows = Mapping[str, Mapping[str, Mapping[str, Any]]]
EMPTY = "00000000-0000-0000-0000-000000000000"
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


class Unfit(Exception):
    """A value that 1C refuses; `code` is 1C's."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def check_values(values: Mapping[str, Any], properties: Properties, sets: Mapping[str, Properties], rows: Rows) -> None:
    """Raises Unfit. Properties that there are not are ignored, as 1C does."""
    for name, value in values.items():
        kind = properties.get(name)
        if kind is None:
            continue
        head, _, detail = kind.partition(":")
        match head:
            case "any":
                _composite(name, value, values, detail, rows)
            case "rows":
                _table(name, value, detail, sets, rows)
            case "ref":
                _reference(name, value, detail, rows)
            case _:
                _simple(name, value, head, detail)


def _simple(name: str, value: Any, head: str, detail: str) -> None:
    fits = {
        "bool": isinstance(value, bool),
        "moment": isinstance(value, str) and bool(_MOMENT.fullmatch(value)),
        "number": isinstance(value, str) and value.isdecimal(),
        "guid": isinstance(value, str) and _is_guid(value),
        "enum": isinstance(value, str) and value in detail.split("|"),
        "text": isinstance(value, str) and (not detail.isdecimal() or len(value) <= int(detail)),
        "type": isinstance(value, str),
    }[head]
    if not fits:
        raise Unfit("6", f"{name}: {value!r}")


def _reference(name: str, value: Any, catalog: str, rows: Rows) -> None:
    if not isinstance(value, str) or not _is_guid(value):
        raise Unfit("6", f"{name}: {value!r}")
    if value != EMPTY and value not in rows.get(catalog, {}):
        raise Unfit("9", f"{name}: {value}")


def _composite(name: str, value: Any, values: Mapping[str, Any], catalogs: str, rows: Rows) -> None:
    kind = values.get(f"{name}_Type")
    if kind is None:
        raise Unfit("6", f"{name}_Type")
    if kind in {"StandardODATA.Undefined", "Edm.String"}:
        if not isinstance(value, str) or (kind.endswith("Undefined") and value):
            raise Unfit("6", f"{name}: {value!r}")
        return
    catalog = kind.removeprefix("StandardODATA.")
    if catalog not in catalogs.split("|"):
        raise Unfit("6", f"{name}_Type: {kind}")
    _reference(name, value, catalog, rows)


def _table(name: str, value: Any, table: str, sets: Mapping[str, Properties], rows: Rows) -> None:
    if not isinstance(value, list):
        raise Unfit("6", name)
    for row in value:
        if "LineNumber" not in row:
            raise Unfit("6", f"{name}: LineNumber")
        check_values(row, sets[table], sets, rows)


def _is_guid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
