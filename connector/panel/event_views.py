"""What Evrotel sent, rejected requests first, and running it through again."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from connector.calls.replay import replay
from connector.deployment import deployment
from connector.locks import Lock, locked_by
from connector.panel import queries
from connector.panel.access import guarded
from connector.panel.bodies import readable
from connector.panel.delivery_views import number_argument

blueprint = guarded(Blueprint("events", __name__))


@blueprint.get("/events")
@locked_by(Lock.ADMIN)
def events_page() -> str:
    everything = request.args.get("show") == "all"
    page = queries.events_page(deployment().database, rejected_only=not everything, before=number_argument("before"))
    connections = {each.id: each for each in deployment().connections.all()}
    return render_template(
        "panel/events.html",
        page=page,
        everything=everything,
        connections=connections,
        bodies={event.id: readable(event.body, connections.get(event.connection_id)) for event in page.rows},
    )


@blueprint.post("/events/<int(max=999999999999999999):event_id>/replay")
@locked_by(Lock.ADMIN)
def replay_event(event_id: int) -> Response:
    if not queries.event_exists(deployment().database, event_id):
        abort(404)
    try:
        flash(replay(deployment(), event_id), "success")
    except ValueError as rejected:
        flash(str(rejected), "warning")
    return redirect(url_for("events.events_page", show=request.form.get("show") or None))
