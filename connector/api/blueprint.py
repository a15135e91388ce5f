"""The blueprint of /api/v1/connections/{connection}, its lock, and how a view of it is declared."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

from flask import abort, g, request
from flask_smorest import Blueprint  # type: ignore[import-untyped]  # the package has no annotations
from marshmallow import Schema, missing
from webargs.flaskparser import FlaskParser, is_json_request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import BadRequest, Unauthorized, UnsupportedMediaType

from connector.api import keys, problems, schemas
from connector.connections.store import Connection
from connector.deployment import deployment
from connector.locks import Lock, locked_by

View = TypeVar("View", bound=Callable[..., Any])


class _Parser(FlaskParser):
    """Says what is wrong with content that is no JSON; a BOM before it, which some programs write, is none of it."""

    def load_json(self, req: Any, schema: Schema) -> Any:  # noqa: ARG002 - webargs' own signature
        body = req.get_data(cache=True)
        if not body:
            return missing
        if not is_json_request(req):
            raise UnsupportedMediaType("The content should be JSON, and its Content-Type application/json")
        try:
            content = json.loads(body.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"The content is no JSON in UTF-8: {error}") from None
        if _HALF_A_CHARACTER.search(body) and not _is_text(content):
            raise BadRequest("The content names half of a character")
        return content


_HALF_A_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")


def _is_text(content: Any) -> bool:
    """Whether its texts can be stored: JSON can name halves of a character, no database takes them."""
    try:
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


class _Blueprint(Blueprint):  # type: ignore[misc]  # the package has no annotations
    ARGUMENTS_PARSER = _Parser()


blueprint: Any = _Blueprint(
    "api", __name__, url_prefix="/api/v1/connections/<connection>", description="Calls of one connection"
)
problems.answer_errors_of(blueprint)


def serves(
    method: str,
    rule: str,
    *,
    answer: type[Schema],
    status: int = 200,
    query: type[Schema] | None = None,
    body: type[Schema] | None = None,
    files: type[Schema] | None = None,
    headers: type[Schema] | None = None,
    refusals: Sequence[int] = (),
) -> Callable[[View], View]:
    """Declares a view: route, lock, what it takes (each schema one argument, in this order) and gives.

    `refusals` are the statuses of problems besides 401, 404, 503 and, where it takes something, 422.
    """
    taken = [(query, "query"), (body, "json"), (files, "files"), (headers, "headers")]
    takes = [(schema, place) for schema, place in taken if schema is not None]
    known = {401, 404, 503, *refusals, *([422] if takes else []), *([400, 413, 415] if body or files else [])}

    def declare(view: View) -> View:
        served = blueprint.response(status, answer)(blueprint.doc(operationId=view.__name__)(view))
        for refusal in sorted(known):
            served = blueprint.alt_response(refusal, schema=schemas.ProblemSchema, content_type=problems.MEDIA_TYPE)(
                served
            )
        for schema, place in reversed(takes):  # the first decorator's argument comes last
            served = blueprint.arguments(schema, location=place)(served)
        blueprint.route(rule, methods=[method])(locked_by(Lock.API_KEY)(served))
        return view

    return declare


@blueprint.url_value_preprocessor  # type: ignore[untyped-decorator]  # the package has no annotations
def _take_name(_: str | None, values: dict[str, Any] | None) -> None:
    g.connection_name = (values or {}).pop("connection", "")


LARGE_BODIES: dict[str, int] = {}
"""By endpoint, how many bytes a request may have where that is more than elsewhere."""
FORM_BYTES = 1024 * 1024
"""The most of such a request's fields without the files. Not less: what Werkzeug's parser of uploads holds at a time,
64 KiB and what it had left of a file before, counts by the same limit."""


@blueprint.before_request  # type: ignore[untyped-decorator]  # as above
def _open() -> None:
    """The lock: a key opens its own connection; of any other it does not even learn whether there is one."""
    opened = keys.opens(deployment().database, request.headers.get("Authorization"))
    if opened is None:
        raise Unauthorized("A key is needed: Authorization: Bearer KEY", www_authenticate=WWWAuthenticate("bearer"))
    connection = deployment().connections.get(g.connection_name)
    if connection.id != opened.connection_id:
        abort(problems.no_such_connection())
    g.connection, g.key = connection, opened
    if request.endpoint in LARGE_BODIES:
        request.max_content_length = LARGE_BODIES[request.endpoint]
        request.max_form_memory_size = FORM_BYTES


def opened_connection() -> Connection:
    """The connection that this request's key opens."""
    opened: Connection = g.connection
    return opened


def opened_by() -> keys.Opened:
    """The key of this request."""
    opened: keys.Opened = g.key
    return opened


def not_found(what: str) -> NoReturn:
    abort(problems.problem(404, f"The connection has no such {what}"))
