"""The list of calls and one call."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from sqlalchemy import Row
from werkzeug.wrappers import Response

from connector.connections.store import Connection
from connector.deployment import deployment
from connector.locks import Lock, locked_by
from connector.panel import queries
from connector.panel.access import PanelUser, guarded, panel_user
from connector.panel.bodies import readable
from connector.recordings.listening import may_listen, plays_of
from connector.recordings.waveforms import drawing

blueprint = guarded(Blueprint("calls", __name__))
LONGEST_NAME = 200


@blueprint.get("/")
@locked_by(Lock.SESSION)
def calls_page() -> str:
    return render_template("panel/calls.html", **calls_context())


@blueprint.get("/calls/<call_id>")
@locked_by(Lock.SESSION)
def call_page(call_id: str) -> str:
    call, connection = seen_call(call_id)
    user = panel_user()
    return render_template(
        "panel/call.html",
        call=call,
        connection=connection,
        zone=connection.zone,
        deliveries=queries.deliveries_of(deployment().database, call.id),
        dial=queries.dial_of(deployment().database, call.id),
        asked=queries.asked_on_site(deployment().database, call.id),
        events=_events(call, connection, user),
        wave=drawing(call.recording_waveform),
        may_listen=may_listen(connection, user.role),
        plays=plays_of(deployment().database, call.id) if user.sees_payloads else [],
    )


@blueprint.post("/calls/<call_id>/customer")
@locked_by(Lock.SESSION)
def name_customer(call_id: str) -> Response:
    call, _ = seen_call(call_id)
    name = " ".join(request.form.get("name", "").split())
    if not call.client_number or len(name) > LONGEST_NAME:
        abort(400)
    queries.name_customer(deployment().database, call.connection_id, call.client_number, name)
    flash(gettext("The customer's name is saved."), "success")
    return redirect(url_for("calls.call_page", call_id=call.id))


def calls_context() -> dict[str, Any]:
    """What the list shows by the request's `connection` and `cursor`. Wrong ones answer 400 and 404."""
    user = panel_user()
    connections = seen_connections(user)
    chosen = request.args.get("connection", "")
    connection = next((each for each in connections if each.name == chosen), None)
    if chosen and connection is None:
        abort(404)
    if len(connections) == 1:
        connection = connections[0]  # the database's index begins with the connection
    page = queries.calls_page(
        deployment().database, user.scope, connection.id if connection else None, _position(request.args.get("cursor"))
    )
    return {
        "page": page,
        "connections": connections,
        "chosen": chosen,
        "names": {each.id: each.name for each in connections},
        "zones": {each.id: each.zone for each in connections},
    }


def seen_connections(user: PanelUser) -> list[Connection]:
    """The connections whose calls the user may see."""
    bound = user.scope.connection_id
    return [each for each in deployment().connections.all() if bound in {None, each.id}]


def _position(text: str | None) -> queries.Position | None:
    if not text:
        return None
    try:
        return queries.Position.parse(text)
    except ValueError:
        abort(400)


def seen_call(call_id: str) -> tuple[Row[Any], Connection]:
    """The call with its connection. Answers 404 where the user sees none of this ID."""
    call = queries.call_row(deployment().database, panel_user().scope, call_id)
    connection = deployment().connections.by_id(call.connection_id) if call else None
    if call is None or connection is None:
        abort(404)
    return call, connection


def _events(call: Row[Any], connection: Connection, user: PanelUser) -> list[tuple[Row[Any], str]]:
    if not user.sees_payloads:
        return []
    return [(event, readable(event.body, connection)) for event in queries.events_of(deployment().database, call.id)]
