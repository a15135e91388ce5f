"""The HTTP API /api/v1: what a connection's key may read and do. Its OpenAPI is drawn from this code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from flask import Flask, Response, abort, g, jsonify, request
from flask_smorest import Api, Blueprint  # type: ignore[import-untyped]  # the package has no annotations
from marshmallow import Schema
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from connector.api import keys, problems, queries, schemas
from connector.connections.store import Connection
from connector.delivery import admin
from connector.deployment import deployment
from connector.locks import Lock, locked_by

View = TypeVar("View", bound=Callable[..., Any])

blueprint: Any = Blueprint(
    "api", __name__, url_prefix="/api/v1/connections/<connection>", description="Calls of one connection"
)

problems.answer_errors_of(blueprint)

_DESCRIPTION = """Reads a connection's calls and events. `Authorization: Bearer KEY`, where the key comes from
`connector api-key create --connection NAME` and opens that connection alone."""
_SECURITY = {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}}


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
    api.register_blueprint(
        blueprint,
        parameters=[{"in": "path", "name": "connection", "schema": {"type": "string"}, "description": "Its name"}],
    )
    problems.register(app)
    spec = api.spec.to_dict()

    @locked_by(Lock.PUBLIC)
    def openapi() -> Response:
        return jsonify(spec)

    app.add_url_rule("/api/v1/openapi.json", "openapi", openapi)


class _API(Api):  # type: ignore[misc]  # the package has no annotations
    """Errors are ours to write, and the application's other pages keep theirs."""

    DEFAULT_ERROR_RESPONSE_NAME = None
    ERROR_SCHEMA = schemas.ProblemSchema

    def _register_error_handlers(self) -> None:
        """None: `problems` has them."""


def _serves(
    method: str, rule: str, *, answer: type[Schema], query: type[Schema] | None = None
) -> Callable[[View], View]:
    """Declares a view: route, lock, what it takes and gives."""

    def declare(view: View) -> View:
        served = blueprint.response(200, answer)(blueprint.doc(operationId=view.__name__)(view))
        for status in (401, 404, 503):
            served = blueprint.alt_response(status, schema=schemas.ProblemSchema, content_type=problems.MEDIA_TYPE)(
                served
            )
        if query is not None:
            served = blueprint.alt_response(422, schema=schemas.ProblemSchema, content_type=problems.MEDIA_TYPE)(served)
            served = blueprint.arguments(query, location="query")(served)
        blueprint.route(rule, methods=[method])(locked_by(Lock.API_KEY)(served))
        return view

    return declare


@blueprint.url_value_preprocessor  # type: ignore[untyped-decorator]  # as above
def _take_name(_: str | None, values: dict[str, Any] | None) -> None:
    g.connection_name = (values or {}).pop("connection", "")


@blueprint.before_request  # type: ignore[untyped-decorator]  # the package has no annotations
def _open() -> None:
    """The lock: a key opens its own connection; of any other it does not even learn whether there is one."""
    opened = keys.opens(deployment().database, request.headers.get("Authorization"))
    if opened is None:
        raise Unauthorized("A key is needed: Authorization: Bearer KEY", www_authenticate=WWWAuthenticate("bearer"))
    connection = deployment().connections.get(g.connection_name)
    if connection.id != opened:
        _not_found()
    g.connection = connection


@_serves("GET", "/calls", query=schemas.CallFilter, answer=schemas.Calls)
def list_calls(wanted: dict[str, Any]) -> queries.Listed:
    """Calls, newest first."""
    with deployment().database.read() as db:
        return queries.calls(db, _connection(), wanted, deployment().settings)


@_serves("GET", "/calls/<call_id>", answer=schemas.CallWithDeliveries)
def show_call(call_id: str) -> dict[str, Any]:
    """One call, with what the CRM was told of it."""
    with deployment().database.read() as db:
        return queries.call(db, _connection(), call_id, deployment().settings) or _not_found()


@_serves("GET", "/events", query=schemas.EventFilter, answer=schemas.Events)
def list_events(wanted: dict[str, Any]) -> queries.Listed:
    """Kept inbound events, newest first."""
    with deployment().database.read() as db:
        return queries.events(db, _connection(), wanted)


@_serves("POST", "/calls/<call_id>/deliveries/retry", answer=schemas.Retried)
def retry_deliveries(call_id: str) -> dict[str, int]:
    """Has the call's failed deliveries tried again at once."""
    with deployment().database.read() as db:
        failed = queries.failed_deliveries(db, _connection(), call_id)
    if failed is None:
        _not_found()
    return {"retried": admin.retry(deployment().database, failed)}


def _connection() -> Connection:
    opened: Connection = g.connection
    return opened


def _not_found() -> NoReturn:
    abort(problems.problem(404))
