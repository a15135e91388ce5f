"""The autodial's room: a connection's campaigns, its audio files, who must not be called, Evrotel's own list."""

from __future__ import annotations

from typing import Any, NamedTuple

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as AnyResponse
from wtforms import SelectChoice

from connector.autodial import campaigns, do_not_call, media
from connector.autodial.numbers import MOST_BYTES, NumberList, entries_of_file, read_numbers
from connector.connections.store import Connection
from connector.deployment import deployment
from connector.locks import Lock, locked_by
from connector.panel import autodial_queries as queries
from connector.panel.access import LARGE_BODIES, guarded, panel_user
from connector.panel.autodial_forms import AudioForm, DoNotCallForm, EvrotelsListForm
from connector.panel.autodial_words import in_words
from connector.panel.call_views import seen_connections
from connector.panel.language import clock

blueprint = guarded(Blueprint("autodial", __name__, url_prefix="/campaigns"))
Answer = str | AnyResponse | tuple[str, int]

PASTED = 1024 * 1024
LARGE_BODIES["autodial.audio_page"] = (media.LARGEST + PASTED, PASTED)
LARGE_BODIES["autodial.do_not_call_page"] = (MOST_BYTES + PASTED, PASTED)


REJECTED_SHOWN = 200


class Rejection(NamedTuple):
    """What of a list can't be called: its line, its text, and why in the panel's language."""

    line: int
    value: str
    error: str


@blueprint.get("")
@locked_by(Lock.SUPERVISOR)
def autodial_page() -> Answer:
    """To the campaigns of the only connection, or to a choice of them."""
    connections = seen_connections(panel_user())
    if len(connections) == 1:
        return redirect(url_for("autodial.campaigns_page", name=connections[0].name))
    return render_template("panel/autodial/connections.html", connections=connections)


@blueprint.get("/<name>")
@locked_by(Lock.SUPERVISOR)
def campaigns_page(name: str) -> str:
    connection = seen_connection(name)
    before = request.args.get("before", "")
    page = queries.campaigns_page(deployment().database, connection, before if before.isalnum() else None)
    return room_page(
        "campaigns",
        connection,
        page=page,
        progress=queries.progress_of(deployment().database, [row.id for row in page.rows]),
    )


@blueprint.route("/<name>/audio", methods=["GET", "POST"])
@locked_by(Lock.SUPERVISOR)
def audio_page(name: str) -> Answer:
    """The audio files; a new one is converted and shown to Evrotel at once."""
    connection, form = seen_connection(name), AudioForm()
    if form.validate_on_submit():
        try:
            upload = form.file.data
            media_id = media.add_media(deployment(), connection, upload.filename, upload.stream, panel_user().name)
        except ValueError as error:
            form.file.errors = [in_words(error)]
        except media.Busy:
            form.file.errors = [gettext("Other files are being converted just now: try again in a moment.")]
        else:
            return _push(connection, media_id)
    page = room_page("audio", connection, form=form, files=media.kept_media(deployment(), connection))
    return (page, 400) if form.errors else page


@blueprint.get("/<name>/audio/<media_id>.wav")
@locked_by(Lock.SUPERVISOR)
def listen(name: str, media_id: str) -> Response:
    """The converted file, as clients will hear it."""
    wav = media.wav_of(deployment(), seen_connection(name), media_id)
    if wav is None:
        abort(404)
    response = Response(wav, mimetype="audio/wav", headers={"Cache-Control": "private, max-age=3600"})
    response.make_conditional(request.environ, accept_ranges=True, complete_length=len(wav))
    return response


@blueprint.post("/<name>/audio/<media_id>/push")
@locked_by(Lock.SUPERVISOR)
def push(name: str, media_id: str) -> AnyResponse:
    return _push(seen_connection(name), media_id)


def _push(connection: Connection, media_id: str) -> AnyResponse:
    if not connection.get("evrotel_billcode"):
        flash(gettext("The file is converted. Evrotel gets it when the connection's billcode is set."), "warning")
        return redirect(url_for("autodial.audio_page", name=connection.name))
    try:
        kept = media.push_media(deployment(), connection, media_id)
    except LookupError:
        abort(404)
    except media.NotTaken as error:
        flash(in_words(error), "danger")
    else:
        flash(gettext("Evrotel has the file as %(name)s.", name=kept.mediafile), "success")
    return redirect(url_for("autodial.audio_page", name=connection.name))


