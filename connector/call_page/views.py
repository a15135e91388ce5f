"""The page that links in documents lead to: /call/{connection}?n=NUMBER.

Office programs and mail scanners open links by themselves, two or three times, without the browser's cookies, and hand
a redirect's target to the browser instead of the link (Microsoft, "click hyperlink to SSO website"). So a GET never
dials and never redirects; the page itself has the sign-in, and dials by its own POST.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, abort, g, jsonify, render_template, request, url_for
from flask_babel import gettext
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, NotFound

from connector.call_page.asking import Wanted, calls_by_itself, read_given
from connector.calls.numbers import is_extension, readable
from connector.click_to_call.at_once import AskedLately, DialStatus, NoBillcode, asked_before, dial_at_once, status_of
from connector.click_to_call.dial_requests import DialRequest
from connector.connections.store import Connection, NoSuchConnection
from connector.db import Unavailable
from connector.deployment import deployment
from connector.locks import Lock, locked_by
from connector.models import DialOrigin, DialState
from connector.panel import signin, throttle
from connector.panel.access import PanelUser, guarded, panel_user, sign_in_by_password
from connector.panel.errors import error_page
from connector.panel.forms import SignInForm, too_many_tries
from connector.texts import DIAL_REASONS, UNCLEAR

logger = logging.getLogger(__name__)
_HERE = Path(__file__).parent
blueprint = guarded(
    Blueprint(
        "call_page",
        __name__,
        url_prefix="/call",
        template_folder=str(_HERE / "templates"),
    ),
    redirects=False,
)
_NONCE = re.compile(r"[A-Za-z0-9_-]{8,64}")
LONGEST_NAME = 80
Answer = str | tuple[str, int]


@blueprint.after_request
def _shut_in(response: Response) -> Response:
    """No other site may show the page in a frame and have a signed-in person press its button."""
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response


@blueprint.get("/<connection>")
@locked_by(Lock.SIGN_IN)
def call_page(connection: str) -> Answer:
    return _page(_wanted(connection))


@blueprint.post("/<connection>")
@locked_by(Lock.SIGN_IN)
def act(connection: str) -> Answer:
    """What the page's own forms ask for; without a session there is nothing but the sign-in."""
    wanted = _wanted(connection)
    action = request.form.get("action", "")
    if action == "sign-in":
        return _sign_in(wanted)
    if not current_user.is_authenticated:
        return _page(wanted, status=401)
    if not _is_theirs(wanted.connection):
        return _page(wanted, status=403)
    return _ACTIONS.get(action, _page)(wanted)


@blueprint.errorhandler(CSRFError)
def _old_form(_: CSRFError) -> Answer | HTTPException | tuple[str, int]:
    """A form whose session is gone, by time or by a sign-in in another tab, does nothing: the page asks anew."""
    try:
        wanted = _wanted(str((request.view_args or {})["connection"]))
    except NotFound as error:
        return error_page(error)
    too_old = gettext("The page was too old: press the button once more.") if current_user.is_authenticated else ""
    return _page(wanted, status=400, warning=too_old)


@blueprint.get("/<connection>/state/<call_id>")
@locked_by(Lock.SESSION)
def state(connection: str, call_id: str) -> Response:
    """What has become of a call, for the page that shows it."""
    wanted = _wanted(connection)
    found = status_of(deployment(), wanted.connection, call_id) if call_id.isalnum() else None
    if found is None or not _is_theirs(wanted.connection):
        abort(404)
    return jsonify(state=found.state, text=_told(found), over=found.state is DialState.FAILED or found.is_over)


def _wanted(name: str) -> Wanted:
    try:
        connection = deployment().connections.get(name)
    except NoSuchConnection:
        abort(404)
    raw = request.form.get("n") or request.args.get("n") or request.args.get("uri") or ""
    given, number = read_given(raw, connection.get("phone_region"))
    shown = request.form.get("who") or request.args.get("name") or ""
    return Wanted(
        connection=connection,
        given=given,
        number=number,
        name=" ".join(shown.split())[:LONGEST_NAME],
    )


def _is_theirs(connection: Connection) -> bool:
    return panel_user().connection_id in {None, connection.id}


def _page(wanted: Wanted, *, status: int = 200, **more: Any) -> Answer:
    """The page as it is for whoever looks at it: sign-in, question, or why there is nothing to ask."""
    user: PanelUser | None = panel_user() if current_user.is_authenticated else None
    theirs = user is not None and _is_theirs(wanted.connection)
    if user is not None and not theirs:
        status = 403
    page = render_template(
        "call_page/page.html",
        wanted=wanted,
        user=user if theirs else None,
        foreign=user is not None and not theirs,
        form=None if user is not None else more.pop("form", None) or SignInForm(formdata=None),
        nonce=secrets.token_urlsafe(16),
        here=_here(wanted),
        at_once=theirs and status == 200 and not more and calls_by_itself(deployment(), user, wanted, request),
        may_set_extension=user is not None and user.sees_payloads,
        **more,
    )
    return page, status


