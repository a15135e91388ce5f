"""Connecting to a CRM account from the panel: the way to its page of consent and back, installations to accept, the
archive of our widget."""

from __future__ import annotations

from io import BytesIO

from flask import (
    Blueprint,
    Response,
    abort,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    send_file,
    url_for,
)
from flask_babel import gettext
from werkzeug.wrappers import Response as AnyResponse

from connector.connections.accounts import OtherAccount
from connector.connections.offers import accept_offer
from connector.connections.one_use import new_state
from connector.connections.store import Connection
from connector.db import now
from connector.deployment import deployment
from connector.locks import Lock, locked_by
from connector.panel.access import guarded
from connector.panel.connection_views import connection_as_it_is
from crm_adapters.errors import AdapterError

blueprint = guarded(Blueprint("connecting", __name__))


@blueprint.get("/<crm>/<name>/connect")
@locked_by(Lock.ADMIN)
def connect(crm: str, name: str) -> AnyResponse:
    """To the CRM's page of consent; the state brings the answer home, once."""
    connection = connection_as_it_is(name)
    sites, site = connection.description.consent_sites, request.args.get("site", "")
    if connection.crm != crm or not sites or site not in {"", *sites}:
        abort(404)
    here = deployment()
    try:
        url = here.adapter(connection).consent_url(new_state(here.database, connection.id), site)
    except AdapterError as error:
        flash(str(error), "danger")
        return redirect(url_for("connections.connection_page", name=name))
    return redirect(url)


@blueprint.post("/connections/<name>/accept")
@locked_by(Lock.ADMIN)
def accept(name: str) -> AnyResponse:
    """Takes an installation that came from within an account."""
    connection = connection_as_it_is(name)
    try:
        accepted = accept_offer(deployment(), connection, request.form.get("account", ""))
    except OtherAccount:
        flash(gettext("The connection is bound to another account."), "danger")
    else:
        if accepted:
            flash(gettext("Connected. Everything that waited goes out now."), "success")
        else:
            flash(gettext("This installation is not there any more."), "danger")
    return redirect(url_for("connections.connection_page", name=name))


@blueprint.get("/connections/<name>/widget")
@locked_by(Lock.ADMIN)
def widget(name: str) -> Response:
    """The archive to upload to the CRM."""
    connection = connection_as_it_is(name)
    if not connection.description.widget:
        abort(404)
    archive = deployment().adapter(connection).widget(now())
    return send_file(
        BytesIO(archive),
        mimetype="application/zip",
        as_attachment=True,
        download_name=connection.description.widget,
    )


def connected_page(connection: Connection, account_name: str) -> Response:
    """What an administrator sees who comes back from the CRM's consent. Says nothing that is not theirs to know."""
    return make_response(render_template("panel/connected.html", connection=connection, account_name=account_name))
