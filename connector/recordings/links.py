"""The addresses of recordings that CRMs are given: unguessable, without an end, and withdrawn one by one.

An address carries the recording's nonce and an HMAC-SHA256 of it under a key derived from SECRET_KEY
(https://www.rfc-editor.org/rfc/rfc2104). The first key signs, any of them verifies, so links outlive a rotation as long
as the former key is kept. Without the key a copy of the database gives no links away.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select, update

from connector.connections.store import Connection
from connector.deployment import Deployment
from connector.models import Call, Recording, RecordingState
from connector.recordings.addresses import RecordingsHosts, parse_hosts
from connector.settings import Settings
from crm_adapters.registry import DESCRIPTIONS

MPEG = "audio/mpeg"
EXTENSIONS = {MPEG: "mp3", "audio/wav": "wav", "audio/ogg": "ogg"}
"""The extension of a kept file by its content type."""

_MAC_LENGTH = 43  # 32 bytes as base64 without padding
_WITHOUT_LINK = {RecordingState.MISSING, RecordingState.FORGOTTEN}


LINK_COLUMNS = (
    Recording.link_nonce,
    Recording.state,
    Recording.revoked_at,
    Recording.recfile,
    Recording.content_type,
    Recording.as_mp3,
)
"""What a link is made of: for those who read many calls in one query."""


def given_url(settings: Settings, connection: Connection, **facts: Any) -> str | None:
    """What CRMs and scripts are given: our link, or Evrotel's own address where the connection passes that on.

    `facts` are LINK_COLUMNS by name. None where the call has no recording (any more) or its link was revoked.
    """
    path = signed_path(settings.secret_keys, **facts, crm=connection.crm)
    if path is None or connection.get("recordings_mode") != "link":
        return None if path is None else settings.public_url + path
    try:
        return hosts_of(settings, connection).address_of(facts["recfile"] or "")
    except ValueError:
        return None


def hosts_of(settings: Settings, connection: Connection) -> RecordingsHosts:
    """Where a connection's recordings may be asked for."""
    return RecordingsHosts(
        base=connection.get("evrotel_recordings_url"),
        others=parse_hosts(connection.get("evrotel_recordings_hosts")),
        plain_http=settings.allow_local_addresses,
    )


def signed_path(
    keys: Sequence[str],
    *,
    link_nonce: str | None,
    state: str | None,
    revoked_at: datetime | None,
    recfile: str | None,
    content_type: str | None,
    as_mp3: bool | None,
    crm: str | None,
) -> str | None:
    """The path of a recording's link, `/recordings/{signed}.wav` or `.mp3`, None where it has none."""
    if link_nonce is None or revoked_at is not None or state in _WITHOUT_LINK:
        return None
    kept = "mp3" if as_mp3 else EXTENSIONS.get(content_type or "")
    extension = kept or promised_extension(recfile or "", crm)
    return f"/recordings/{link_nonce}{_mac(keys[0], link_nonce)}.{extension}"


def plays_only_mp3(crm: str | None) -> bool:
    """Whether recordings are made into MP3 for this CRM."""
    description = DESCRIPTIONS.get(crm or "")
    return description is not None and description.needs_mp3


def promised_extension(recfile: str, crm: str | None) -> str:
    """What a link ends in before the file itself was seen: MP3 where the CRM plays nothing else, else the format that
    Evrotel's file name speaks of, as far as browsers play it."""
    suffix = recfile.rpartition(".")[2].lower()
    return "mp3" if plays_only_mp3(crm) or suffix in {"mp3", "ogg"} else "wav"


def is_ours(keys: Sequence[str], signed: str) -> bool:
    """Whether this deployment signed the link, asked without the database."""
    nonce, mac = signed[:-_MAC_LENGTH], signed[-_MAC_LENGTH:]
    # All keys are tried whichever fits, so that the time tells nothing.
    fits = [hmac.compare_digest(mac.encode(), _mac(key, nonce).encode()) for key in keys]
    return any(fits)


def call_of(deployment: Deployment, signed: str) -> Any:
    """The recording that a link leads to, as of `recording_row`; None where it is unknown, altered or revoked."""
    if not is_ours(deployment.settings.secret_keys, signed):
        return None
    nonce = signed[:-_MAC_LENGTH]
    return recording_row(deployment, Recording.link_nonce == nonce, Recording.revoked_at.is_(None))


def recording_row(deployment: Deployment, *conditions: ColumnElement[bool]) -> Any:
    """A recording's columns, and its call's `started_at` and `client_number`."""
    query = (
        select(*Recording.__table__.columns, Call.started_at, Call.client_number)
        .join(Call, Call.id == Recording.call_id)
        .where(*conditions)
    )
    with deployment.database.read() as db:
        found: Any = db.execute(query).first()
    return found


def resized(deployment: Deployment, call_id: str, size: int) -> Any:
    """The row of a recording that we do not keep, once it says that Evrotel's file has so many bytes; None as above."""
    of_call = Recording.call_id == call_id
    with deployment.database.write() as db:
        db.execute(update(Recording).where(of_call, Recording.path.is_(None)).values(size=size))
    return recording_row(deployment, of_call)


def _mac(key: str, nonce: str) -> str:
    derived = hashlib.sha256(b"evrotel-connector/recording-link:" + key.encode()).digest()
    mac = hmac.new(derived, nonce.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
