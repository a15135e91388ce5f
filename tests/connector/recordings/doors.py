"""The doors of recordings as a client of HTTP meets them, and the worker's jobs done at once."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from connector.deployment import EXTENSION, Deployment
from connector.recordings import jobs, views


def client_of(deployment: Deployment) -> FlaskClient:
    app = Flask("test")
    app.extensions[EXTENSION] = deployment
    app.register_blueprint(views.blueprint)
    return app.test_client()


def get(client: FlaskClient, path: str, **options: Any) -> TestResponse:
    """The answer, read to its end and closed as a server does."""
    return client.open(path, buffered=True, **options)


def fetch_due(deployment: Deployment, owner: str = "worker") -> None:
    """Does all that is due, one after another."""
    jobs.work_recordings(deployment, owner, lambda job: job())
