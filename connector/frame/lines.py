"""The company's lines, as settings and calls know them."""

from __future__ import annotations

from sqlalchemy import func, select

from connector.calls.numbers import normal_number
from connector.calls.people import SEEN_LATELY
from connector.connections.store import Connection
from connector.db import now
from connector.deployment import Deployment
from connector.models import Call
from crm_adapters.settings import parse_users_by_line

MOST = 100


def known_lines(here: Deployment, connection: Connection) -> list[str]:
    """Numbers of lines: those that settings name and those that calls of late came to, in order."""
    region = connection.get("phone_region")
    named = {normal_number(line, region) or line for line in parse_users_by_line(connection.get("line_users"))}
    return sorted(named | set(lines_seen(here, connection)))[:MOST]


def lines_seen(here: Deployment, connection: Connection) -> dict[str, int]:
    """Lines that calls of late came to or went from, and how many calls each."""
    query = (
        select(Call.line, func.count())
        .where(Call.connection_id == connection.id, Call.started_at >= now() - SEEN_LATELY, Call.line.is_not(None))
        .group_by(Call.line)
        .order_by(Call.line)
        .limit(MOST)
    )
    with here.database.read() as db:
        return {str(line): number for line, number in db.execute(query)}
