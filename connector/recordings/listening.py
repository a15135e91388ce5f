"""Who may listen to recordings as a person, and who did: in the panel by their session, in a CRM's frame by a pass in
the address that names call and listener and ends after some hours. (CRMs and scripts have links: links.py.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Literal

from itsdangerous import BadData, URLSafeTimedSerializer
from sqlalchemy import insert, select

from connector.connections.store import Connection
from connector.db import Database, now
from connector.models import RecordingPlay, Role

LASTS_SECONDS = 4 * 3600
ONE_SITTING = timedelta(minutes=10)
"""A player asks for many parts: for so long all of one listener's requests are one listening."""
_RANKS = {Role.AGENT: 0, Role.SUPERVISOR: 1, Role.ADMIN: 2}
_SALT = "listening"
_LONGEST_NAME = 200

Way = Literal["panel", "frame", "download"]


@dataclass(frozen=True, kw_only=True)
class ListeningPass:
    """Who may hear which call's recording."""

    call_id: str
    listener: str


def may_listen(connection: Connection, role: Role) -> bool:
    """Whether users of this role may hear the recordings of calls that they see."""
    return _RANKS[role] >= _RANKS[Role(connection.get("recordings_for"))]


def sign_listening(keys: Sequence[str], given: ListeningPass) -> str:
    """The pass as a part of an address; `keys` are the deployment's, the present one first."""
    signed = _serializer(keys).dumps(asdict(given))
    return signed if isinstance(signed, str) else signed.decode()


def read_listening(keys: Sequence[str], token: str) -> ListeningPass | None:
    """The pass, None where the token is not ours or too old."""
    try:
        return ListeningPass(**_serializer(keys).loads(token, max_age=LASTS_SECONDS))
    except (BadData, TypeError):
        return None


def note_play(database: Database, call_id: str, listener: str, way: Way) -> None:
    """Writes down that somebody listens, unless that is a part of a listening which is written down already."""
    listener = listener[:_LONGEST_NAME]
    moment = now()
    same = select(RecordingPlay.id).where(
        RecordingPlay.call_id == call_id,
        RecordingPlay.listener == listener,
        RecordingPlay.way == way,
        RecordingPlay.at > moment - ONE_SITTING,
    )
    with database.read() as db:
        if db.execute(same).first() is not None:
            return
    with database.write() as db:
        if db.execute(same).first() is None:
            db.execute(insert(RecordingPlay).values(call_id=call_id, listener=listener, way=way, at=moment))


def plays_of(database: Database, call_id: str, limit: int = 50) -> Sequence[Any]:
    """Who listened to a call's recording: `listener`, `way`, `at`, the latest first."""
    query = select(RecordingPlay.listener, RecordingPlay.way, RecordingPlay.at).where(RecordingPlay.call_id == call_id)
    with database.read() as db:
        rows: Sequence[Any] = db.execute(query.order_by(RecordingPlay.id.desc()).limit(limit)).all()
    return rows


def _serializer(keys: Sequence[str]) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(list(reversed(keys)), salt=_SALT)  # itsdangerous signs with the last one
