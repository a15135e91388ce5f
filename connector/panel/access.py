"""Who is signed in, what they may see, and the guard that enforces each view's declared lock."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from flask import Blueprint, Flask, abort, current_app, redirect, request, session, url_for
from flask_login import LoginManager, current_user, login_user
from flask_wtf.csrf import CSRFProtect
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from connector.deployment import deployment
from connector.locks import Lock
from connector.models import Role
from connector.panel import signin, throttle
from connector.panel.errors import error_page

csrf = CSRFProtect()
NOBODY = -1  # no row has this ID
LARGE_BODIES: dict[str, tuple[int, int]] = {}
"""By endpoint, of pages that take more than others from who is signed in: the most bytes of a request, and of its
fields without the files."""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Whose calls a user sees: None stands for all connections or all extensions."""

    connection_id: int | None = None
    extension: str | None = None

    def sees(self, connection_id: int, extension: str | None) -> bool:
        return self.connection_id in {None, connection_id} and self.extension in {None, extension}


@dataclass(frozen=True, kw_only=True)
class PanelUser:
    """A signed-in user, as Flask-Login wants one."""

    id: int
    name: str
    role: Role
    connection_id: int | None
    extension: str | None
    language: str | None
    dials_at_once: bool
    session_version: int
    has_password: bool
    is_authenticated: bool = True
    is_active: bool = True
    is_anonymous: bool = False

    def get_id(self) -> str:
        """What the session keeps: a session of an older version is nobody's."""
        return f"{self.id}.{self.session_version}"

    @property
    def is_admin(self) -> bool:
        return self.role is Role.ADMIN

    @property
    def sees_payloads(self) -> bool:
        """Whether raw requests and the CRM's answers are shown."""
        return self.role is not Role.AGENT

    @property
    def runs_campaigns(self) -> bool:
        """Whether the user has messages played to clients, those of the connections they see."""
        return self.role is not Role.AGENT

    @property
    def scope(self) -> Scope:
        """An agent whose connection or extension is gone sees nothing."""
        if self.role is Role.ADMIN:
            return Scope()
        if self.role is Role.SUPERVISOR:
            return Scope(connection_id=self.connection_id)
        known = self.connection_id is not None and self.extension
        return Scope(connection_id=self.connection_id if known else NOBODY, extension=self.extension or "")


def panel_user() -> PanelUser:
    """The signed-in user of a view that a SESSION or ADMIN lock guards."""
    return cast(PanelUser, current_user)


def sign_in(user_id: int, *, by_link: bool) -> None:
    """Starts a new session; nothing of the old one, its CSRF token included, goes on."""
    user = load_user_by_id(user_id)
    if user is None:
        abort(403)
    session.clear()
    session.permanent = True
    session["by_link"] = by_link
    login_user(user)


def sign_in_by_password(name: str, password: str) -> bool:
    """Starts a session where name and password fit. Raises throttle.Blocked after too many that did not."""
    database, name = deployment().database, name.strip()
    keys = throttle.name_key(name, request.remote_addr), throttle.address_key(request.remote_addr)
    throttle.begin(database, keys)
    user_id = signin.check_password(database, name, password)
    if user_id is None:
        return False
    throttle.succeeded(database, cleared=keys[0], uncounted=keys[1])
    sign_in(user_id, by_link=False)
    return True


def load_user_by_id(user_id: int) -> PanelUser | None:
    """The user as they are now."""
    row = signin.user_row(deployment().database, user_id)
    if row is None:
        return None
    return PanelUser(
        id=row.id,
        name=row.name,
        role=Role(row.role),
        connection_id=row.connection_id,
        extension=row.extension,
        language=row.language,
        dials_at_once=row.dials_at_once,
        session_version=row.session_version,
        has_password=bool(row.password_hash),
    )


def set_up_login(app: Flask) -> None:
    """Flask-Login and CSRF; the latter only where a panel blueprint's guard asks for it."""
    app.config.update(
        WTF_CSRF_CHECK_DEFAULT=False,
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session: a page may stay open all day
        WTF_CSRF_SSL_STRICT=False,  # it wants a Referer, which our own Referrer-Policy forbids
    )
    csrf.init_app(app)
    login = LoginManager(app)
    login.session_protection = None  # it would sign out phones, whose addresses change
    login.user_loader(_load_user)


def _load_user(session_id: str) -> PanelUser | None:
    user_id, _, version = session_id.partition(".")
    user = load_user_by_id(int(user_id)) if user_id.isdecimal() else None
    return user if user and str(user.session_version) == version else None


def guarded(blueprint: Blueprint, *, redirects: bool = True) -> Blueprint:
    """Lets requests to the blueprint's views through only by their declared lock and, where they change something,
    with a CSRF token. Without `redirects` (for scripts) a missing session answers 401.
    """
    blueprint.before_request(functools.partial(_guard, redirects))
    blueprint.register_error_handler(HTTPException, error_page)
    return blueprint


def _guard(redirects: bool) -> Response | None:
    if request.endpoint in LARGE_BODIES and current_user.is_authenticated:
        request.max_content_length, request.max_form_memory_size = LARGE_BODIES[request.endpoint]
    if any("\0" in text for text in _given()):
        abort(400)  # PostgreSQL takes it in no text, and nobody means it
    view = current_app.view_functions[request.endpoint or ""]
    answer = _CHECKS[cast(Any, view).lock](redirects)  # a view without a declared lock is a fault: 500
    if answer is None:
        csrf.protect()
    return answer


def _given() -> Iterator[str]:
    """All texts of the request that a view may look at."""
    yield request.path
    for values in (request.args, request.form):
        for name, texts in values.lists():
            yield from (name, *texts)


def _open(_: bool) -> None:
    """The view itself proves what it must, or nothing needs proof."""


def _session(redirects: bool) -> Response | None:
    if current_user.is_authenticated:
        return None
    if not redirects:
        abort(401)
    wanted = request.full_path.rstrip("?") if request.method == "GET" else "/"
    return redirect(url_for("sign_in.sign_in_page", next=wanted if wanted != "/" else None))


def _supervisor(redirects: bool) -> Response | None:
    answer = _session(redirects)
    if answer is None and not panel_user().runs_campaigns:
        abort(403)
    return answer


def _admin(redirects: bool) -> Response | None:
    answer = _session(redirects)
    if answer is None and not panel_user().is_admin:
        abort(403)
    return answer


_CHECKS: dict[Lock, Callable[[bool], Response | None]] = {
    Lock.PUBLIC: _open,
    Lock.SIGN_IN: _open,
    Lock.SETUP_TOKEN: _open,
    Lock.SESSION: _session,
    Lock.SUPERVISOR: _supervisor,
    Lock.ADMIN: _admin,
}


def local_path(wanted: str | None) -> str:
    """The path to go on to, if it is one of this site's; else the start page."""
    if wanted and wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable():
        return wanted
    return "/"
