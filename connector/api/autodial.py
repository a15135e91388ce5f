"""The autodial by the HTTP API: audio files, campaigns, and what has become of each number."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import abort

from connector.api import autodial_schemas as schemas
from connector.api import problems
from connector.api.blueprint import LARGE_BODIES, not_found, opened_by, opened_connection, serves
from connector.api.click_to_call import NO_BILLCODE
from connector.api.schemas import IdempotencyKey
from connector.autodial import campaigns, do_not_call, media
from connector.autodial.answers import REDIALLED
from connector.autodial.hours import parse_holidays
from connector.autodial.numbers import NumberList, read_numbers
from connector.connections.store import Connection
from connector.deployment import Deployment, deployment

LARGE_BODIES["api.add_media"] = media.LARGEST + 65536
LARGE_BODIES["api.create_campaign"] = 4 * 1024 * 1024


@serves(
    "POST",
    "/autodial/media",
    files=schemas.MediaFile,
    answer=schemas.MediaAdded,
    status=201,
    refusals=(409, 502),
)
def add_media(files: dict[str, Any]) -> dict[str, Any]:
    """Converts an audio file, and has Evrotel fetch it."""
    connection, upload = opened_connection(), files["file"]
    _needs_billcode(connection)
    try:
        name = upload.filename or "message"
        media_id = media.add_media(deployment(), connection, name, upload.stream, _by())
        kept = media.push_media(deployment(), connection, media_id)
    except ValueError as error:
        abort(problems.problem(422, "This file can't be played", errors={"file": [str(error)]}))
    except media.Busy:
        text = "Other files are being converted just now: try again in a moment"
        abort(problems.problem(503, text, headers={"Retry-After": "10"}))
    except media.NotTaken as error:
        abort(problems.problem(502, str(error)))
    return {"id": kept.id, "mediafile": kept.mediafile, "seconds": round(kept.seconds, 2)}


@serves(
    "POST",
    "/autodial/campaigns",
    body=schemas.CampaignWanted,
    headers=IdempotencyKey,
    answer=schemas.NewCampaignSchema,
    status=201,
    refusals=(409, 502),
)
def create_campaign(wanted: dict[str, Any], headers: dict[str, Any]) -> dict[str, Any]:
    """Plays a file to numbers, or has Evrotel play it to its own list; it begins at once."""
    connection = opened_connection()
    _needs_billcode(connection)
    if not media.is_mediafile(deployment(), connection, wanted["mediafile"]):
        _wrong("mediafile", "Evrotel has no such file of this connection: add it by autodial/media first")
    numbers = read_numbers(wanted["numbers"] or (), connection.get("phone_region"))
    if wanted["numbers"] is not None and not numbers.numbers:
        errors = {"numbers": [f"{each.index}: {each.error}" for each in numbers.rejected[:20]] or ["the list is empty"]}
        abort(problems.problem(422, "There is nobody to call in this list", errors=errors))
    refused = campaigns.not_to_be_called(deployment(), connection, numbers.numbers)
    new = _new_campaign(connection, wanted, numbers, refused, headers.get("key"))
    try:
        campaign_id = campaigns.make_campaign(deployment(), connection, new)
    except campaigns.Refused as error:
        abort(problems.problem(502, str(error)))
    except campaigns.OtherCampaign:
        abort(problems.problem(422, "This Idempotency-Key was used before, for another campaign: use a new one"))
    return _json(connection, campaigns.campaign(deployment(), connection, campaign_id)) | {
        "rejected": [vars(each) for each in numbers.rejected],
        "duplicates": list(numbers.duplicates),
        "do_not_call": sorted(refused),
    }


def _new_campaign(
    connection: Connection, wanted: dict[str, Any], numbers: NumberList, refused: set[str], key: str | None
) -> campaigns.NewCampaign:
    test_number = None
    if wanted["test_number"] is not None:
        test = read_numbers([wanted["test_number"]], connection.get("phone_region"))
        if test.rejected:
            _wrong("test_number", test.rejected[0].error)
        test_number = test.numbers[0]
    plain = ("mediafile", "chnum", "attempts", "retry_seconds", "pause_seconds", "starts_at", "ends_at")
    return campaigns.NewCampaign(
        **{name: wanted[name] for name in plain},
        name=wanted["name"] or wanted["mediafile"],
        by=_by(),
        numbers=[number for number in numbers.numbers if number not in refused],
        skipped=sorted(refused),
        redial=tuple(str(each) for each in REDIALLED) if wanted["redial"] is None else wanted["redial"],
        quiet_hours=wanted["quiet_hours"] or None,
        holidays=parse_holidays(wanted["holidays"]),
        test_number=test_number,
        key=f"api:{key}"[:200] if key else None,
    )


@serves("GET", "/autodial/campaigns", answer=schemas.Campaigns)
def list_campaigns() -> dict[str, Any]:
    """All campaigns, newest first."""
    connection = opened_connection()
    return {"items": [_json(connection, row) for row in campaigns.campaigns(deployment(), connection)]}


@serves("GET", "/autodial/campaigns/<campaign_id>", answer=schemas.CampaignWithNumbers)
def show_campaign(campaign_id: str) -> dict[str, Any]:
    """A campaign, and what has become of each number."""
    connection = opened_connection()
    found = _json(connection, _found(connection, campaign_id))
    numbers = [
        {
            "number": row.number,
            "state": row.state,
            "result": row.result,
            "tries": row.tries,
            "billsec": row.billsec,
            "call": row.call_id,
        }
        for row in campaigns.numbers_of(deployment(), campaign_id)
    ]
    return found | {"numbers": numbers}


@serves("POST", "/autodial/campaigns/<campaign_id>/pause", answer=schemas.CampaignSchema, refusals=(409,))
def pause_campaign(campaign_id: str) -> dict[str, Any]:
    """No further call begins; those placed end by themselves."""
    return _steered(campaigns.pause, campaign_id)


@serves("POST", "/autodial/campaigns/<campaign_id>/resume", answer=schemas.CampaignSchema, refusals=(409,))
def resume_campaign(campaign_id: str) -> dict[str, Any]:
    """Goes on after a pause."""
    return _steered(campaigns.resume, campaign_id)


@serves("POST", "/autodial/campaigns/<campaign_id>/stop", answer=schemas.CampaignSchema, refusals=(409,))
def stop_campaign(campaign_id: str) -> dict[str, Any]:
    """Ends it for good; calls already placed end by themselves."""
    return _steered(campaigns.stop, campaign_id)


@serves("POST", "/autodial/campaigns/<campaign_id>/redial-unclear", answer=schemas.Redialled, refusals=(409,))
def redial_unclear(campaign_id: str) -> dict[str, int]:
    """Calls those again of whom nobody knows whether they were called."""
    connection = opened_connection()
    _found(connection, campaign_id)
    try:
        return {"redialled": campaigns.redial_unclear(deployment(), connection, campaign_id)}
    except campaigns.NotNow as error:
        abort(problems.problem(409, str(error)))


@serves("GET", "/autodial/do-not-call", answer=schemas.NotToCall)
def list_not_to_call() -> dict[str, Any]:
    """Numbers that no campaign calls, newest first."""
    rows = do_not_call.listed(deployment().database, opened_connection())
    return {"items": [{name: getattr(row, name) for name in ("number", "reason", "created_by")} for row in rows]}


@serves("POST", "/autodial/do-not-call", body=schemas.NumbersNotToCall, answer=schemas.Added)
def add_not_to_call(wanted: dict[str, Any]) -> dict[str, int]:
    """Puts numbers on the list: running campaigns leave them out from now on."""
    connection = opened_connection()
    numbers = read_numbers(wanted["numbers"], connection.get("phone_region"))
    if numbers.rejected:
        _wrong("numbers", f"{numbers.rejected[0].index}: {numbers.rejected[0].error}")
    return {"added": do_not_call.add(deployment().database, connection, numbers.numbers, wanted["reason"], _by())}


@serves("DELETE", "/autodial/do-not-call/<number>", answer=schemas.Removed)
def remove_not_to_call(number: str) -> dict[str, str]:
    """Takes a number off the list."""
    connection = opened_connection()
    found = read_numbers([number], connection.get("phone_region"))
    if not found.numbers or not do_not_call.remove(deployment().database, connection, found.numbers[0]):
        not_found("number on its do-not-call list")
    return {"removed": found.numbers[0]}


def _steered(change: Callable[[Deployment, Connection, str], None], campaign_id: str) -> dict[str, Any]:
    connection = opened_connection()
    _found(connection, campaign_id)
    try:
        change(deployment(), connection, campaign_id)
    except campaigns.NotNow as error:
        abort(problems.problem(409, str(error)))
    return _json(connection, campaigns.campaign(deployment(), connection, campaign_id))


def _found(connection: Connection, campaign_id: str) -> Any:
    if not campaign_id.isalnum():  # PostgreSQL takes no NUL in a text
        not_found("campaign")
    try:
        return campaigns.campaign(deployment(), connection, campaign_id)
    except LookupError:
        not_found("campaign")


def _json(connection: Connection, row: Any) -> dict[str, Any]:
    def text(moment: datetime | None) -> str | None:
        return None if moment is None else connection.local(moment)

    plain = ("id", "name", "status", "mediafile", "chnum", "attempts", "retry_seconds", "pause_seconds")
    return {name: getattr(row, name) for name in (*plain, "quiet_hours", "test_number", "by_evrotel", "error")} | {
        "created_at": text(row.created_at),
        "started_at": text(row.started_at),
        "finished_at": text(row.finished_at),
        "counts": campaigns.counts(deployment(), row.id),
    }


def _needs_billcode(connection: Connection) -> None:
    if not connection.get("evrotel_billcode"):
        abort(problems.problem(409, NO_BILLCODE))


def _wrong(name: str, text: str) -> None:
    abort(problems.problem(422, "Some parameters are wrong", errors={name: [text]}))


def _by() -> str:
    key = opened_by()
    return key.name or f"API {key.key_id}"
