"""Where recordings are kept: a folder of this machine, or S3-compatible storage that all machines share.

A key such as `recordings/1/ab/0199...ab.wav` names a file in both: copying the one into the other moves a deployment.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast
from urllib.parse import parse_qs, unquote, urlsplit

from connector.settings import Settings

if TYPE_CHECKING:
    from connector.recordings.s3 import S3

ROOM = "recordings"
"""The first part of all keys: whatever else lies in the same folder or bucket is left alone."""


LONGEST_JOB_SECONDS = 900.0
"""No fetch and no MP3 takes as long."""


class StoreAway(OSError):
    """The store can't be asked at the moment, or refuses us."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A key and when it was last written."""

    key: str
    at: datetime


class Store(Protocol):
    """Raises StoreAway, or another OSError, where it does not work; FileNotFoundError for a key that is not there."""

    title: str
    """What it is, for people, without secrets."""
    incoming: Path
    """A folder of this machine for files that are not kept yet."""

    def keep(self, key: str, made: Path, content_type: str) -> None:
        """Takes a finished file of `incoming` away and keeps it, in one step, in place of any former one."""

    def open(self, key: str, begin: int = 0, end: int | None = None) -> BinaryIO:
        """The bytes from `begin` until before `end`, or to the last one."""

    def delete(self, key: str) -> None:
        """Forgets a file; one that is not there is forgotten already."""

    def stored(self, under: str = ROOM) -> Iterator[Stored]:
        """All files whose keys begin with this folder."""

    def check(self) -> None:
        """Raises where nothing could be kept or read."""


class Folder:
    """A folder of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.title = str(root / ROOM)
        self.incoming = root / ROOM / ".incoming"  # on the same disk: a file is moved to its place in one step

    def keep(self, key: str, made: Path, content_type: str) -> None:  # noqa: ARG002 - for stores that answer by themselves
        path = self._root / key
        make_private(self._root / ROOM)
        path.parent.mkdir(parents=True, exist_ok=True)
        made.chmod(0o600)
        made.replace(path)

    def open(self, key: str, begin: int = 0, end: int | None = None) -> BinaryIO:  # noqa: ARG002 - its reader counts
        file = (self._root / key).open("rb")
        file.seek(begin)
        return file

    def delete(self, key: str) -> None:
        (self._root / key).unlink(missing_ok=True)

    def stored(self, under: str = ROOM) -> Iterator[Stored]:
        for path in self._root.glob(f"{under}/*/*" if "/" in under else f"{under}/[!.]*/*/*"):
            try:
                at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            except FileNotFoundError:
                continue
            yield Stored(key=path.relative_to(self._root).as_posix(), at=at)

    def check(self) -> None:
        make_private(self.incoming)
        with tempfile.TemporaryFile(dir=self.incoming) as file:
            file.write(b"x")


def open_store(settings: Settings) -> Store:
    """The store that RECORDINGS_URL names; without it the instance's own folder. Asks nobody yet."""
    url = settings.recordings_url
    if not url.startswith("s3://"):
        return Folder(Path(unquote(urlsplit(url).path)) if url else settings.instance)
    # Imported when it is needed: boto3 takes 40 MB of memory in each process.
    make = cast("type[S3]", import_module("connector.recordings.s3").S3)
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return make(
        bucket=parts.netloc,
        prefix=unquote(parts.path).strip("/"),
        endpoint=query.get("endpoint"),
        region=query.get("region"),
        incoming=settings.instance / ROOM / ".incoming",
    )


def make_private(folder: Path) -> None:
    """Makes a folder in ROOM, which nobody else on the machine may look into."""
    room = next(each for each in (folder, *folder.parents) if each.name == ROOM)
    room.parent.mkdir(parents=True, exist_ok=True)
    room.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(exist_ok=True)


def keeps_nothing(settings: Settings) -> bool:
    """Whether what is kept is lost at the next restart: a folder on a platform that keeps no disk."""
    return not settings.disk_is_kept and not settings.recordings_url.startswith("s3://")


@contextmanager
def incoming(store: Store, call_id: str) -> Iterator[Path]:
    """A folder for the files of one job, gone with what is left in it when the job ends."""
    make_private(store.incoming)
    with tempfile.TemporaryDirectory(prefix=f"{call_id}-", dir=store.incoming, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def clear_incoming(store: Store) -> None:
    """Deletes what jobs that were killed have left."""
    before = time.time() - LONGEST_JOB_SECONDS
    for path in store.incoming.iterdir() if store.incoming.is_dir() else ():
        try:
            is_left = path.stat().st_mtime < before
        except FileNotFoundError:
            continue  # its job has ended, or another worker was first
        if is_left:
            shutil.rmtree(path, ignore_errors=True)


def forget_incoming(store: Store, call_id: str) -> None:
    """Deletes what a job for this call has here, or one that was killed has left."""
    for path in store.incoming.glob(f"{call_id}-*"):
        shutil.rmtree(path, ignore_errors=True)


def copy_out(store: Store, key: str, target: Path) -> None:
    """Copies a stored file to this machine, for programs that need a whole one. Raises as the store does."""
    with closing(store.open(key)) as source, target.open("xb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
