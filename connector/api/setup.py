"""The HTTP API /api/v1: what a connection's key may read and do. Its OpenAPI is drawn from this code."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import flask_swagger_ui  # type: ignore[import-untyped]  # the package has no annotations
from flask import Blueprint, Flask, Response, jsonify, render_template, send_from_directory
from flask_smorest import Api  # type: ignore[import-untyped]  # as above

from connector.api import autodial, call_views, click_to_call, problems, schemas
from connector.api.blueprint import blueprint
from connector.locks import Lock, locked_by

VIEWS = (call_views, click_to_call, autodial)
"""Modules whose views are declared at the blueprint when they are imported."""

_DESCRIPTION = """Calls of a connection, and calls to be made. `Authorization: Bearer KEY`, where the key comes from
`connector api-key create --connection NAME` and opens that connection alone. Errors are problems (RFC 9457)."""
_SECURITY = {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}}
_HERE = Path(__file__).parent
_SWAGGER_FILES = {"swagger-ui.css", "swagger-ui-bundle.js"}
# Swagger UI sets styles of its own on what it draws, and its icons are data: images.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


def register(app: Flask) -> None:
    """Adds /api/v1 to the application."""
    api = _API(
        spec_kwargs={
            "title": "Evrotel connector",
            "version": "v1",
            "openapi_version": "3.1.0",
            "info": {"description": _DESCRIPTION},
            "components": _SECURITY,
            "security": [{"key": []}],
        }
    )
    api.init_app(app)
    api.register_blueprint(blueprint)
    problems.register(app)

    @locked_by(Lock.PUBLIC)
    def openapi() -> Response:
        return jsonify(api.description())

    app.add_url_rule("/api/v1/openapi.json", "openapi", openapi)
    app.register_blueprint(_docs())


def _docs() -> Blueprint:
    """The page to try the API: Swagger UI, served by ourselves. The key is typed there and kept nowhere."""
    docs = Blueprint("api_docs", __name__, url_prefix="/api/v1/docs", template_folder=str(_HERE / "templates"))

    @docs.get("")
    @locked_by(Lock.PUBLIC)
    def page() -> Response:
        return Response(
            render_template("api/docs.html"), mimetype="text/html", headers={"Content-Security-Policy": _POLICY}
        )

    @docs.get("/<any('swagger-ui.css', 'swagger-ui-bundle.js', 'docs.js', 'docs.css'):name>")
    @locked_by(Lock.PUBLIC)
    def file(name: str) -> Response:
        folder = Path(flask_swagger_ui.__file__).parent / "dist" if name in _SWAGGER_FILES else _HERE / "static"
        return send_from_directory(folder, name, max_age=86400)

    return docs


class _API(Api):  # type: ignore[misc]  # the package has no annotations
    """Errors are ours to write, and the application's other pages keep theirs. Described when somebody asks: drawing
    the description takes half of the time that an application takes to start."""

    DEFAULT_ERROR_RESPONSE_NAME = None
    ERROR_SCHEMA = schemas.ProblemSchema

    def _register_error_handlers(self) -> None:
        """None: `problems` has them."""

    def register_blueprint(self, blp: Any, **_: Any) -> None:
        self._app.extensions["flask-smorest"]["blp_name_to_api"][blp.name] = self
        self._app.register_blueprint(blp)
        self._drawing, self._drawn = threading.Lock(), False

    def description(self) -> dict[str, Any]:
        """The whole OpenAPI description."""
        with self._drawing:
            if not self._drawn:
                name = {"in": "path", "name": "connection", "schema": {"type": "string"}, "description": "Its name"}
                blueprint.register_views_in_doc(self, self._app, self.spec, name=blueprint.name, parameters=[name])
                self.spec.tag({"name": blueprint.name, "description": blueprint.description})
                self._drawn = True
            described: dict[str, Any] = self.spec.to_dict()
            return described
