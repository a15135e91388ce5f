"""No question that the receiver asks reads a whole table: what is asked stays quick when years of calls are kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Connection as SQLConnection
from sqlalchemy import event

from connector.deployment import Deployment
from connector.models import Base
from tests.connector.delivery.scripted import Stage

BIG = {table.name for table in Base.metadata.sorted_tables} & {
    "calls",
    "inbound_events",
    "deliveries",
    "attempts",
    "recordings",
}


@pytest.fixture
def asked(deployment: Deployment) -> list[tuple[str, object]]:
    """All statements from now on, with their parameters."""
    statements: list[tuple[str, object]] = []

    def note(_c: SQLConnection, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        statements.append((statement, parameters))

    event.listen(deployment.database.engine, "before_cursor_execute", note)
    return statements


def scans(deployment: Deployment, asked: list[tuple[str, object]]) -> list[str]:
    """Statements that SQLite answers by reading all of a big table."""
    found = []
    with deployment.database.engine.connect() as connection:
        for statement, parameters in list(asked):
            if statement.split(maxsplit=1)[0] not in {"SELECT", "UPDATE", "DELETE"} or isinstance(parameters, list):
                continue
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)  # type: ignore[arg-type]  # as they were
            if any(row.detail.split()[:1] == ["SCAN"] and BIG & set(row.detail.split()) for row in plan):
                found.append(statement)
    return found


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_nothing_on_a_call_s_way_reads_a_whole_table(deployment: Deployment, asked: list[tuple[str, object]]) -> None:
    stage = Stage(deployment)
    asked.clear()
    steps: list[Callable[[], object]] = [
        lambda: stage.end(stage.start(1), recfile="/wav/1.wav"),
        lambda: stage.end("unknown"),
        stage.work,
    ]
    for step in steps:
        try:
            step()
        except ValueError:
            pass  # an end of nobody: its look-ups are asked all the same
    assert scans(deployment, asked) == []
