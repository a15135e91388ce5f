"""The call-back button in the panel: what to put into a site, how it looks, who asked for calls, what was refused."""

from __future__ import annotations

from flask import Blueprint, abort, redirect, render_template, url_for
from limits.errors import StorageError
from werkzeug.wrappers import Response

from connector.callback.button import Button, button_of
from connector.callback.fields import site_of
from connector.callback.limits import Brake, Exceeded
from connector.callback.progress import latest_requests, shown_state
from connector.callback.refusals import refusals_of
from connector.connections.store import Connection
from connector.deployment import deployment
from connector.locks import Lock, locked_by
from connector.models import Role
from connector.panel.access import guarded, panel_user
from connector.panel.call_views import seen_connections

blueprint = guarded(Blueprint("callback_panel", __name__))


@blueprint.get("/call-back")
@locked_by(Lock.SESSION)
def buttons_page() -> str | Response:
    """The buttons of the connections that the user sees; the only one's page at once."""
    connections = _connections()
    if len(connections) == 1:
        return redirect(url_for("callback_panel.button_page", name=connections[0].name))
    origins = {each.id: button_of(each).origins for each in connections}
    return render_template("panel/callback_buttons.html", connections=connections, origins=origins)


@blueprint.get("/call-back/<name>")
@locked_by(Lock.SESSION)
def button_page(name: str) -> str:
    connection = next((each for each in _connections() if each.name == name), None)
    if connection is None:
        abort(404)
    here = deployment()
    button = button_of(connection)
    stopped, counted = _stopped(connection, button)
    own_site = site_of(here.settings.public_url)
    return render_template(
        "panel/callback.html",
        connection=connection,
        button=button,
        zone=connection.zone,
        script=f"{here.settings.public_url}/callback/{connection.name}.js",
        own_site=own_site,
        may_call_here=own_site in button.origins,
        rows=[(row, shown_state(row)) for row in latest_requests(here, connection)],
        refusals=refusals_of(here.database, connection.id),
        stopped=stopped,
        counted=counted,
    )


def _connections() -> list[Connection]:
    """Those whose settings and clients the user may see all of."""
    user = panel_user()
    if user.role is Role.AGENT:
        abort(403)
    return seen_connections(user)


def _stopped(connection: Connection, button: Button) -> tuple[Exceeded | None, bool]:
    """The ceiling where it is reached, and whether the limits can be counted at all."""
    try:
        return Brake(deployment().counting, connection.id, button.limits).stopped(), True
    except StorageError:
        return None, False
