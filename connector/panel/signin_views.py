"""Signing in and out, one's password and language, and the first admin."""

from __future__ import annotations

from flask import Blueprint, abort, flash, make_response, redirect, render_template, request, session, url_for
from flask_babel import gettext
from flask_login import current_user, logout_user
from werkzeug.wrappers import Response

from connector.deployment import deployment
from connector.locks import Lock, locked_by
from connector.panel import access, signin, throttle
from connector.panel.access import guarded, local_path, panel_user, sign_in
from connector.panel.forms import NewPasswordForm, SetUpForm, SignInForm, too_many_tries
from connector.panel.language import COOKIE, KEPT_SECONDS, LANGUAGES
from connector.recordings.stores import keeps_nothing
from connector.secrets import same

blueprint = guarded(Blueprint("sign_in", __name__))
Answer = str | Response | tuple[str, int]


@blueprint.get("/sign-in")
@locked_by(Lock.SIGN_IN)
def sign_in_page() -> Answer:
    if current_user.is_authenticated:
        return redirect(local_path(request.args.get("next")))
    if deployment().settings.environment.get("SETUP_TOKEN") and not signin.has_users(deployment().database):
        return redirect(url_for("sign_in.set_up_page"))
    return render_template("panel/sign_in.html", form=SignInForm())


@blueprint.post("/sign-in")
@locked_by(Lock.SIGN_IN)
def sign_in_by_password() -> Answer:
    form = SignInForm()
    if not form.validate_on_submit():
        return render_template("panel/sign_in.html", form=form), 400
    try:
        good = access.sign_in_by_password(form.name.data, form.password.data)
    except throttle.Blocked as blocked:
        return _blocked("panel/sign_in.html", blocked, form=form)
    if not good:
        form.password.errors = [gettext("The name or the password is wrong.")]
        return render_template("panel/sign_in.html", form=form), 401
    return redirect(local_path(request.args.get("next")))


@blueprint.get("/sign-in/<token>")
@locked_by(Lock.SIGN_IN)
def link_page(token: str) -> Answer:
    """Mail and office programs look at links before their readers do: looking uses nothing up."""
    good = signin.link_is_good(deployment().database, token)
    return render_template("panel/sign_in_link.html", good=good), 200 if good else 410


@blueprint.post("/sign-in/<token>")
@locked_by(Lock.SIGN_IN)
def sign_in_by_link(token: str) -> Answer:
    database = deployment().database
    key = throttle.address_key(request.remote_addr, "link")
    try:
        throttle.begin(database, [key])
    except throttle.Blocked as blocked:
        return _blocked("panel/sign_in_link.html", blocked, good=True)
    user_id = signin.use_link(database, token)
    if user_id is None:
        return render_template("panel/sign_in_link.html", good=False), 410
    throttle.succeeded(database, cleared=key, uncounted=key)
    sign_in(user_id, by_link=True)
    return redirect(url_for("sign_in.password_page"))


@blueprint.post("/sign-out")
@locked_by(Lock.SESSION)
def sign_out() -> Answer:
    """Ends the user's sessions everywhere: a signed cookie can't be taken back one by one."""
    signin.end_sessions(deployment().database, panel_user().id)
    logout_user()
    session.clear()
    return redirect(url_for("sign_in.sign_in_page"))


@blueprint.get("/password")
@locked_by(Lock.SESSION)
def password_page() -> Answer:
    return render_template("panel/password.html", form=NewPasswordForm(), asks_current=_asks_current())


@blueprint.post("/password")
@locked_by(Lock.SESSION)
def change_password() -> Answer:
    form, user, database = NewPasswordForm(), panel_user(), deployment().database
    fit = form.validate_on_submit()
    if fit and _asks_current():
        keys = throttle.name_key(user.name, request.remote_addr), throttle.address_key(request.remote_addr)
        try:
            throttle.begin(database, keys)
        except throttle.Blocked as blocked:
            return _blocked("panel/password.html", blocked, form=form, asks_current=True)
        fit = signin.check_password(database, user.name, form.current.data or "") == user.id
        if fit:
            throttle.succeeded(database, cleared=keys[0], uncounted=keys[1])
        else:
            form.current.errors = [gettext("This is not the current password.")]
    if not fit:
        return render_template("panel/password.html", form=form, asks_current=_asks_current()), 400
    signin.set_password(database, user.id, form.password.data)
    sign_in(user.id, by_link=False)
    flash(gettext("The password is set. Sessions elsewhere have ended."), "success")
    return redirect(url_for("calls.calls_page"))


@blueprint.get("/setup")
@locked_by(Lock.SETUP_TOKEN)
def set_up_page() -> Answer:
    _only_before_set_up()
    return _set_up_page(SetUpForm())


@blueprint.post("/setup")
@locked_by(Lock.SETUP_TOKEN)
def set_up() -> Answer:
    expected = _only_before_set_up()
    form, database = SetUpForm(), deployment().database
    if not form.validate_on_submit():
        return _set_up_page(form), 400
    try:
        throttle.begin(database, [throttle.address_key(request.remote_addr, "setup")])
    except throttle.Blocked as blocked:
        return _blocked("panel/setup.html", blocked, form=form)
    if not same(form.token.data, expected):
        form.token.errors = [gettext("This is not the set-up token.")]
        return _set_up_page(form), 403
    try:
        user_id = signin.create_first_user(database, form.name.data, form.password.data)
    except ValueError as error:
        form.name.errors = [str(error)]
        return _set_up_page(form), 400
    if user_id is None:
        abort(404)
    sign_in(user_id, by_link=False)
    return redirect(url_for("connections.connections_page"))


def _set_up_page(form: SetUpForm) -> str:
    return render_template("panel/setup.html", form=form, keeps_nothing=keeps_nothing(deployment().settings))


@blueprint.post("/language")
@locked_by(Lock.PUBLIC)
def choose_language() -> Answer:
    chosen = request.form.get("language", "")
    if chosen not in LANGUAGES:
        abort(400)
    if current_user.is_authenticated:
        signin.set_language(deployment().database, panel_user().id, chosen)
    response = redirect(local_path(request.form.get("next")))
    secure = deployment().settings.public_url.startswith("https://")
    response.set_cookie(COOKIE, chosen, max_age=KEPT_SECONDS, httponly=True, samesite="Lax", secure=secure)
    return response


def _asks_current() -> bool:
    """Whoever came by a one-time link may set a password without knowing the former one."""
    return panel_user().has_password and not session.get("by_link")


def _only_before_set_up() -> str:
    """The set-up token. 404 where none is set or a user exists already."""
    expected = deployment().settings.environment.get("SETUP_TOKEN", "")
    if not expected or signin.has_users(deployment().database):
        abort(404)
    return expected


def _blocked(template: str, blocked: throttle.Blocked, **context: object) -> Response:
    page = render_template(template, blocked=too_many_tries(blocked.seconds), **context)
    response = make_response(page, 429)
    response.headers["Retry-After"] = str(blocked.seconds)
    return response