def _here(wanted: Wanted) -> str:
    """This page's address, at which it does not dial by itself: for its forms, so that nobody who goes back to one that
    was sent, or has the browser open it again tomorrow, calls once more."""
    name = wanted.connection.name
    return url_for("call_page.call_page", connection=name, n=wanted.given, name=wanted.name or None, asked=1)


def _sign_in(wanted: Wanted) -> Answer:
    form = SignInForm()
    if not form.validate_on_submit():
        return _page(wanted, status=400, form=form)
    try:
        good = sign_in_by_password(form.name.data, form.password.data)
    except throttle.Blocked as blocked:
        return _page(wanted, status=429, form=form, blocked=too_many_tries(blocked.seconds))
    if not good:
        form.password.errors = [gettext("The name or the password is wrong.")]
        return _page(wanted, status=401, form=form)
    g.pop("csrf_token", None)  # the page's forms need the new session's
    return _page(wanted, signed_in=True)


def _call(wanted: Wanted) -> Answer:
    """Dials, unless this very form was sent before or the same number was asked for a moment ago."""
    user, nonce = panel_user(), request.form.get("nonce", "")
    if wanted.number is None or not user.extension or not _NONCE.fullmatch(nonce):
        return _page(wanted, status=422)
    _keep_choice(user, at_once="at_once" in request.form)
    key = f"link:{user.id}:{nonce}"
    earlier = asked_before(deployment(), wanted.connection, key)
    if earlier is not None:
        return _outcome(wanted, earlier)
    request_to_dial = DialRequest(
        key=key,
        origin=DialOrigin.LINK,
        number=wanted.number,
        extensions=(user.extension,),
        asked_by=user.name,
    )
    meant = request.form.get("action") == "again"
    try:
        found = dial_at_once(deployment(), wanted.connection, request_to_dial, unless_lately=not meant)
        return _outcome(wanted, found)
    except AskedLately:
        return _page(wanted, status=409, lately=True)
    except Unavailable as error:  # perhaps after Evrotel was asked; a worker may still do it
        logger.warning("the database can't be written: %s", type(error).__name__)
        return _page(wanted, status=503, warning=gettext(UNCLEAR))
    except NoBillcode:
        return _page(wanted, status=409, failed=_reason("no_billcode"))


def _outcome(wanted: Wanted, found: DialStatus) -> Answer:
    if found.state is DialState.FAILED:
        return _page(wanted, status=502, failed=_reason(found.reason))
    return _page(wanted, found=found, told=_told(found))


def _told(found: DialStatus) -> str:
    """What the person should do or know now."""
    if found.state is DialState.FAILED:
        return _reason(found.reason)
    if found.is_over:
        return str(gettext("The call has ended."))
    if found.state is DialState.STARTED:
        return str(gettext("The call goes on."))
    if found.goes_on:
        return str(gettext("Evrotel is being asked"))
    if found.is_unclear:
        return str(gettext(UNCLEAR))
    number, extension = readable(found.number or ""), ", ".join(found.extensions)
    text = gettext("Pick up your phone (%(extension)s): then %(number)s is called.", extension=extension, number=number)
    return str(text)


def _reason(reason: str | None) -> str:
    """Why a call was not made, by `Dial.reason`."""
    text = DIAL_REASONS[reason or "refused"]
    return str(gettext(text))


def _keep_choice(user: PanelUser, *, at_once: bool) -> None:
    if at_once != user.dials_at_once:
        signin.set_dials_at_once(deployment().database, user.id, at_once)


def _ask_each_time(wanted: Wanted) -> Answer:
    signin.set_dials_at_once(deployment().database, panel_user().id, False)
    return _page(wanted, noted=gettext("From now on you are asked before each call."))


def _set_extension(wanted: Wanted) -> Answer:
    """An agent's extension says whose calls they see: only an administrator gives one."""
    extension = request.form.get("extension", "").strip()
    if not panel_user().sees_payloads:
        abort(403)
    if not is_extension(extension):
        return _page(wanted, status=422, wrong_extension=extension[:20])
    signin.set_extension(deployment().database, panel_user().id, extension)
    return _page(wanted, own_extension=extension)


_ACTIONS: dict[str, Callable[[Wanted], Answer]] = {
    "call": _call,
    "again": _call,
    "ask-each-time": _ask_each_time,
    "extension": _set_extension,
}
