"""From rows to what an adapter is told."""

from __future__ import annotations

import copy
import ipaddress
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import aliased

from connector.callback.context import NO_MARKUP, Origin, callback_id, origin_of
from connector.calls.numbers import readable
from connector.calls.people import user_of, users, users_by_extension, users_of_line
from connector.calls.plans import TASKS_LAST
from connector.connections.store import Connection
from connector.db import now
from connector.deployment import Deployment
from connector.evrotel.parser import EndEvent, StartEvent, parse_event
from connector.models import REACHED_BY, Call, Delivery, DeliveryKind, DeliveryState, DialOrigin, InboundEvent
from connector.recordings.content import read_recording, sent_as_mp3
from connector.recordings.links import EXTENSIONS, given_url
from connector.texts import (
    AT_EXTENSION,
    CALLBACK_FAILED,
    DIAL_REASONS,
    INCOMING_RESULTS,
    MISSED,
    MISSED_ON_LINE,
    NOT_DIALLED,
    OF_CAMPAIGN,
    ON_LINE,
    REACHED,
    RESULTS,
    TASK_HINT,
    TASK_TITLE,
    in_language,
)
from crm_adapters.contract import TASK_ID, Capability, Telling
from crm_adapters.events import (
    Announced,
    CallEnded,
    CallFacts,
    CallKind,
    CallMissed,
    CallReturned,
    CallStarted,
    Direction,
    Disposition,
    EmployeeNotice,
    Event,
    Inbound,
    RecordingReady,
    WorkflowAnswer,
)

NOTES_LAST = timedelta(days=60)
"""So long an adapter may look back at what it noted on a client's calls."""


def telling_of(deployment: Deployment, connection: Connection, row: Any, seconds: float) -> Telling:
    """The telling of one delivery. `row` has the columns of `outbox.take_due`; the CRM may be asked for `seconds`."""
    return Telling(
        event=_EVENTS[row.kind](deployment, connection, row, seconds),
        progress=dict(row.progress),
        notes=copy.deepcopy(row.crm_notes or {}),  # what is no call has none
        crm_call_id=row.crm_call_id,
        crm_user_id=row.crm_user_id,
    )


def _started(deployment: Deployment, connection: Connection, row: Any, seconds: float) -> Event:
    facts = _facts(deployment, connection, row, seconds)
    return CallStarted(
        **facts,
        show_card=facts["kind"] is not CallKind.AUTODIAL,
        read_inbound=lambda: _inbound(deployment, row.call_id, StartEvent),
    )


def _ended(deployment: Deployment, connection: Connection, row: Any, seconds: float) -> Event:
    facts = _facts(deployment, connection, row, seconds)
    return CallEnded(
        **facts,
        ended_at=row.ended_at.astimezone(connection.zone),
        disposition=Disposition(row.disposition),
        billsec=row.billsec,
        reason=_reason(connection, row),
        result=" ".join(filter(None, (_result(connection, row), facts["origin"]))),
        recording_url=_recording_url(deployment, connection, row),
        earlier_notes=lambda: _earlier_notes(deployment, connection, row),
        read_inbound=lambda: _inbound(deployment, row.call_id, EndEvent),
    )


def _inbound(deployment: Deployment, call_id: str, kind: type[StartEvent | EndEvent]) -> Inbound | None:
    """Evrotel's own request that told of the call's start, or of its end."""
    query = (
        select(InboundEvent.content_type, InboundEvent.body)
        .where(InboundEvent.call_id == call_id, InboundEvent.reason.is_(None))
        .order_by(InboundEvent.id)
        .limit(20)
    )
    with deployment.database.read() as db:
        kept = db.execute(query).all()
    fitting = (each for each in kept if isinstance(parse_event(each.body), kind))
    return next((Inbound(content_type=each.content_type, body=each.body) for each in fitting), None)


def _result(connection: Connection, row: Any) -> str:
    """How the call ended and where, for people: "Missed. Line +380 44 111 22 33. Inner number 101."."""
    language = connection.get("language")
    text = RESULTS[row.disposition]
    if row.direction == Direction.INCOMING:
        text = INCOMING_RESULTS[row.disposition]
    told = [in_language(language, text, seconds=row.billsec)]
    if row.line:
        told.append(in_language(language, ON_LINE, line=readable(row.line)))
    if row.extension:
        told.append(in_language(language, AT_EXTENSION, extension=row.extension))
    told = [f"{each}." for each in told]
    return " ".join(filter(None, (*told, _reason(connection, row))))


def _recording_url(deployment: Deployment, connection: Connection, row: Any) -> str | None:
    """The link to the recording that is promised, where a CRM in the cloud can reach it."""
    settings = deployment.settings
    url = given_url(
        settings,
        connection,
        link_nonce=row.link_nonce,
        state=row.recording_state,
        revoked_at=row.revoked_at,
        recfile=row.recfile,
        content_type=row.content_type,
        as_mp3=row.as_mp3,
    )
    ours = url is not None and url.startswith(settings.public_url)
    reachable = reachable_from_outside(settings.public_url, allow_local=settings.allow_local_addresses)
    return url if reachable or not ours else None


