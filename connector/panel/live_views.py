"""The live list: the stream that says when to look, and the rows to look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from flask import Blueprint, Flask, Response, current_app, render_template

from connector.db import Database
from connector.locks import Lock, locked_by
from connector.panel.access import guarded, panel_user
from connector.panel.call_views import calls_context
from connector.panel.live import LiveBoard

blueprint = guarded(Blueprint("live", __name__, url_prefix="/live"), redirects=False)
EXTENSION = "connector_live"


def set_up_board(app: Flask, make: Callable[[Database], LiveBoard]) -> None:
    """One board for each application, on the deployment's database."""
    app.extensions[EXTENSION] = make(app.extensions["connector"].database)


def live_board(app: Flask) -> LiveBoard:
    """The application's board; `live_board(app).stop()` ends its streams when the process has to go."""
    return cast(LiveBoard, app.extensions[EXTENSION])


@blueprint.get("/calls")
@locked_by(Lock.SESSION)
def stream() -> Response:
    """Server-sent events `calls`: something changed. 503 where enough listen: the page then polls."""
    board = live_board(current_app)
    listener = board.listen(panel_user().scope)
    if listener is None:
        return Response("too many streams", status=503, mimetype="text/plain")
    response = Response(board.stream(listener), mimetype="text/event-stream")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"  # nginx would hold the events back
    response.call_on_close(lambda: board.leave(listener))
    return response


@blueprint.get("/rows")
@locked_by(Lock.SESSION)
def rows() -> str:
    """The rows of the list as the page itself shows them."""
    return render_template("panel/_call_rows.html", **calls_context())
