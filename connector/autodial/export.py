"""A campaign's results as a table for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

COLUMNS = ("number", "state", "result", "tries", "seconds", "last_change", "call")


def results_csv(numbers: Sequence[Any], zone: ZoneInfo) -> bytes:
    """CSV as Excel opens it: UTF-8 with a byte order mark, semicolons between; times in `zone`.

    Numbers are without their plus: what begins with one Excel takes for a formula.
    """
    target = io.StringIO(newline="")
    table = csv.writer(target, delimiter=";")
    table.writerow(COLUMNS)
    for row in numbers:
        changed = row.updated_at.astimezone(zone).isoformat(sep=" ", timespec="seconds")[:19]
        cells = (row.number.removeprefix("+"), row.state, row.result, row.tries, row.billsec, changed, row.call_id)
        table.writerow(["" if cell is None else str(cell) for cell in cells])
    return target.getvalue().encode("utf-8-sig")
