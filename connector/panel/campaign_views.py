"""One campaign: made step by step, heard on one's own phone, started, watched and steered."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, abort, flash, redirect, request, url_for
from flask_babel import gettext, lazy_gettext
from sqlalchemy import Row
from werkzeug.wrappers import Response as AnyResponse

from connector.autodial import campaigns, drafts, media
from connector.autodial.export import results_csv
from connector.autodial.numbers import MOST_BYTES, NumberList, read_numbers
from connector.connections.store import Connection
from connector.deployment import Deployment, deployment
from connector.locks import Lock, locked_by
from connector.models import CampaignStatus
from connector.panel import autodial_queries as queries
from connector.panel.access import LARGE_BODIES, guarded, panel_user
from connector.panel.autodial_forms import NewCampaignForm, OwnPhoneForm, StartForm, plan_form
from connector.panel.autodial_views import (
    PASTED,
    REJECTED_SHOWN,
    Answer,
    Rejection,
    given_numbers,
    mediafiles,
    numbers_field,
    room_page,
    seen_connection,
)
from connector.panel.autodial_words import in_words
from connector.panel.delivery_views import number_argument

blueprint = guarded(Blueprint("campaigns", __name__, url_prefix="/campaigns/<name>"))
LARGE_BODIES["campaigns.new_page"] = (MOST_BYTES + PASTED, PASTED)

_STEERS: dict[str, tuple[Callable[[Deployment, Connection, str], None], Any]] = {
    "pause": (campaigns.pause, lazy_gettext("Paused. Calls already placed will end by themselves.")),
    "resume": (campaigns.resume, lazy_gettext("The campaign goes on.")),
    "stop": (campaigns.stop, lazy_gettext("Stopped for good. Calls already placed will end by themselves.")),
}


@blueprint.route("/new", methods=["GET", "POST"])
@locked_by(Lock.SUPERVISOR)
def new_page(name: str) -> Answer:
    """Audio and numbers; the draft is made, and what of the list is left out is shown before one goes on."""
    connection, form = seen_connection(name), NewCampaignForm()
    form.mediafile.choices = mediafiles(connection)
    rejected: list[Rejection] = []
    if form.validate_on_submit():
        numbers, rejected = given_numbers(form, connection)
        refused = sorted(campaigns.not_to_be_called(deployment(), connection, numbers.numbers))
        if len(refused) == len(numbers.numbers) and not form.errors:
            numbers_field(form).errors = [gettext("There is nobody to call in this list.")]
        if not form.errors:
            return _checked_page(connection, form, numbers, refused, rejected)
    page = room_page("new", connection, form=form, rejected=rejected[:REJECTED_SHOWN])
    return (page, 400) if form.errors else page


def _checked_page(
    connection: Connection,
    form: NewCampaignForm,
    numbers: NumberList,
    refused: list[str],
    rejected: list[Rejection],
) -> str:
    campaign_id = _make_draft(connection, form, numbers, refused)
    return room_page(
        "checked",
        connection,
        campaign_id=campaign_id,
        counted=len(numbers.numbers) - len(refused),
        duplicates=numbers.duplicates,
        refused=refused,
        rejected=rejected[:REJECTED_SHOWN],
        unshown=max(len(rejected) - REJECTED_SHOWN, 0),
    )


def _make_draft(connection: Connection, form: NewCampaignForm, numbers: NumberList, refused: list[str]) -> str:
    def make(key: str) -> str:
        wanted = campaigns.NewCampaign(
            name=form["name"].data.strip(),
            mediafile=form.mediafile.data,
            by=panel_user().name,
            numbers=[number for number in numbers.numbers if number not in refused],
            skipped=refused,
            quiet_hours=drafts.PROPOSED_QUIET_HOURS,
            status=CampaignStatus.DRAFT,
            key=f"panel:{key}",
        )
        return campaigns.make_campaign(deployment(), connection, wanted)

    try:
        return make(form.key.data)
    except campaigns.OtherCampaign:  # back to the form, and on with another list
        return make(secrets.token_hex(16))


@blueprint.get("/<campaign_id>")
@locked_by(Lock.SUPERVISOR)
def campaign_page(name: str, campaign_id: str) -> str:
    connection, row = _seen(name, campaign_id)
    return _campaign_page(connection, row)


@blueprint.get("/<campaign_id>/progress")
@locked_by(Lock.SUPERVISOR)
def progress(name: str, campaign_id: str) -> str:
    """The part of the page that changes by itself."""
    connection, row = _seen(name, campaign_id)
    return room_page("_progress", connection, campaign=row, **_so_far(row))


def _so_far(row: Row[Any]) -> dict[str, Any]:
    """How many numbers there are by what has become of them, and when the next is called if that is not now."""
    next_at = None
    if row.status == CampaignStatus.RUNNING:
        next_at = queries.next_call_at(deployment().database, row)
    return {"counts": campaigns.counts(deployment(), row.id), "next_at": next_at}


def _campaign_page(connection: Connection, row: Row[Any], **more: Any) -> str:
    result = request.args.get("result", "")
    database = deployment().database
    files = media.kept_media(deployment(), connection)
    forms = {"test_form": OwnPhoneForm(number=row.test_number), "start_form": StartForm()}
    return room_page(
        "campaign",
        connection,
        campaign=row,
        media=next((each for each in files if each.mediafile == row.mediafile), None),
        page=queries.numbers_page(database, row.id, number_argument("after"), result),
        result=result,
        **(_so_far(row) | forms | more),
    )


@blueprint.route("/<campaign_id>/when", methods=["GET", "POST"])
@locked_by(Lock.SUPERVISOR)
def when_page(name: str, campaign_id: str) -> Answer:
    connection, row = _seen(name, campaign_id)
    form = plan_form(row, connection.zone)
    if form.validate_on_submit():
        try:
            drafts.replan(deployment(), connection, row.id, form.plan(connection.zone))
        except campaigns.NotNow as error:
            flash(in_words(error), "danger")
        return _back(name, row.id)
    page = room_page("when", connection, campaign=row, form=form)
    return (page, 400) if form.errors else page


@blueprint.post("/<campaign_id>/test")
@locked_by(Lock.SUPERVISOR)
def test(name: str, campaign_id: str) -> Answer:
    """The message is played to the user's own phone."""
    connection, row = _seen(name, campaign_id)
    form = OwnPhoneForm()
    if form.validate_on_submit():
        numbers = read_numbers([form.number.data], connection.get("phone_region"))
        if numbers.numbers:
            mine = numbers.numbers[0]
            return _done(name, row.id, lambda: campaigns.ask_for_test(deployment(), connection, row.id, mine))
        form.number.errors = [in_words(numbers.rejected[0].error)]
    return _campaign_page(connection, row, test_form=form), 400