@blueprint.route("/<name>/do-not-call", methods=["GET", "POST"])
@locked_by(Lock.SUPERVISOR)
def do_not_call_page(name: str) -> Answer:
    connection, form = seen_connection(name), DoNotCallForm()
    rejected: list[Rejection] = []
    if form.validate_on_submit():
        given, rejected = given_numbers(form, connection)
        reason = (form.reason.data or "").strip()
        added = do_not_call.add(deployment().database, connection, given.numbers, reason, panel_user().name)
        flash(gettext("Numbers added: %(count)s.", count=added), "success")
        if not rejected and not form.errors:
            return redirect(url_for("autodial.do_not_call_page", name=name))
    found = "".join(character for character in request.args.get("number", "") if character.isdecimal())[:20]
    page = queries.do_not_call_page(deployment().database, connection, found, request.args.get("after"))
    shown = room_page("do-not-call", connection, form=form, page=page, found=found, rejected=rejected[:REJECTED_SHOWN])
    return (shown, 400) if form.errors or rejected else shown


@blueprint.post("/<name>/do-not-call/remove")
@locked_by(Lock.SUPERVISOR)
def may_be_called_again(name: str) -> AnyResponse:
    connection, number = seen_connection(name), request.form.get("number", "")
    if do_not_call.remove(deployment().database, connection, number):
        flash(gettext("%(number)s may be called again.", number=number), "success")
    return redirect(url_for("autodial.do_not_call_page", name=name))


@blueprint.route("/<name>/evrotels-list", methods=["GET", "POST"])
@locked_by(Lock.SUPERVISOR)
def evrotels_list(name: str) -> Answer:
    """Has Evrotel call the list that is in its own cabinet."""
    connection, form = seen_connection(name), EvrotelsListForm()
    form.mediafile.choices = mediafiles(connection)
    if form.validate_on_submit():
        by = panel_user().name
        wanted = campaigns.NewCampaign(
            name=form["name"].data.strip(),
            mediafile=form.mediafile.data,
            chnum=form.chnum.data,
            by=by,
            consent_by=by,
            key=f"panel:{form.key.data}",
        )
        try:
            campaigns.make_campaign(deployment(), connection, wanted)
        except campaigns.Refused as error:
            form.mediafile.errors = [in_words(error)]
        except campaigns.OtherCampaign:
            abort(400)
        else:
            flash(gettext("Evrotel has begun to call its list."), "success")
            return redirect(url_for("autodial.campaigns_page", name=name))
    page = room_page("evrotels", connection, form=form)
    return (page, 400) if form.errors else page


def seen_connection(name: str) -> Connection:
    """The connection as it is now, if the user sees it. Answers 404."""
    seen = next((each for each in seen_connections(panel_user()) if each.name == name), None)
    connection = deployment().connections.by_id(seen.id) if seen else None
    if connection is None:
        abort(404)
    return connection


def mediafiles(connection: Connection) -> list[SelectChoice]:
    """The files that Evrotel has: its name for each, and ours."""
    files = media.kept_media(deployment(), connection)
    return [
        SelectChoice(row.mediafile, f"{row.name} ({clock(row.milliseconds // 1000)})") for row in files if row.mediafile
    ]


def given_numbers(form: Any, connection: Connection) -> tuple[NumberList, list[Rejection]]:
    """What stands in the form's file, or else in its text, and what of it can't be called. A file that can't be read is
    an error of the form's and gives no numbers."""
    content = form.file.data.stream.read() if form.file.data else (form.numbers.data or "").encode(errors="replace")
    region = connection.get("phone_region")
    try:
        entries = entries_of_file(content, region)
    except ValueError as error:
        numbers_field(form).errors = [in_words(error)]
        entries = []
    found = read_numbers((text for _, text in entries), region)
    return found, [Rejection(entries[each.index][0], each.value, in_words(each.error)) for each in found.rejected]


def numbers_field(form: Any) -> Any:
    """The field that the numbers came by."""
    return form.file if form.file.data else form.numbers


def room_page(tab: str, connection: Connection, **more: Any) -> str:
    """A page of the room, under the connection's tabs."""
    return render_template(
        f"panel/autodial/{tab.replace('-', '_')}.html",
        tab=tab,
        connection=connection,
        zone=connection.zone,
        several=len(seen_connections(panel_user())) > 1,
        in_words=in_words,
        **more,
    )
