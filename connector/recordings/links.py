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

from sqlalchemy import Row, or_, select, update

from connector.calls.numbers import normal_number
from connector.db import Database, now
from connector.deployment import Deployment
from connector.models import Call, Connection, Delivery, DeliveryKind, DeliveryState, Recording, RecordingState
from crm_adapters.registry import DESCRIPTIONS

MPEG = "audio/mpeg"
EXTENSIONS = {MPEG: "mp3", "audio/wav": "wav", "audio/ogg": "ogg"}
"""The extension of a kept file by its content type."""

_MAC_LENGTH = 43  # 32 bytes as base64 without padding
_WITHOUT_LINK = {RecordingState.MISSING, RecordingState.FORGOTTEN}
_CRM = (
    select(Connection.crm)
    .where(Connection.id == Recording.connection_id)
    .correlate(Recording)
    .scalar_subquery()
    .label("crm")
)


def link_url(deployment: Deployment, call_id: str) -> str | None:
    """The full address of a call's recording; see `link_path`."""
    path = link_path(deployment, call_id)
    return None if path is None else deployment.settings.public_url + path


def link_path(deployment: Deployment, call_id: str) -> str | None:
    """`/recordings/{signed}.wav` or `.mp3`; None where the call has no recording (any more) or its link was revoked."""
    with deployment.database.read() as db:
        row = db.execute(select(*LINK_COLUMNS).where(Recording.call_id == call_id)).mappings().first()
    return None if row is None else signed_path(deployment.settings.secret_keys, **row)


LINK_COLUMNS = (
    Recording.link_nonce,
    Recording.state,
    Recording.revoked_at,
    Recording.recfile,
    Recording.content_type,
    _CRM,
)
"""What `signed_path` needs of a recording: for those who read many calls in one query."""


def signed_path(
    keys: Sequence[str],
    *,
    link_nonce: str | None,
    state: str | None,
    revoked_at: datetime | None,
    recfile: str | None,
    content_type: str | None,
    crm: str | None,
) -> str | None:
    """The path of a recording's link, None where it has none."""
    if link_nonce is None or revoked_at is not None or state in _WITHOUT_LINK:
        return None
    extension = EXTENSIONS.get(content_type or "") or promised_extension(recfile or "", crm)
    return f"/recordings/{link_nonce}{_mac(keys[0], link_nonce)}.{extension}"


def plays_only_mp3(crm: str | None) -> bool:
    """Whether recordings are made into MP3 for this CRM."""
    description = DESCRIPTIONS.get(crm or "")
    return description is not None and description.needs_mp3


def promised_extension(recfile: str, crm: str | None) -> str:
    """What a link ends in before the file itself was seen: MP3 where the CRM plays nothing else, else the format that
    Evrotel's file name speaks of."""
    if plays_only_mp3(crm):
        return EXTENSIONS[MPEG]
    suffix = recfile.rpartition(".")[2].lower()
    return suffix if suffix in EXTENSIONS.values() else "wav"


def call_of(deployment: Deployment, signed: str) -> Row[Any] | None:
    """The recording that a link leads to, as a row of all its columns and `crm`; None where it is unknown, altered or
    revoked."""
    nonce, mac = signed[:-_MAC_LENGTH], signed[-_MAC_LENGTH:]
    # All keys are tried whichever fits, so that the time tells nothing.
    fits = [hmac.compare_digest(mac.encode(), _mac(key, nonce).encode()) for key in deployment.settings.secret_keys]
    if not any(fits):
        return None
    with deployment.database.read() as db:
        return db.execute(
            select(Recording.__table__)
            .add_columns(_CRM)
            .where(Recording.link_nonce == nonce, Recording.revoked_at.is_(None))
        ).first()


def revoke(database: Database, call_ids: Sequence[str]) -> int:
    """Withdraws the links of these calls for good; how many there were."""
    with database.write() as db:
        revoked = db.execute(
            update(Recording)
            .where(Recording.call_id.in_(call_ids), Recording.revoked_at.is_(None))
            .values(revoked_at=now())
        )
    return revoked.rowcount


def purge_number(deployment: Deployment, number: str) -> int:
    """Forgets the recordings of one person's calls, on every connection; how many there were.

    The links die first and the files after, so that a purge that was cut short is finished by running it again.
    `number` may be spelt in any way; national spellings are read as of each connection's country.
    """
    forgotten = [
        row
        for connection in deployment.connections.all()
        for row in _forget(deployment.database, connection.id, normal_number(number, connection.get("phone_region")))
    ]
    for row in forgotten:
        if row.path is not None:
            (deployment.settings.instance / row.path).unlink(missing_ok=True)
    with deployment.database.write() as db:
        db.execute(update(Recording).where(Recording.call_id.in_([row.call_id for row in forgotten])).values(path=None))
    return len(forgotten)


def _forget(database: Database, connection_id: int, number: str | None) -> Sequence[Any]:
    """The recordings that lose their links and their source now, and those whose files an earlier purge left."""
    if not number:
        return []
    moment = now()
    left = or_(Recording.state != RecordingState.FORGOTTEN, Recording.path.is_not(None))
    theirs = (
        select(Recording.call_id, Recording.path)
        .join(Call, Call.id == Recording.call_id)
        .where(Recording.connection_id == connection_id, Call.client_number == number, left)
    )
    with database.write() as db:
        rows = db.execute(theirs).all()
        call_ids = [row.call_id for row in rows]
        db.execute(
            update(Recording)
            .where(Recording.call_id.in_(call_ids))
            .values(state=RecordingState.FORGOTTEN, revoked_at=moment, recfile="", owner=None, leased_until=None)
        )
        db.execute(update(Call).where(Call.id.in_(call_ids)).values(recfile=None))
        db.execute(
            update(Delivery)
            .where(
                Delivery.call_id.in_(call_ids),
                Delivery.kind == DeliveryKind.RECORDING,
                Delivery.state.in_((DeliveryState.WAITING, DeliveryState.PENDING, DeliveryState.DEAD)),
            )
            .values(state=DeliveryState.GIVEN_UP, settled_at=moment, error="the recording was forgotten")
        )
    return rows


def _mac(key: str, nonce: str) -> str:
    derived = hashlib.sha256(b"evrotel-connector/recording-link:" + key.encode()).digest()
    mac = hmac.new(derived, nonce.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
