"""Runs the benchmarks that are named, or all of them, one after another on an otherwise idle machine."""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable

from benchmarks import amocrm, answer, autodial, burst, drain, memory, mp3, recordings, starts

BENCHMARKS: dict[str, Callable[[], None]] = {
    "starts": starts.measure,
    "answer": answer.measure,
    "memory": memory.measure,
    "burst": burst.measure,
    "amocrm": amocrm.measure,
    "drain": drain.measure,
    "autodial": autodial.measure,
    "mp3": mp3.measure,
    "recordings": recordings.measure,
}


def main() -> None:
    """Prints one table for each benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *BENCHMARKS], metavar="NAME", help=", ".join(BENCHMARKS))
    names = parser.parse_args().names or list(BENCHMARKS)
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores shared by server, database and load", flush=True)
    for name in names:
        began = time.monotonic()
        print(flush=True)
        BENCHMARKS[name]()
        print(f"  ({name}: {time.monotonic() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