@blueprint.post("/<campaign_id>/start")
@locked_by(Lock.SUPERVISOR)
def start(name: str, campaign_id: str) -> Answer:
    connection, row = _seen(name, campaign_id)
    form = StartForm()
    if not form.validate_on_submit():
        return _campaign_page(connection, row, start_form=form), 400
    return _done(name, row.id, lambda: campaigns.start(deployment(), connection, row.id, panel_user().name))


@blueprint.post("/<campaign_id>/discard")
@locked_by(Lock.SUPERVISOR)
def discard(name: str, campaign_id: str) -> AnyResponse:
    connection, row = _seen(name, campaign_id)
    try:
        drafts.discard(deployment(), connection, row.id)
    except campaigns.NotNow as error:
        flash(in_words(error), "danger")
        return _back(name, row.id)
    flash(gettext("The draft is thrown away."), "success")
    return redirect(url_for("autodial.campaigns_page", name=name))


@blueprint.post("/<campaign_id>/steer")
@locked_by(Lock.SUPERVISOR)
def steer(name: str, campaign_id: str) -> AnyResponse:
    """Pause, resume or stop, as the button says."""
    connection, row = _seen(name, campaign_id)
    if request.form.get("what") not in _STEERS:
        abort(400)
    change, text = _STEERS[request.form["what"]]
    return _done(name, row.id, lambda: change(deployment(), connection, row.id), str(text))


@blueprint.post("/<campaign_id>/redial-unclear")
@locked_by(Lock.SUPERVISOR)
def redial_unclear(name: str, campaign_id: str) -> AnyResponse:
    connection, row = _seen(name, campaign_id)
    try:
        count = campaigns.redial_unclear(deployment(), connection, row.id)
    except campaigns.NotNow as error:
        flash(in_words(error), "danger")
    else:
        flash(gettext("Numbers to be called again: %(count)s.", count=count), "success")
    return _back(name, row.id)


@blueprint.get("/<campaign_id>/results.csv")
@locked_by(Lock.SUPERVISOR)
def results(name: str, campaign_id: str) -> Response:
    """All numbers with their results, for spreadsheets."""
    connection, row = _seen(name, campaign_id)
    table = results_csv(campaigns.numbers_of(deployment(), row.id), connection.zone)
    headers = {"Content-Disposition": f'attachment; filename="campaign-{row.id}.csv"', "Cache-Control": "no-store"}
    return Response(table, mimetype="text/csv", headers=headers)


def _seen(name: str, campaign_id: str) -> tuple[Connection, Row[Any]]:
    connection = seen_connection(name)
    try:
        return connection, campaigns.campaign(deployment(), connection, campaign_id)
    except LookupError:
        abort(404)


def _done(name: str, campaign_id: str, change: Callable[[], None], text: str = "") -> AnyResponse:
    try:
        change()
    except campaigns.NotNow as error:
        flash(in_words(error), "danger")
    else:
        if text:
            flash(text, "success")
    return _back(name, campaign_id)


def _back(name: str, campaign_id: str) -> AnyResponse:
    return redirect(url_for("campaigns.campaign_page", name=name, campaign_id=campaign_id))
