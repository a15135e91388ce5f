"""Keys of a connection's HTTP API: made, shown once, ended."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response

from connector.api.keys import api_keys, create_api_key, revoke
from connector.connections.store import Connection
from connector.deployment import deployment
from connector.locks import Lock, locked_by
from connector.panel.access import guarded
from connector.panel.connection_views import connection_as_it_is

blueprint = guarded(Blueprint("api_key_pages", __name__))


@blueprint.get("/connections/<name>/keys")
@locked_by(Lock.ADMIN)
def keys_page(name: str) -> str:
    return _page(connection_as_it_is(name))


@blueprint.post("/connections/<name>/keys")
@locked_by(Lock.ADMIN)
def make_key(name: str) -> str | tuple[str, int]:
    """The answer has the key: it is shown this once, and no page can be loaded that shows it again."""
    connection = connection_as_it_is(name)
    try:
        key = create_api_key(deployment().database, connection.id, request.form.get("purpose", ""))
    except ValueError:
        return _page(connection, wrong=gettext("At most 80 characters.")), 400
    return _page(connection, key=key)


@blueprint.post("/connections/<name>/keys/<int:key_id>/revoke")
@locked_by(Lock.ADMIN)
def revoke_key(name: str, key_id: int) -> Response:
    if not revoke(deployment().database, connection_as_it_is(name).id, key_id):
        abort(404)
    flash(gettext("The key opens nothing any more."), "success")
    return redirect(url_for("api_key_pages.keys_page", name=name))


def _page(connection: Connection, **more: str) -> str:
    keys = api_keys(deployment().database, connection.id)
    return render_template("panel/keys.html", connection=connection, keys=keys, **more)
