"""Connections: what state they are in, what Evrotel and the CRM must be told, settings, check, pause, removal."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response

from connector.connections.accounts import account_key
from connector.connections.check import check_connection
from connector.connections.offers import Offer, offers_of
from connector.connections.store import Connection, NoSuchConnection
from connector.deployment import deployment
from connector.locks import Lock, locked_by
from connector.panel import queries
from connector.panel.access import guarded
from connector.panel.forms import CLEAR, connection_form, given_values
from connector.panel.labels import setting_error
from connector.recordings.sweep import sweep_connection
from crm_adapters.contract import Capability
from crm_adapters.registry import DESCRIPTIONS

blueprint = guarded(Blueprint("connections", __name__))
Answer = str | Response | tuple[str, int]
LONGEST_REASON = 200


@blueprint.get("/connections")
@locked_by(Lock.ADMIN)
def connections_page() -> str:
    return render_template(
        "panel/connections.html",
        connections=deployment().connections.all(),
        activity=queries.activity(deployment().database),
    )


@blueprint.route("/new-connection", methods=["GET", "POST"])
@locked_by(Lock.ADMIN)
def add_connection() -> Answer:
    crm = request.args.get("crm", "")
    if crm not in DESCRIPTIONS:
        return render_template("panel/new_connection.html", descriptions=DESCRIPTIONS)
    form = connection_form(crm, None)
    if form.validate_on_submit():
        try:
            made = deployment().connections.add(form["name"].data, crm, given_values(form, crm))
        except ValueError as error:
            form["name"].errors = [setting_error(error)]
        else:
            flash(gettext("The connection is added. Now give these three values to Evrotel."), "success")
            return redirect(url_for("connections.connection_page", name=made.name))
    return _form_page(form, crm, None)


@blueprint.get("/connections/<name>")
@locked_by(Lock.ADMIN)
def connection_page(name: str) -> str:
    return _connection_page(connection_as_it_is(name))


@blueprint.post("/connections/<name>/reveal")
@locked_by(Lock.ADMIN)
def reveal_token(name: str) -> str:
    """The page with the token in it: by POST, so that the token stands in no address."""
    connection = connection_as_it_is(name)
    key = request.form.get("key", "evrotel_token")
    if key == "evrotel_token":
        return _connection_page(connection, token=connection.get(key))
    if key not in {field.key for field in connection.description.fields if field.make}:
        abort(404)
    return _connection_page(connection, revealed=key)


@blueprint.post("/connections/<name>/check")
@locked_by(Lock.ADMIN)
def check(name: str) -> str:
    connection = connection_as_it_is(name)
    findings = [finding.worded(gettext) for finding in check_connection(deployment(), connection)]
    return _connection_page(connection, findings=findings)


@blueprint.post("/connections/<name>/test-event")
@locked_by(Lock.ADMIN)
def send_test_event(name: str) -> str:
    """What the CRM says to an event that changes nothing."""
    connection = connection_as_it_is(name)
    if not connection.can(Capability.TEST_EVENT):
        abort(404)
    return _connection_page(connection, findings=[deployment().adapter(connection).test_event().worded(gettext)])


@blueprint.route("/connections/<name>/settings", methods=["GET", "POST"])
@locked_by(Lock.ADMIN)
def edit_connection(name: str) -> Answer:
    connection = connection_as_it_is(name)
    form = connection_form(connection.crm, connection)
    if form.validate_on_submit():
        deployment().connections.set(name, given_values(form, connection.crm))
        flash(gettext("The settings are saved."), "success")
        return redirect(url_for("connections.connection_page", name=name))
    return _form_page(form, connection.crm, connection)


@blueprint.post("/connections/<name>/pause")
@locked_by(Lock.ADMIN)
def pause(name: str) -> Response:
    reason = request.form.get("reason", "").strip()[:LONGEST_REASON]
    deployment().connections.pause(
        connection_as_it_is(name).id, by="admin", reason=reason or gettext("paused in the panel")
    )
    flash(gettext("Paused. Calls are still written down; the CRM is told after the pause."), "success")
    return redirect(url_for("connections.connection_page", name=name))


@blueprint.post("/connections/<name>/resume")
@locked_by(Lock.ADMIN)
def resume(name: str) -> Response:
    deployment().connections.resume(connection_as_it_is(name).id)
    flash(gettext("Resumed: everything that waited goes out now."), "success")
    return redirect(url_for("connections.connection_page", name=name))


@blueprint.post("/connections/<name>/remove")
@locked_by(Lock.ADMIN)
def remove(name: str) -> Answer:
    connection = connection_as_it_is(name)
    if request.form.get("confirmation", "").strip() != name:
        wrong = gettext("Type the connection's name exactly to remove it.")
        return _connection_page(connection, removal_error=wrong), 400
    deployment().connections.remove(connection.id)
    sweep_connection(deployment(), connection.id)
    flash(gettext("The connection %(name)s is removed.", name=name), "success")
    return redirect(url_for("connections.connections_page"))


def connection_as_it_is(name: str) -> Connection:
    """The connection as it is now, not as it was a moment ago: a page shows what was just saved."""
    try:
        found = deployment().connections.by_id(deployment().connections.get(name).id)
    except NoSuchConnection:
        abort(404)
    if found is None:
        abort(404)
    return found


def _connection_page(connection: Connection, **more: Any) -> str:
    base = deployment().settings.public_url
    doors = {door: f"{base}/{connection.crm}/{connection.name}/{door}" for door in connection.description.doors}
    return render_template(
        "panel/connection.html",
        connection=connection,
        receiver=f"{base}/evrotel/{connection.name}/events",
        doors=doors,
        lacking=[
            field for field in connection.description.fields if field.required and not connection.values.get(field.key)
        ],
        activity=queries.activity(deployment().database),
        offers=_offers(connection),
        made_up=[field for field in connection.description.fields if field.make],
        **more,
    )


def _offers(connection: Connection) -> list[Offer]:
    """Installations to accept: a connection that is bound belongs to its account for good."""
    database = deployment().database
    return [] if account_key(database, connection.id) else offers_of(database, connection.id)


def _form_page(form: FlaskForm, crm: str, connection: Connection | None) -> Answer:
    page = render_template(
        "panel/connection_form.html",
        form=form,
        description=DESCRIPTIONS[crm],
        connection=connection,
        settings=[field for field in form if field.name != "csrf_token" and not field.name.startswith(CLEAR)],
        clear=CLEAR,
    )
    return (page, 400) if form.errors else page
