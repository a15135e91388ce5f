"""The pages that follow the first one in a CRM's frame: by POST, with the pass that the page before handed on."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, request
from flask_babel import force_locale, gettext
from flask_wtf import FlaskForm
from wtforms import SelectChoice, SelectField

from connector.calls.people import users
from connector.connections.check import check_connection
from connector.connections.keys import CRM_FIELDS
from connector.connections.store import Connection
from connector.deployment import Deployment, deployment
from connector.frame.installing import set_up
from connector.frame.pages import calls_page, settings_page, shown
from connector.frame.passes import FramePass, read_pass
from connector.locks import Lock, locked_by
from connector.panel.forms import setting_field

blueprint = Blueprint("frame", __name__, url_prefix="/frame/<name>")


@blueprint.post("/calls")
@locked_by(Lock.FRAME_PASS)
def calls(name: str) -> Any:
    here, connection, given = _opened(name)
    return calls_page(here, connection, given)


@blueprint.post("/settings")
@locked_by(Lock.FRAME_PASS)
def settings(name: str) -> Any:
    """Shows the settings, and keeps them where the form was sent with `save`."""
    here, connection, given = _opened(name, admin=True)
    with force_locale(given.language):
        form = _settings_form(here, connection, filled="save" in request.form)
        valid = "save" in request.form and form.validate()
        if valid:
            values = {field.name: field.data or "" for field in form}
            connection = here.connections.set(connection.name, values)
        return settings_page(here, connection, given, form, saved=valid)


@blueprint.post("/check")
@locked_by(Lock.FRAME_PASS)
def check(name: str) -> Any:
    """The checklist; with `repair` what can be mended from here is mended first."""
    here, connection, given = _opened(name, admin=True)
    with force_locale(given.language):
        repaired = [step.worded(gettext) for step in set_up(here, connection)] if "repair" in request.form else []
        findings = [finding.worded(gettext) for finding in check_connection(here, connection)]
    return shown(here, "frame/check.html", given, findings=findings, repaired=repaired, connection=connection)


def _opened(name: str, *, admin: bool = False) -> tuple[Deployment, Connection, FramePass]:
    """Who asks, and for which connection. Answers 401 without a good pass, 403 where an administrator is needed."""
    here = deployment()
    given = read_pass(here.settings.secret_keys, request.form.get("pass", ""))
    if given is None:
        abort(_too_old())
    if given.connection != name:
        abort(403)
    if admin and not given.is_admin:
        abort(403)
    connection = here.connections.by_id(here.connections.get(name).id)
    if connection is None:
        abort(404)
    if not _works_there(here, connection, given):
        abort(_too_old())
    return here, connection, given


def _works_there(here: Deployment, connection: Connection, given: FramePass) -> bool:
    """Whether the user is still among the CRM's active ones, as they were last read."""
    known = {person.id for person in users(here, connection)}
    return not known or given.user_id in known


def _too_old() -> Response:
    text = gettext("This page was open for too long. Open the application anew.")
    return Response(text, status=401, mimetype="text/plain")


def _settings_form(here: Deployment, connection: Connection, *, filled: bool) -> FlaskForm:
    """The rules of the connection as fields; what was sent, or what is kept."""
    fields: dict[str, Any] = {}
    own = [field for field in connection.description.fields if not (field.secret or field.required)]
    for setting in (*CRM_FIELDS, *own):
        fields[setting.key] = setting_field(setting, connection)
    fields["default_user"] = _user_field(here, connection)
    form_class = type("FrameSettingsForm", (FlaskForm,), fields)
    # The pass stands for a CSRF token: no other site has it.
    return form_class(formdata=request.form if filled else None, meta={"csrf": False})


def _user_field(here: Deployment, connection: Connection) -> Any:
    kept = connection.values.get("default_user", "")
    people = {user.id: user.name for user in users(here, connection)}
    if kept:
        people.setdefault(kept, kept)
    choices = [SelectChoice("", gettext("whoever installed the application"))]
    choices += [SelectChoice(user_id, name) for user_id, name in people.items()]
    setting = next(field for field in CRM_FIELDS if field.key == "default_user")
    help_text = gettext("For calls that belong to nobody.")
    return SelectField(gettext(setting.label), description=help_text, choices=choices, default=kept)