def _earlier_notes(deployment: Deployment, connection: Connection, row: Any) -> list[dict[str, Any]]:
    """What the adapter noted on this client's calls of the last weeks besides this one, the newest first."""
    query = select(Call.crm_notes).where(
        Call.connection_id == connection.id,
        Call.client_number == row.client_number,
        Call.created_at >= now() - NOTES_LAST,
        Call.id != row.call_id,
    )
    with deployment.database.read() as db:
        kept = db.execute(query.order_by(Call.id.desc()).limit(50)).scalars()
        return [dict(notes) for notes in kept if notes]


def _facts(deployment: Deployment, connection: Connection, row: Any, seconds: float) -> dict[str, Any]:
    direction = Direction(row.direction)
    user_id = _user_of(deployment, connection, row, seconds)
    kind = CallKind(row.call_kind)
    origin = _origin(deployment, connection, row)
    needs_employees = (direction is Direction.INCOMING and not user_id) or row.kind == DeliveryKind.FINISH
    return {
        "call_id": row.call_id,
        "crm_call_id": row.crm_call_id,
        "direction": direction,
        "client_number": row.client_number or "",
        "line": row.line,
        "extension": row.extension,
        "user_id": user_id,
        "fallback_user_id": connection.get("default_user") or None,
        "started_at": row.started_at.astimezone(connection.zone),
        "create_customer": creates_customer(connection.get("create_customers"), direction, kind),
        # An autodial number that is somebody's extension is that person.
        "kind": CallKind.NORMAL if kind is CallKind.AUTODIAL and user_id else kind,
        "noted_user_id": row.crm_user_id,
        "line_user_ids": _ringing(deployment, connection, row) or users_of_line(connection, row.line),
        "employees": frozenset(user.id for user in users(deployment, connection)) if needs_employees else frozenset(),
        "origin": origin.text,
        "tags": origin.tags,
        "callid": row.callid or "",
        "campaign": row.dial_asked_by if row.dial_origin == DialOrigin.CAMPAIGN else "",
        "callback_id": callback_id(row.dial_key),
        "from_records": row.source == "records",
    }


def _whole(deployment: Deployment, connection: Connection, row: Any, seconds: float) -> CallFacts | None:
    """The call of an event that most CRMs need no more than its ID for."""
    if not connection.can(Capability.EVERY_EVENT):
        return None
    return CallFacts(**_facts(deployment, connection, row, seconds))


def _origin(deployment: Deployment, connection: Connection, row: Any) -> Origin:
    """What the call was made for, where that is worth telling: a visitor's wish on a site, or an autodial campaign."""
    language = connection.get("language")
    if row.dial_origin == DialOrigin.CAMPAIGN:
        return Origin(text=in_language(language, OF_CAMPAIGN, name=row.dial_asked_by).translate(NO_MARKUP))
    return origin_of(deployment.database, row.dial_key, language)


def _ringing(deployment: Deployment, connection: Connection, row: Any) -> tuple[str, ...]:
    """The CRM users whose phones ring for a client who asked to be called, as long as none has picked up."""
    if row.kind != DeliveryKind.START or row.call_kind != CallKind.CALLBACK or row.extension:
        return ()
    known = users_by_extension(deployment, connection)
    return tuple(dict.fromkeys(known[each] for each in row.dial_extensions or () if each in known))


def _user_of(deployment: Deployment, connection: Connection, row: Any, seconds: float) -> str | None:
    """The CRM user of the call's extension; of several with the same one the user who had the call dialled."""
    if row.dial_user_id and row.extension in (row.dial_extensions or ()):
        return str(row.dial_user_id)
    return user_of(deployment, connection, row.extension, seconds)


def _missed(deployment: Deployment, connection: Connection, row: Any, seconds: float) -> Event:
    minutes = int(connection.get("missed_call_task"))
    language, ended_at = connection.get("language"), row.ended_at.astimezone(connection.zone)
    values = {
        "number": readable(row.client_number or ""),
        "time": f"{row.started_at.astimezone(connection.zone):%d.%m %H:%M}",
    }
    text = MISSED_ON_LINE if row.line else MISSED
    if row.direction == Direction.OUTGOING:
        text = CALLBACK_FAILED
    notice = in_language(language, text, **values, line=readable(row.line or ""))
    facts = _facts(deployment, connection, row, seconds)
    return CallMissed(
        **facts | {"employees": frozenset(user.id for user in users(deployment, connection))},
        notice=notice,
        title=in_language(language, TASK_TITLE, **values),
        text=" ".join(filter(None, (f"{notice}.", facts["origin"], in_language(language, TASK_HINT)))),
        deadline=ended_at + timedelta(minutes=minutes) if minutes else None,
        earlier_task_id=_earlier_task_id(deployment, connection, row),
        missed_at=ended_at,
    )


