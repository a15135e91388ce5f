"""A call's recording: the player's audio, and what an administrator does about it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, flash, redirect, request, url_for
from flask_babel import gettext, ngettext
from werkzeug.wrappers import Response

from connector.deployment import deployment
from connector.locks import Lock, locked_by
from connector.panel.access import guarded, panel_user
from connector.panel.call_views import seen_call
from connector.recordings.forgetting import purge_number
from connector.recordings.forgetting import revoke as revoke_links
from connector.recordings.listening import Way, may_listen
from connector.recordings.looking_again import retry_missing
from connector.recordings.views import HEADERS, heard

blueprint = guarded(Blueprint("call_recording", __name__))


@blueprint.get("/calls/<call_id>/recording.<any(wav, mp3):extension>")
@locked_by(Lock.SESSION)
def listen(call_id: str, extension: str) -> Response:
    """The recording for the panel's player, or as a file to keep; the listener is written down."""
    call, connection = seen_call(call_id)
    user = panel_user()
    if not may_listen(connection, user.role):
        abort(403)
    way: Way = "download" if "download" in request.args else "panel"
    response = heard(call.id, user.name, way, mp3=extension == "mp3")
    response.headers.update(HEADERS)
    return response


@blueprint.post("/calls/<call_id>/recording/retry")
@locked_by(Lock.ADMIN)
def retry(call_id: str) -> Response:
    call, _ = seen_call(call_id)
    if retry_missing(deployment().database, [call.id]):
        flash(gettext("The recording is looked for again."), "success")
    return _back(call)


@blueprint.post("/calls/<call_id>/recording/revoke")
@locked_by(Lock.ADMIN)
def revoke(call_id: str) -> Response:
    call, _ = seen_call(call_id)
    if revoke_links(deployment().database, [call.id]):
        flash(gettext("The link is withdrawn: who has it hears nothing any more."), "success")
    return _back(call)


@blueprint.post("/calls/<call_id>/recording/forget")
@locked_by(Lock.ADMIN)
def forget(call_id: str) -> Response:
    """All recordings of the call's client, as a person may ask for."""
    call, _ = seen_call(call_id)
    if not call.client_number:
        abort(400)
    forgotten = purge_number(deployment(), call.client_number)
    if forgotten.left:
        text = gettext("Files of some recordings could not be deleted yet, do this again later: %(why)s")
        flash(text % {"why": "; ".join(forgotten.left[:3])}, "danger")
    else:
        flash(ngettext("%(num)s recording is deleted.", "%(num)s recordings are deleted.", forgotten.count), "success")
    return _back(call)


def _back(call: Any) -> Response:
    return redirect(url_for("calls.call_page", call_id=call.id))
