"""Makes the panel a part of the Flask application."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import cast

from flask import Blueprint, Flask, Response
from flask_bootstrap import Bootstrap5

from connector.locks import Lock, locked_by
from connector.panel import (
    autodial_views,
    call_views,
    callback_views,
    campaign_views,
    connecting,
    connection_views,
    delivery_views,
    event_views,
    key_views,
    labels,
    link_views,
    live_views,
    recording_views,
    signin_views,
)
from connector.panel.access import set_up_login
from connector.panel.headers import set_up_headers
from connector.panel.language import set_up_language
from connector.panel.live import LiveBoard

SESSION_SECONDS = 30 * 24 * 3600
ROOMS = (
    signin_views,
    call_views,
    recording_views,
    live_views,
    delivery_views,
    event_views,
    connection_views,
    connecting,
    autodial_views,
    campaign_views,
    callback_views,
    key_views,
    link_views,
)


def register(app: Flask) -> None:
    """Pages, sign-in, languages, CSRF of the panel's own forms, security headers of all HTML."""
    app.config.update(BOOTSTRAP_SERVE_LOCAL=True, PERMANENT_SESSION_LIFETIME=SESSION_SECONDS)
    if app.static_url_path is None:
        app.static_url_path = "/static"  # Bootstrap-Flask makes its own address of it
    Bootstrap5(app)
    set_up_login(app)
    set_up_language(app)
    set_up_headers(app)
    app.jinja_env.globals["labels"] = labels.ALL
    app.register_blueprint(_files())
    for room in ROOMS:
        app.register_blueprint(room.blueprint)
    live_views.set_up_board(app, LiveBoard)
    for endpoint in ("bootstrap.static", "panel.static"):
        _open_to_all(app, endpoint)


def _files() -> Blueprint:
    here = Path(__file__).parent
    return Blueprint(
        "panel",
        __name__,
        template_folder=str(here / "templates"),
        static_folder=str(here / "static"),
        static_url_path="/static",
    )


def _open_to_all(app: Flask, endpoint: str) -> None:
    """Flask made these views; they too declare their lock."""
    serve: Callable[..., Response] = functools.partial(cast(Callable[..., Response], app.view_functions[endpoint]))
    app.view_functions[endpoint] = locked_by(Lock.PUBLIC)(serve)
