"""Withdrawing links, and forgetting the recordings of one person, who may ask for it by law."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection as SQLConnection
from sqlalchemy import or_, select, update

from connector.calls.numbers import normal_number
from connector.db import Database, now
from connector.deployment import Deployment
from connector.models import Call, Delivery, DeliveryKind, DeliveryState, Recording, RecordingState
from connector.recordings.stores import Store, clear_incoming, forget_incoming


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """How many recordings were forgotten, and why files of some could not be deleted yet."""

    count: int
    left: tuple[str, ...] = ()


def revoke(database: Database, call_ids: Sequence[str]) -> int:
    """Withdraws the links of these calls for good; how many there were. What a CRM was still to be told is given up."""
    moment = now()
    with database.write() as db:
        revoked = db.execute(
            update(Recording)
            .where(Recording.call_id.in_(call_ids), Recording.revoked_at.is_(None))
            .values(revoked_at=moment)
            .returning(Recording.call_id)
        ).scalars()
        count = len(found := list(revoked))
        _give_up(db, found, moment, "the recording's link was withdrawn")
    return count


def purge_number(deployment: Deployment, number: str) -> Forgotten:
    """Forgets the recordings of one person's calls, on every connection.

    The links die first and the files after, so that a purge that was cut short, or whose store was away, is finished by
    running it again. `number` may be spelt in any way; national spellings are read as of each connection's country.
    Raises ValueError where it is no number anywhere.
    """
    numbers = {each.id: normal_number(number, each.get("phone_region")) for each in deployment.connections.all()}
    if numbers and not any(numbers.values()):
        raise ValueError(f"{number!r} is no telephone number")
    forgotten = [row for id_, spelt in numbers.items() for row in _forget(deployment.database, id_, spelt)]
    clear_incoming(deployment.store)
    deleted, left = [], []
    for row in forgotten:
        forget_incoming(deployment.store, row.call_id)
        try:
            delete_files(deployment.store, row)
        except OSError as error:
            left.append(f"{row.call_id}: {error}")
        else:
            deleted.append(row.call_id)
    with deployment.database.write() as db:
        db.execute(update(Recording).where(Recording.call_id.in_(deleted)).values(path=None, mp3_path=None))
    return Forgotten(count=len(forgotten), left=tuple(left))


def delete_files(store: Store, recording: Any) -> None:
    """Deletes what the store has of a recording (its `path` and `mp3_path`). Raises OSError."""
    for key in filter(None, (recording.path, recording.mp3_path)):
        store.delete(key)


def _forget(database: Database, connection_id: int, number: str | None) -> Sequence[Any]:
    """The recordings that lose their links and their source now, and those whose files an earlier purge left."""
    if not number:
        return []
    moment = now()
    files = or_(Recording.path.is_not(None), Recording.mp3_path.is_not(None))
    left = or_(Recording.state != RecordingState.FORGOTTEN, files)
    theirs = (
        select(Recording.call_id, Recording.path, Recording.mp3_path)
        .join(Call, Call.id == Recording.call_id)
        .where(Recording.connection_id == connection_id, Call.client_number == number, left)
    )
    with database.write() as db:
        rows = db.execute(theirs).all()
        call_ids = [row.call_id for row in rows]
        db.execute(
            update(Recording)
            .where(Recording.call_id.in_(call_ids))
            .values(
                state=RecordingState.FORGOTTEN,
                revoked_at=moment,
                recfile="",
                waveform=None,
                mp3_due_at=None,
                owner=None,
                leased_until=None,
            )
        )
        db.execute(update(Call).where(Call.id.in_(call_ids)).values(recfile=None))
        _give_up(db, call_ids, moment, "the recording was forgotten")
    return rows


def _give_up(db: SQLConnection, call_ids: Sequence[str], moment: datetime, why: str) -> None:
    """The CRM is not given these recordings any more."""
    db.execute(
        update(Delivery)
        .where(
            Delivery.call_id.in_(call_ids),
            Delivery.kind == DeliveryKind.RECORDING,
            Delivery.state.in_((DeliveryState.WAITING, DeliveryState.PENDING, DeliveryState.DEAD)),
        )
        .values(state=DeliveryState.GIVEN_UP, settled_at=moment, error=why)
    )
