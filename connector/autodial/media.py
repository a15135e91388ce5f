"""Audio files for campaigns: converted, shown to Evrotel for a while at an unguessable address, kept by it by name."""

from __future__ import annotations

import re
import secrets
import tempfile
import threading
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from sqlalchemy import insert, select, update

from connector.calls.arrivals import new_call_id
from connector.connections.store import Connection
from connector.db import now
from connector.deployment import Deployment
from connector.evrotel.client import EvrotelClient, MediaAnswer, Verdict
from connector.models import Media, MediaState

LARGEST = 20 * 1024 * 1024
"""Bytes of an upload: two minutes of CD sound."""
SHOWN_FOR = timedelta(hours=1)
_converting = threading.BoundedSemaphore(2)


class NotTaken(Exception):
    """Evrotel has not taken the file; the message says why, for people."""


class Busy(Exception):
    """Too many files are being converted just now."""


@dataclass(frozen=True, kw_only=True)
class KeptMedia:
    """A file that Evrotel has. `mediafile` is its name there."""

    id: str
    mediafile: str
    seconds: float


def add_media(deployment: Deployment, connection: Connection, name: str, upload: IO[bytes], by: str) -> str:
    """Converts an upload and keeps it; its ID. `by` is who brought it. Raises ValueError (audio.UnfitAudio), Busy."""
    if not _converting.acquire(timeout=10):
        raise Busy
    try:
        with tempfile.NamedTemporaryFile(prefix="autodial-") as file:
            while piece := upload.read(65536):
                file.write(piece)
            file.flush()
            # numpy and soxr take 30 MB that a web process needs for nothing else.
            playable = import_module("connector.autodial.audio").to_playable(Path(file.name))
    finally:
        _converting.release()
    media_id, at = new_call_id(), now()
    row = {
        "id": media_id,
        "connection_id": connection.id,
        "name": _shown_name(name),
        "wav": playable.wav,
        "milliseconds": round(playable.seconds * 1000),
        "state": MediaState.PENDING,
        "link_nonce": secrets.token_hex(16),
        "link_expires_at": at,
        "created_by": by,
        "created_at": at,
    }
    with deployment.database.write() as db:
        db.execute(insert(Media).values(row))
    return media_id


def push_media(deployment: Deployment, connection: Connection, media_id: str) -> KeptMedia:
    """Has Evrotel fetch the file; one that it has already is left. Raises NotTaken, LookupError."""
    with deployment.database.write() as db:
        opened = update(Media).where(Media.id == media_id, Media.connection_id == connection.id)
        row = db.execute(opened.values(link_expires_at=now() + SHOWN_FOR).returning(*_COLUMNS)).first()
    if row is None:
        raise LookupError(media_id)
    if row.mediafile:
        return KeptMedia(id=media_id, mediafile=row.mediafile, seconds=row.milliseconds / 1000)
    url = f"{deployment.settings.public_url}/autodial/media/{row.link_nonce}/{file_name(row.name, media_id)}"
    answer = EvrotelClient(deployment.settings, connection).push_media(url)
    _keep(deployment, media_id, answer)
    if answer.mediafile is None:
        raise NotTaken(_why(deployment, answer))
    return KeptMedia(id=media_id, mediafile=answer.mediafile, seconds=row.milliseconds / 1000)


_COLUMNS = (Media.name, Media.mediafile, Media.milliseconds, Media.link_nonce)


def _keep(deployment: Deployment, media_id: str, answer: MediaAnswer) -> None:
    """What Evrotel said; the address is closed once it has the file."""
    changes: dict[str, Any] = {"error": answer.text[:300]}
    if answer.mediafile is not None:
        changes = {
            "state": MediaState.SAVED,
            "mediafile": answer.mediafile,
            "error": None,
            "link_expires_at": now(),
        }
    elif answer.verdict is Verdict.REFUSED:
        changes["state"] = MediaState.REFUSED
    with deployment.database.write() as db:
        db.execute(update(Media).where(Media.id == media_id).values(changes))


def _why(deployment: Deployment, answer: MediaAnswer) -> str:
    if answer.verdict is Verdict.UNREACHABLE:
        return "Evrotel could not be reached: try again later"
    said = answer.text[:100] or "nothing"
    return (
        f"Evrotel did not take the file, it said: {said}. It has to reach {deployment.settings.public_url} from outside"
    )


def shown_wav(deployment: Deployment, nonce: str) -> bytes | None:
    """The file that Evrotel may fetch at this moment, None where there is none."""
    query = select(Media.wav).where(Media.link_nonce == nonce, Media.link_expires_at > now())
    with deployment.database.read() as db:
        return db.execute(query).scalar_one_or_none()


def wav_of(deployment: Deployment, connection: Connection, media_id: str) -> bytes | None:
    """The converted file, to be listened to; None where the connection has none of this ID."""
    query = select(Media.wav).where(Media.id == media_id, Media.connection_id == connection.id)
    with deployment.database.read() as db:
        return db.execute(query).scalar_one_or_none()


def kept_media(deployment: Deployment, connection: Connection) -> list[Any]:
    """The connection's files, the newest first, without their sound."""
    columns = (Media.id, Media.name, Media.milliseconds, Media.state, Media.mediafile, Media.error, Media.created_at)
    query = select(*columns, Media.created_by).where(Media.connection_id == connection.id)
    with deployment.database.read() as db:
        return list(db.execute(query.order_by(Media.created_at.desc(), Media.id.desc())).all())


def is_mediafile(deployment: Deployment, connection: Connection, mediafile: str) -> bool:
    """Whether Evrotel can have such a file: one of ours, or one that was put into its cabinet for this account."""
    billcode = re.escape(connection.get("evrotel_billcode"))
    if re.fullmatch(rf"{billcode}_[\w.-]{{1,150}}\.wav", mediafile, re.ASCII):
        return True
    query = select(Media.id).where(Media.connection_id == connection.id, Media.mediafile == mediafile)
    with deployment.database.read() as db:
        return db.execute(query).first() is not None


def seconds_of(deployment: Deployment, connection: Connection, mediafile: str) -> float | None:
    """How long a file plays, None where it is not one of ours."""
    query = select(Media.milliseconds).where(Media.connection_id == connection.id, Media.mediafile == mediafile)
    with deployment.database.read() as db:
        found = db.execute(query.limit(1)).scalar_one_or_none()
    return None if found is None else found / 1000


def file_name(name: str, media_id: str) -> str:
    """A name of its own for each upload, since Evrotel keeps files by name: `greeting_1a2b3c4d.wav`."""
    stem = re.sub(r"[^a-z0-9]+", "_", name.rpartition(".")[0].lower(), flags=re.ASCII).strip("_")[:40]
    return f"{stem or 'message'}_{media_id[-8:]}.wav"


def _shown_name(name: str) -> str:
    """The uploaded file's own name, for people."""
    bare = re.split(r"[/\\]", name)[-1]
    return "".join(character for character in bare if character.isprintable()).strip()[:200] or "message"
