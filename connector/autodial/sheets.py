"""Spreadsheets as rows of texts, read in a process of its own: a small file can say that it has a cell in the last of
16,384 columns and of a million rows, and whoever makes room for that is ended by the system.
"""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
from typing import cast

from python_calamine import CalamineError, load_workbook

MEMORY = 768 * 1024 * 1024
"""Bytes of address space that reading one may take."""
SECONDS = 20


def rows_of_sheet(content: bytes, most: int) -> list[list[str]]:
    """At most `most` rows of the first sheet. Raises ValueError that says what to do."""
    command = [sys.executable, "-m", "connector.autodial.sheets", str(most)]
    try:
        done = subprocess.run(  # noqa: S603 - our own module, and the content is no argument
            command, input=content, capture_output=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        done = None
    if done is None or done.returncode:
        raise ValueError("this spreadsheet can't be read: save it as XLSX or CSV")
    return cast(list[list[str]], json.loads(done.stdout))


def _cell(value: object) -> str:
    """A cell's text; a number kept as a floating one has no decimals."""
    return f"{value:.0f}" if isinstance(value, float) else str(value)


def main() -> int:
    """Reads a spreadsheet from the standard input, writes its rows as JSON."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        book = load_workbook(io.BytesIO(sys.stdin.buffer.read()))
        rows = book.get_sheet_by_index(0).to_python(nrows=int(sys.argv[1]))
    except (CalamineError, OSError, ValueError, MemoryError):
        return 1
    json.dump([[_cell(cell) for cell in row] for row in rows], sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
