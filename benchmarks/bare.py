"""The yardstick: a Flask view that only returns an ID, under the connector's own gunicorn settings."""

from __future__ import annotations

import argparse

import uuid_utils
from flask import Flask, Response

from connector.log import set_up_logging
from connector.serve.gunicorn import WebServer
from connector.settings import read_settings


class BareServer(WebServer):
    """The connector's web server around another application."""

    def load(self) -> Flask:
        app = Flask("bare", static_folder=None, template_folder=None)
        app.add_url_rule("/evrotel/<name>/events", view_func=_answer, methods=["POST"])
        app.add_url_rule("/healthz", "healthz", lambda: "ok")
        return app


def _answer(name: str) -> Response:  # noqa: ARG001 - the route's variable, as the connector's view has it
    return Response(uuid_utils.uuid7().hex, mimetype="text/plain")


def main() -> None:
    """Serves until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    settings = read_settings(port=parser.parse_args().port)
    set_up_logging(settings.log_level, settings.log_format)
    BareServer(settings).run()


if __name__ == "__main__":
    main()
