"""The Flask application: rooms with pages or doors register here."""

from __future__ import annotations

from flask import Flask, Request, Response, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix

from connector import doors, health
from connector.api import setup as api
from connector.autodial import views as autodial
from connector.call_page import app_views as call_app
from connector.call_page import views as call_page
from connector.callback import views as callback
from connector.connections.store import NoSuchConnection
from connector.deployment import EXTENSION, Deployment
from connector.evrotel import receiver
from connector.frame import views as frame
from connector.panel import setup as panel
from connector.recordings import views as recordings
from connector.settings import Settings


class _PanelSessions(SecureCookieSessionInterface):
    """Only people in the panel have sessions: a request of a machine, or of a site's visitor, is not searched for a
    cookie."""

    without = (f"{receiver.PREFIX}/", f"{callback.PREFIX}/")

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if request.path.startswith(self.without):
            return self.session_class()
        return super().open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        if not request.path.startswith(self.without):
            super().save_session(app, session, response)


def create_app(settings: Settings, deployment: Deployment | None = None) -> Flask:
    """One web process's application."""
    app = Flask("connector", static_folder=None, template_folder=None)
    app.extensions[EXTENSION] = deployment or Deployment(settings)
    app.config.update(
        SECRET_KEY=settings.secret_keys[0],
        SECRET_KEY_FALLBACKS=list(settings.secret_keys[1:]),
        MAX_CONTENT_LENGTH=receiver.MAX_BODY_BYTES,
        MAX_FORM_MEMORY_SIZE=receiver.MAX_BODY_BYTES,
        MAX_FORM_PARTS=200,
        SESSION_COOKIE_SECURE=settings.public_url.startswith("https://"),
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
    )
    app.session_interface = _PanelSessions()
    if settings.trusted_proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]  # Flask's documented way to wrap the application
            app.wsgi_app, x_for=settings.trusted_proxies, x_proto=settings.trusted_proxies
        )
    app.register_blueprint(receiver.blueprint)
    app.register_blueprint(recordings.blueprint)
    app.register_blueprint(autodial.blueprint)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(callback.blueprint)
    api.register(app)
    panel.register(app)
    app.register_blueprint(call_app.blueprint)
    app.register_blueprint(call_page.blueprint)
    app.register_blueprint(frame.blueprint)
    app.register_blueprint(doors.blueprint)  # last: its rule is the widest
    app.register_error_handler(NoSuchConnection, _no_such_connection)
    app.register_error_handler(ParseException, _unreadable)
    app.register_error_handler(HTTPException, _plain_error)  # the panel's pages and the HTTP API have their own
    return app


def _no_such_connection(_: NoSuchConnection) -> Response:
    return Response("Not found", status=404, mimetype="text/plain")


def _unreadable(_: ParseException) -> Response:
    """A body whose chunks are no chunks: the server finds that when the body is read, which is here."""
    return Response("Bad Request", status=400, mimetype="text/plain")


def _plain_error(error: HTTPException) -> Response:
    """Every answer to a machine is small and plain."""
    headers = [(name, value) for name, value in error.get_headers() if name.lower() != "content-type"]
    return Response(error.name, status=error.code, mimetype="text/plain", headers=headers)
