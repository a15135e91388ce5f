"""Runs a kept event through again, as if it came now; a rejected one has its chance after what was wrong was mended."""

from __future__ import annotations

from sqlalchemy import select

from connector.calls.arrivals import INCOMPLETE, Arrival
from connector.calls.endings import Unplaceable
from connector.deployment import Deployment
from connector.evrotel.parser import StartEvent, Unreadable, parse_event
from connector.models import InboundEvent


def replay(deployment: Deployment, event_id: int) -> str:
    """One line of what became of the event, which counts as having arrived when it first did.

    One that was accepted changes nothing: it has had its effect, and of some events a repeat can't be told from a new
    call. Raises LookupError where there is no such event and ValueError where it is rejected again.
    """
    with deployment.database.read() as db:
        kept = db.execute(
            select(
                InboundEvent.connection_id,
                InboundEvent.body,
                InboundEvent.content_type,
                InboundEvent.received_at,
                InboundEvent.reason,
                InboundEvent.call_id,
            ).where(InboundEvent.id == event_id)
        ).first()
    connection = deployment.connections.by_id(kept.connection_id) if kept else None
    if kept is None or connection is None:
        raise LookupError(f"there is no event {event_id}")
    if kept.reason is None:
        return f"event {event_id}: was accepted before, for the call {kept.call_id}"
    if kept.reason.startswith(INCOMPLETE):
        raise ValueError(f"event {event_id} is rejected again: {kept.reason}")
    arrival = Arrival(body=kept.body, content_type=kept.content_type, at=kept.received_at, event_id=event_id)
    try:
        event = parse_event(kept.body)
        if isinstance(event, StartEvent):
            taken = deployment.intake.start(connection, event, arrival, claimed_until=None)
            return f"event {event_id}: start of the call {taken.call_id}"
        return f"event {event_id}: end of the call {deployment.intake.end(connection, event, arrival)}"
    except (Unreadable, Unplaceable) as error:
        deployment.intake.reject(connection, arrival, str(error))
        raise ValueError(f"event {event_id} is rejected again: {error}") from error
