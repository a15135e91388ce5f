"""What own CRMs are told of the button's requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connector.connections.store import Connection
from connector.models import CallbackState


def requested(connection: Connection, row: Mapping[str, Any]) -> dict[str, Any]:
    """The data of `callback.requested`. `row` has the columns of CallbackRequest; times in the connection's zone."""
    told = ("id", "page", "title", "referrer", "utm", "language", "consent_version")
    return {
        **{name: row[name] for name in told},
        "client_number": row["number"],
        "site": row["origin"],
        "due_at": connection.local(row["due_at"]),
        "created_at": connection.local(row["created_at"]),
    }


def finished(connection: Connection, row: Mapping[str, Any], outcome: CallbackState) -> dict[str, Any]:
    """The data of `callback.finished`: the same, how it ended, after how many tries, and the last call's two IDs."""
    return requested(connection, row) | {
        "outcome": outcome,
        "attempts": row["attempts"],
        "call_id": row["call_id"],
        "callid": row["callid"],
    }