def _earlier_task_id(deployment: Deployment, connection: Connection, row: Any) -> str | None:
    """The CRM's ID of the task of an earlier missed call of this client, who has not been reached since."""
    done = aliased(Delivery)
    returned = select(done.id).where(done.call_id == Call.id, done.kind == DeliveryKind.RETURNED)
    with deployment.database.read() as db:
        kept = db.execute(
            select(Delivery.progress)
            .join(Call, Call.id == Delivery.call_id)
            .where(
                Call.connection_id == connection.id,
                Call.client_number == row.client_number,
                Call.created_at >= now() - TASKS_LAST,
                Call.id != row.call_id,
                Delivery.kind == DeliveryKind.TASK,
                Delivery.state == DeliveryState.DONE,
                ~returned.exists(),
            )
            .order_by(Delivery.id.desc())
        ).scalars()
        return next((str(progress[TASK_ID]) for progress in kept if progress.get(TASK_ID)), None)


def _returned(deployment: Deployment, connection: Connection, row: Any, seconds: float) -> Event:
    with deployment.database.read() as db:
        progress = db.execute(
            select(Delivery.progress).where(Delivery.call_id == row.call_id, Delivery.kind == DeliveryKind.TASK)
        ).scalar_one_or_none()
    return CallReturned(
        call_id=row.call_id,
        crm_call_id=row.crm_call_id,
        task_id=(progress or {}).get(TASK_ID),
        result=in_language(connection.get("language"), REACHED),
        call=_whole(deployment, connection, row, seconds),
        by_call_id=row.progress.get(REACHED_BY, ""),
    )


def _notice(_: Deployment, connection: Connection, row: Any, __: float) -> Event:
    number = readable(row.client_number) if row.client_number else "?"
    text = in_language(connection.get("language"), NOT_DIALLED, number=number, reason=_reason(connection, row))
    return EmployeeNotice(call_id=row.call_id, crm_call_id=row.crm_call_id, user_id=row.dial_user_id, text=text)


def _workflow(_: Deployment, connection: Connection, row: Any, __: float) -> Event:
    text = in_language(connection.get("language"), RESULTS[row.disposition], seconds=row.billsec)
    return WorkflowAnswer(
        call_id=row.call_id,
        crm_call_id=row.crm_call_id,
        ticket=row.dial_key,
        disposition=Disposition(row.disposition),
        billsec=row.billsec,
        text=" ".join(filter(None, (f"{text}.", _reason(connection, row)))),
    )


def _reason(connection: Connection, row: Any) -> str:
    """Why a call that was asked for was not dialled, for people; empty where it was."""
    return in_language(connection.get("language"), DIAL_REASONS[row.dial_reason]) if row.dial_reason else ""


def creates_customer(rule: str, direction: Direction, kind: CallKind = CallKind.NORMAL) -> bool:
    """Whether the CRM may make a lead or contact of an unknown number; `rule` is none, incoming or all.

    A client who asked to be called has come to us, as one who calls has.
    """
    by_client = direction is Direction.INCOMING or kind is CallKind.CALLBACK
    return rule == "all" or (rule == "incoming" and by_client)


def _recording(deployment: Deployment, connection: Connection, row: Any, seconds: float) -> Event:
    kept = "mp3" if row.as_mp3 else EXTENSIONS.get(row.content_type, "wav")
    mp3 = sent_as_mp3(row.content_type, row.recording_size, row.as_mp3)
    return RecordingReady(
        call_id=row.call_id,
        crm_call_id=row.crm_call_id,
        url=_recording_url(deployment, connection, row),
        filename=_filename(connection, row, kept),
        content_filename=_filename(connection, row, "mp3" if mp3 else kept),
        read_content=lambda: read_recording(deployment, row.call_id),
        seconds=None if row.recording_milliseconds is None else row.recording_milliseconds / 1000,
        call=_whole(deployment, connection, row, seconds),
    )


def _announced(_: Deployment, connection: Connection, row: Any, __: float) -> Event:
    return Announced(
        # By what it is of, not by its row: numbers of rows come again, and who has seen one takes it for a repeat.
        id=f"{row.announced}-{row.announced_key}".replace(".", "-"),
        name=row.announced,
        at=row.announced_at.astimezone(connection.zone),
        data=dict(row.announced_data),
    )


def _filename(connection: Connection, row: Any, extension: str) -> str:
    return f"{row.started_at.astimezone(connection.zone):%Y-%m-%d_%H-%M-%S}_{row.call_id[-8:]}.{extension}"


def reachable_from_outside(public_url: str, *, allow_local: bool) -> bool:
    """Whether a CRM in the cloud can fetch from our address; else recordings go to it as content."""
    parts = urlsplit(public_url)
    if allow_local:
        return True
    try:
        return parts.scheme == "https" and ipaddress.ip_address(parts.hostname or "").is_global
    except ValueError:
        return parts.scheme == "https" and "." in (parts.hostname or "") and parts.hostname != "localhost"


_EVENTS: Mapping[str, Callable[[Deployment, Connection, Any, float], Event]] = {
    DeliveryKind.START: _started,
    DeliveryKind.FINISH: _ended,
    DeliveryKind.RECORDING: _recording,
    DeliveryKind.TASK: _missed,
    DeliveryKind.RETURNED: _returned,
    DeliveryKind.NOTICE: _notice,
    DeliveryKind.WORKFLOW: _workflow,
    DeliveryKind.ANNOUNCEMENT: _announced,
}
