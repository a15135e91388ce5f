"""Raw requests as a person can read them, without the connection's secrets."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl

from connector.connections.keys import ALL_FIELDS
from connector.connections.store import Connection

LONGEST = 8_000
_SHORTEST_SECRET = 4


def readable(body: bytes, connection: Connection | None) -> str:
    """A form as one `name = value` a line, JSON indented, anything else as the text that it may be."""
    text = _unpacked(body.decode("utf-8-sig", errors="replace"))
    for secret in _secrets_of(connection):
        text = text.replace(secret, "***")
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _unpacked(text: str) -> str:
    try:
        unpacked = json.dumps(json.loads(text), ensure_ascii=False, indent=2)
        return unpacked.encode(errors="backslashreplace").decode()  # half a pair, such as \ud800, can't be sent
    except (ValueError, RecursionError):
        pass
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, max_num_fields=200)
    except ValueError:
        return text
    return "\n".join(f"{name} = {value}" for name, value in pairs)


def _secrets_of(connection: Connection | None) -> list[str]:
    if connection is None:
        return []
    values = [value for key, value in connection.values.items() if key in ALL_FIELDS and ALL_FIELDS[key].secret]
    return sorted((value for value in values if len(value) >= _SHORTEST_SECRET), key=len, reverse=True)
